"""The types that measuring and explaining share: what was planned, what was run, what came out.

A study directory holds `manifest.json` (one `Manifest`) and `runs.jsonl` (one `RunRecord` a line). Units stand
in the field names; counts of tokens end in `_tokens`. All types are frozen and refuse unknown fields.

>>> cycles = Cycles(drafted=[4, 4], accepted=[1, 4], draft_ns=[9, 9], verify_ns=[5, 5],
...                 rollback_ns=[1, 0], sample_ns=[1, 1])
>>> cycles.emitted_tokens
7
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

import msgspec

SCHEMA_VERSION = 1

NO_DRAFT = "none"

MAX_INTEGER = 2**62
Whole = Annotated[int, msgspec.Meta(ge=-MAX_INTEGER, le=MAX_INTEGER)]
"""Fits into any array of ours; whether it can be true is for the audit to say."""
Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_INTEGER)]
AtLeastOne = Annotated[int, msgspec.Meta(ge=1, le=MAX_INTEGER)]

Logit = Annotated[float, msgspec.Meta(ge=-1e30, le=1e30)]
"""Fits into single precision."""

Millijoules = Annotated[float, msgspec.Meta(ge=0.0, le=1e15)]

Purpose = Literal["cell", "paired-baseline", "reference"]
Status = Literal["ok", "failed"]
Strategy = Literal["none", "trim", "snapshots", "checkpoint"]


class Cell(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One configuration on one prompt in one block: everything about a run that the plan decides.

    A *comparison* is all cells that share suite, target, pair_draft, prompt and block; it holds exactly one
    baseline (gamma 0), measured by the same loop right beside the others.
    """

    suite: str
    target: str
    draft: str
    """Who drafts in this cell: a role, or a drafter of `runner.drafters` such as `ngram`; `none` at gamma 0."""
    pair_draft: str
    """Role of the draft that the comparison is about; `none` in a pure baseline suite."""
    gamma: Whole
    prompt: str
    prompt_sha256: str
    """SHA-256 of the prompt's UTF-8 text and its requested token count."""
    n_predict_tokens: Whole
    block: Whole
    rollback: Strategy | None = None
    """Target rollback that the suite asks for; None: the cheapest that can be proved."""
    purpose: Purpose = "cell"
    """`cell` counts towards the suite's declared number; the other purposes come on top of it."""

    @property
    def comparison(self) -> tuple[str, str, str, str, int]:
        """Key of the comparison this cell belongs to."""
        return (self.suite, self.target, self.pair_draft, self.prompt, self.block)


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What changes the measurement and is the same for all runs of a study."""

    n_ctx_tokens: Whole
    n_batch_tokens: Whole
    n_ubatch_tokens: Whole
    n_threads: Whole
    n_gpu_layers: Whole
    flash_attention: Literal["auto", "on", "off"]
    kv_type: str
    seed: Whole
    temperature: float = 0.0
    choose_on: Literal["device"] | msgspec.UnsetType = msgspec.UNSET
    """Where both arms choose greedily. Unset, and then not written: on the host, as in every study before."""

    @property
    def chooses_on_device(self) -> bool:
        """Whether llama.cpp's backend sampler chooses."""
        return self.choose_on == "device"


class ModelFacts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One GGUF as a role of the study. `file` is a bare name: a study never holds a path of its machine."""

    role: str
    file: str
    sha256: str
    size_bytes: Count
    architecture: str
    hybrid: bool
    quantisation: str
    parameters: AtLeastOne
    active_parameters: AtLeastOne
    bytes_per_token: AtLeastOne
    """Weight bytes that decoding one token reads: everything but unused experts and input-embedding rows."""
    n_layers: Count
    n_vocab: Count
    n_experts: Count
    n_experts_used: Count
    vocab_sha256: str
    recurrent_state_bytes: Count = 0
    """State of all recurrent layers for one sequence, in f32; snapshots keep it 1 + n_rs_seq times."""


class EngineFacts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The llama.cpp build that measured."""

    name: str
    version: str
    system_info: str
    backends: list[str]


class MachineFacts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The machine, without anything that names its owner. None: could not be read."""

    system: str
    architecture: str
    chip: str | None = None
    physical_cores: int | None = None
    performance_cores: int | None = None
    logical_cores: int | None = None
    gpu_cores: int | None = None
    memory_bytes: int | None = None
    nominal_bandwidth_bytes_per_s: float | None = None
    measured_bandwidth_bytes_per_s: float | None = None


class MachineState(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What can change between two runs. None: this probe is not to be had on this system."""

    power_source: Literal["mains", "battery"] | None = None
    low_power_mode: bool | None = None
    thermal_level: Literal["nominal", "fair", "serious", "critical"] | None = None
    memory_pressure: Literal["normal", "warning", "critical"] | None = None
    load_1min: float | None = None
    available_memory_bytes: int | None = None
    cpu_frequency_mhz: float | None = None


class Cycles(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One entry per cycle, in order; all lists have the same length.

    A cycle yields `accepted + 1` tokens. A cycle at gamma 0 drafts nothing and yields one.
    """

    drafted: list[Whole]
    accepted: list[Whole]
    draft_ns: list[Whole]
    verify_ns: list[Whole]
    rollback_ns: list[Whole]
    sample_ns: list[Whole]

    @property
    def emitted_tokens(self) -> int:
        """Tokens that all cycles yield together: the sum of accepted + 1."""
        return sum(self.accepted) + len(self.accepted)


class Failure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a run failed."""

    kind: str
    message: str
    llama_code: Whole | None = None
    log_tail: list[str] = []


class RollbackProof(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the preflight saw on this very model: normalised mean squared errors of logits.

    A rollback is proved when `rolled_back` lies below the geometric mean of `noise` and `wrong_state`, and these
    two lie apart.
    """

    rolled_back: float
    """After rolling back, against a context that never saw the rejected tokens; worst of all cases tried."""
    noise: float
    """The same tokens in one batch against one by one: what rounding alone does on this model."""
    wrong_state: float
    """With one rejected token left in: what the smallest wrong state does on this model."""

    @property
    def holds(self) -> bool:
        """True when the error is like rounding and unlike a wrong state, and the two can be told apart."""
        noise = max(self.noise, 1e-12)
        return self.wrong_state > 10 * noise and self.rolled_back <= (noise * self.wrong_state) ** 0.5


class UncheckedCounts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a loop that checks nothing really did; only runs marked `phantom` have it."""

    failed_target_passes: Whole
    failed_draft_passes: Whole
    refused_rollbacks: Whole
    target_passes: Whole
    """Target passes that llama.cpp executed."""
    draft_passes: Whole
    """Draft passes that llama.cpp executed."""


class Energy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Millijoules that counters of the chip moved by while the decode loop ran; None: there is no such counter.

    Prefill, warm-up and loading lie outside, as they do for `decode_wall_ns`. The counters know no processes:
    what else the machine does meanwhile is in them. On Apple Silicon they are believed to be estimates, in steps
    of 1 mJ.
    """

    cpu_mj: Millijoules | None = None
    """All CPU cores; on Linux the whole processor package, with caches and integrated graphics."""
    gpu_mj: Millijoules | None = None
    gpu_sram_mj: Millijoules | None = None
    """Has a counter of its own; whether `gpu_mj` contains it is documented nowhere, so no sum takes it in."""
    dram_mj: Millijoules | None = None
    ane_mj: Millijoules | None = None
    """Neural engine; llama.cpp does not use it."""


class Measurement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one executed cell yielded: everything the worker knows."""

    n_prompt_tokens: Whole
    prompt_tokens_sha256: str
    target_rollback: Strategy
    draft_rollback: Strategy
    n_rs_seq: Whole
    """Recurrent snapshots that the target context kept (0 in every baseline)."""
    prefill_tokens: Whole
    """Prompt tokens that were really decoded before the loop; the last prompt token opens the first cycle."""
    prefill_target_ns: Whole
    prefill_draft_ns: Whole
    decode_wall_ns: Whole
    """Wall time of the whole decode loop; the cycles' parts plus what Python spent between them."""
    llama_ns: Whole
    """Part of `decode_wall_ns` spent inside llama.cpp calls."""
    cycles: Cycles
    tokens: list[Whole]
    """Emitted token ids; as many as `n_predict_tokens` of the cell."""
    target_proof: RollbackProof | None = None
    draft_proof: RollbackProof | None = None
    unchecked: UncheckedCounts | None = None
    margins: list[Logit] = []
    """Baseline runs only: top-1 minus top-2 logit at each emitted token."""
    resident_bytes: Whole = 0
    target_output_rows: Whole | None = None
    """Rows that the loop's target passes copied to the host: one for each verified token in either arm, of all
    logits, or of two candidates where the device chooses (`Settings.choose_on`). None: not counted."""
    draft_output_rows: Whole | None = None
    """The same of the draft model: one for each drafted token. None: not counted, or no model drafted."""
    energy: Energy | None = None
    """Of the decode loop alone; None where nothing counts it, or where the loop's clock was stopped."""
    flash_attention: Literal["on", "off"] | None = None
    """Of the target's context; `Settings.flash_attention` may leave it to llama.cpp. None: not recorded."""


class RunRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One execution of a cell, written once and never changed."""

    schema_version: Whole = SCHEMA_VERSION
    run_id: str
    """Identity of what was measured: the same for a repeated attempt at the same cell."""
    attempt: Whole = 1
    order: Whole
    """Position in the plan."""
    cell: Cell
    status: Status
    started_utc: str
    started_monotonic_ns: Whole
    engine_version: str
    target_sha256: str
    draft_sha256: str | None = None
    measurement: Measurement | None = None
    failure: Failure | None = None
    state_before: MachineState = MachineState()
    state_after: MachineState = MachineState()
    mark: Literal["phantom"] | None = None
    """Set by suites that do wrong on purpose; no table, statistic or figure ever mixes marked runs in."""


TokenSource = Literal["real", "drafted", "shuffled"]


class RoutingCount(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Distinct experts that `n_tokens` consecutive tokens of one source touched, averaged over windows."""

    source: TokenSource
    n_tokens: AtLeastOne
    n_windows: AtLeastOne
    distinct_by_layer: Annotated[list[Annotated[float, msgspec.Meta(ge=0.0, le=1e9)]], msgspec.Meta(min_length=1)]
    standard_deviation: float
    """Over windows, of the mean over layers."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Written before the first run; fixes everything that all runs of a study share."""

    schema_version: Whole = SCHEMA_VERSION
    tool_version: str
    created_utc: str
    arguments: list[str]
    family: str
    suites: list[str]
    suite_sha256: dict[str, str]
    plan_sha256: str
    n_cells: Whole
    settings: Settings
    models: list[ModelFacts]
    engine: EngineFacts
    machine: MachineFacts
    packages: dict[str, str]


def canonical_json(value: object) -> bytes:
    """The same bytes for the same value, whatever order its keys came in."""
    return msgspec.json.encode(value, order="sorted")


def fingerprint(*parts: object) -> str:
    """SHA-256 (hex) over the canonical JSON of `parts`."""
    return hashlib.sha256(canonical_json(list(parts))).hexdigest()


def run_identity(
    cell: Cell, settings: Settings, engine: EngineFacts, target_sha256: str, draft_sha256: str | None
) -> str:
    """Sixteen hex digits over what changes the measurement, and nothing that does not.

    Plan and record compute it with this one function, so a study resumes by identity and an edited line shows.
    """
    return fingerprint(SCHEMA_VERSION, cell, settings, engine, target_sha256, draft_sha256)[:16]
