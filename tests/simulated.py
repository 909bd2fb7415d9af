"""Writes study directories whose truth is known: a cost model in, `manifest.json` and `runs.jsonl` out.

The times follow S = τ/(v+d+o) by construction, the output of a speculative run equals its baseline's, and the
facts of the models are those of the real family, so that an honest simulated study must come through any audit.
A test that spoils one changes the records between `simulate` and `write_study`.

>>> config = Config(suites=("dense-sd",), n_predict_tokens=16)
>>> records = simulate(config)
>>> len(records), records[0].measurement.cycles.emitted_tokens
(96, 16)
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from runner.lines import encode_line
from runner.record import (
    NO_DRAFT,
    Cell,
    Cycles,
    Energy,
    EngineFacts,
    MachineFacts,
    MachineState,
    Manifest,
    Measurement,
    ModelFacts,
    Purpose,
    RollbackProof,
    RunRecord,
    Settings,
    fingerprint,
    run_identity,
)

SUITES = ("moe-baseline", "moe-sd", "dense-baseline", "dense-sd", "prompt-sweep")
TALK = ("short", "code", "reasoning", "chinese")
PROMPT_TOKENS = {"short": 18, "code": 60, "reasoning": 96, "chinese": 40}
SWEEP = (32, 64, 128, 256, 512, 1024)
GAMMAS = (4, 8, 16)
GIB = 1024**3

SETTINGS = Settings(
    n_ctx_tokens=2048, n_batch_tokens=2048, n_ubatch_tokens=512, n_threads=4, n_gpu_layers=0,
    flash_attention="auto", kv_type="f16", seed=1,
)  # fmt: skip
ENGINE = EngineFacts(name="llama.cpp", version="sim-1", system_info="simulated", backends=["CPU"])
MACHINE = MachineFacts(
    system="Simulated", architecture="arm64", chip="Simulated chip", physical_cores=8, memory_bytes=192 * GIB,
    nominal_bandwidth_bytes_per_s=800e9, measured_bandwidth_bytes_per_s=600e9,
)  # fmt: skip
PROOF = RollbackProof(rolled_back=2e-6, noise=1e-6, wrong_state=1e-2)
STATE = MachineState(
    power_source="mains", low_power_mode=False, thermal_level="nominal", memory_pressure="normal"
)


def _facts(role: str, *, size: float, total: float, active: float, read: float, experts: int = 0) -> ModelFacts:
    """`size` and `read` (per token) in GB, `total` and `active` in 10⁹ parameters."""
    return ModelFacts(
        role=role, file=f"{role}.gguf", sha256=hashlib.sha256(role.encode()).hexdigest(),
        size_bytes=int(size * 1e9), architecture="qwen35moe" if experts else "qwen35", hybrid=True,
        quantisation="Q4_K_M" if role == "moe-q4" else "Q8_0", parameters=int(total * 1e9),
        active_parameters=int(active * 1e9), bytes_per_token=int(read * 1e9), n_layers=40, n_vocab=248_320,
        n_experts=experts, n_experts_used=8 if experts else 0, vocab_sha256="ab" * 32,
    )  # fmt: skip


MODELS = (
    _facts("moe-q4", size=21.2, total=34.7, active=3.0, read=2.0, experts=256),
    _facts("moe-q8", size=36.9, total=34.7, active=3.0, read=3.4, experts=256),
    _facts("dense-0.8b", size=0.81, total=0.76, active=0.76, read=0.8),
    _facts("dense-2b", size=2.0, total=1.9, active=1.9, read=2.0),
    _facts("dense-4b", size=4.5, total=4.2, active=4.2, read=4.4),
    _facts("dense-9b", size=9.5, total=8.9, active=8.9, read=8.5),
    _facts("draft-0.8b", size=0.81, total=0.76, active=0.76, read=0.8),
    _facts("draft-2b", size=2.0, total=1.9, active=1.9, read=2.0),
)
T1_MS = {
    "moe-q4": 18.1, "moe-q8": 20.0, "dense-0.8b": 7.2, "dense-2b": 9.1, "dense-4b": 14.9, "dense-9b": 29.9,
    "draft-0.8b": 7.2, "draft-2b": 9.1,
}  # fmt: skip
ACCEPTANCE = {"draft-0.8b": 0.70, "draft-2b": 0.80}


def distinct_experts(n_tokens: int, n_experts: int = 256, n_used: int = 8) -> float:
    """Expected number of different experts that `n_tokens` independent tokens touch in one layer."""
    return n_experts * (1 - (1 - n_used / n_experts) ** n_tokens)


def verify_ratio(target: str, n_tokens: int) -> float:
    """v(n): a dense pass grows a little with n, a mixture's with the experts it touches."""
    if target.startswith("moe"):
        return 0.5 + 0.5 * distinct_experts(n_tokens) / distinct_experts(1)
    return 1 + 0.05 * (n_tokens - 1)


@dataclass(frozen=True)
class Config:
    """What is true in a simulated study. `acceptance` is the chance that the next drafted token is right."""

    suites: tuple[str, ...] = SUITES
    blocks: int = 3
    n_predict_tokens: int = 256
    seed: int = 1
    prompts: tuple[str, ...] = TALK
    gammas: tuple[int, ...] = GAMMAS
    t1_ms: Mapping[str, float] = field(default_factory=lambda: T1_MS)
    verify_ratio: Callable[[str, int], float] = verify_ratio
    acceptance: Callable[[str, str, str, int], float] = lambda target, draft, prompt, position: ACCEPTANCE[draft]
    """Arguments: target, draft, prompt, position in the draft (1 = first)."""
    rollback_ms: float = 0.3
    sample_ms: float = 0.02
    python_ms: float = 0.01
    """Time per cycle outside llama.cpp."""
    noise: float = 0.01
    """Standard deviation of ln(time) per run; half of it again per block, shared by its runs."""
    reference_every: int = 0
    """A reference run after every so many comparisons; 0: none."""
    power_w: Callable[[Cell], Mapping[str, float]] | None = None
    """Watts of each counter of `Energy` (`gpu`, ...) while a cell decodes; None: nothing counts."""


def cells(config: Config) -> list[Cell]:
    """The plan in order: per block, comparisons shuffled; per comparison, gammas shuffled. Seeded."""
    rng = np.random.default_rng([config.seed, 7])
    planned: list[Cell] = []
    n_comparisons = 0
    for suite in config.suites:
        for block in range(1, config.blocks + 1):
            comparisons = list(_comparisons(config, suite, block))
            for index in rng.permutation(len(comparisons)):
                comparison = comparisons[index]
                planned += [comparison[i] for i in rng.permutation(len(comparison))]
                n_comparisons += 1
                if config.reference_every and n_comparisons % config.reference_every == 0:
                    planned.append(_reference(config, suite, n_comparisons // config.reference_every))
    return planned


def simulate(config: Config) -> list[RunRecord]:
    """All records of the study, in the order they were run."""
    return list(stream(config))


def stream(config: Config) -> Iterator[RunRecord]:
    """As `simulate`, one record at a time: for studies too large to hold as records."""
    clock_ns = 10**12
    for order, cell in enumerate(cells(config)):
        record = _record(config, cell, order, clock_ns)
        clock_ns += record.measurement.decode_wall_ns + 10**9
        yield record


def manifest_of(config: Config) -> Manifest:
    """The manifest that belongs to `simulate(config)`."""
    planned = cells(config)
    return Manifest(
        tool_version="0.1.0", created_utc="2026-01-01T00:00:00Z", arguments=["suite", *config.suites],
        family="simulated", suites=list(config.suites),
        suite_sha256={name: fingerprint(name) for name in config.suites}, plan_sha256=fingerprint(planned),
        n_cells=sum(cell.purpose == "cell" for cell in planned), settings=SETTINGS, models=list(MODELS),
        engine=ENGINE, machine=MACHINE, packages={"llama_cpp_python": "0.3.36"},
    )  # fmt: skip


def write_study(path: Path, manifest: Manifest, records: Iterable[RunRecord]) -> Path:
    """Write `manifest.json` and `runs.jsonl` into `path` (made if missing) and return it."""
    path.mkdir(parents=True, exist_ok=True)
    (path / "manifest.json").write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))
    with (path / "runs.jsonl").open("wb") as stream:
        stream.writelines(encode_line(record) for record in records)
    return path


def honest_study(path: Path, config: Config | None = None) -> Path:
    """A study in which nothing is wrong."""
    config = config or Config()
    return write_study(path, manifest_of(config), stream(config))


def reidentified(record: RunRecord, cell: Cell, engine: EngineFacts = ENGINE) -> RunRecord:
    """The record as if it had measured `cell`: with the identity that belongs to it."""
    run_id = run_identity(cell, SETTINGS, engine, record.target_sha256, record.draft_sha256)
    return msgspec.structs.replace(record, cell=cell, run_id=run_id)


def with_measurement(record: RunRecord, **changes: object) -> RunRecord:
    """The record with fields of its measurement replaced."""
    return msgspec.structs.replace(record, measurement=msgspec.structs.replace(record.measurement, **changes))


def with_cycles(record: RunRecord, **changes: Sequence[int]) -> RunRecord:
    """The record with lists of its cycles replaced; nothing else follows."""
    return with_measurement(record, cycles=msgspec.structs.replace(record.measurement.cycles, **changes))


def but(config: Config, **changes: object) -> Config:
    """The configuration with fields replaced."""
    return dataclasses.replace(config, **changes)  # type: ignore[arg-type]


def _comparisons(config: Config, suite: str, block: int) -> Iterator[list[Cell]]:
    for target, pair_draft, prompt, gammas in _matrix(config, suite):
        shared = {"suite": suite, "target": target, "pair_draft": pair_draft, "prompt": prompt, "block": block}
        baseline: Purpose = "paired-baseline" if suite.endswith("-sd") else "cell"
        yield [_cell(config, **shared, gamma=n, purpose="cell" if n else baseline) for n in gammas]


def _matrix(config: Config, suite: str) -> Iterator[tuple[str, str, str, tuple[int, ...]]]:
    """Target, draft of the comparison, prompt and gammas, as issue 2 lists them."""
    lengths = tuple(f"natural-{n}" for n in (64, 256, 512))
    drafts = ("draft-0.8b", "draft-2b")
    with_baseline = (0, *config.gammas)
    table: dict[str, list[tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], tuple[int, ...]]]] = {
        "moe-baseline": [(("moe-q4", "moe-q8"), (NO_DRAFT,), lengths, (0,))],
        "moe-sd": [(("moe-q4", "moe-q8"), drafts, config.prompts, with_baseline)],
        "dense-baseline": [(("dense-0.8b", "dense-2b", "dense-4b", "dense-9b"), (NO_DRAFT,), lengths, (0,))],
        "dense-sd": [(("dense-4b", "dense-9b"), drafts[:1], config.prompts, with_baseline)],
        "prompt-sweep": [(("moe-q4",), drafts[:1], tuple(f"natural-{n}" for n in SWEEP), (0, 8))],
    }
    for targets, pair_drafts, prompts, gammas in table[suite]:
        for target in targets:
            for pair_draft in pair_drafts:
                for prompt in prompts:
                    yield target, pair_draft, prompt, gammas


def _cell(config: Config, *, gamma: int, pair_draft: str, prompt: str, **rest: Any) -> Cell:
    return Cell(
        draft=pair_draft if gamma else NO_DRAFT, pair_draft=pair_draft, gamma=gamma, prompt=prompt,
        prompt_sha256=fingerprint(prompt), n_predict_tokens=config.n_predict_tokens, **rest,
    )  # fmt: skip


def _reference(config: Config, suite: str, number: int) -> Cell:
    return _cell(
        config, suite=suite, target="dense-0.8b", pair_draft=NO_DRAFT, prompt="short", gamma=0, block=number,
        purpose="reference",
    )  # fmt: skip


def _record(config: Config, cell: Cell, order: int, clock_ns: int) -> RunRecord:
    shas = {facts.role: facts.sha256 for facts in MODELS}
    draft_sha256 = shas.get(cell.draft)
    return RunRecord(
        run_id=run_identity(cell, SETTINGS, ENGINE, shas[cell.target], draft_sha256), order=order, cell=cell,
        status="ok", started_utc=f"2026-01-01T{order // 3600 % 24:02}:{order // 60 % 60:02}:{order % 60:02}Z",
        started_monotonic_ns=clock_ns, engine_version=ENGINE.version, target_sha256=shas[cell.target],
        draft_sha256=draft_sha256, measurement=_measurement(config, cell, order), state_before=STATE,
        state_after=STATE,
    )  # fmt: skip


def _measurement(config: Config, cell: Cell, order: int) -> Measurement:
    rng = np.random.default_rng([config.seed, order])
    cycles = _cycles(config, cell, rng)
    tokens, margins = greedy_text(config.seed, cell.target, cell.prompt, cell.n_predict_tokens)
    llama_ns = sum(map(sum, (cycles.draft_ns, cycles.verify_ns, cycles.rollback_ns, cycles.sample_ns)))
    n_prompt = PROMPT_TOKENS.get(cell.prompt) or int(cell.prompt.rpartition("-")[2])
    speculative = cell.gamma > 0
    wall_ns = llama_ns + round(config.python_ms * 1e6) * len(cycles.drafted)
    return Measurement(
        n_prompt_tokens=n_prompt, prompt_tokens_sha256=fingerprint("tokens", cell.prompt),
        target_rollback="snapshots" if speculative else "none",
        draft_rollback="checkpoint" if speculative else "none", n_rs_seq=cell.gamma,
        prefill_tokens=n_prompt - 1, prefill_target_ns=n_prompt * 10**6,
        prefill_draft_ns=n_prompt * 10**5 * speculative,
        decode_wall_ns=wall_ns, llama_ns=llama_ns,
        target_proof=PROOF if speculative else None, draft_proof=PROOF if speculative else None,
        cycles=cycles, tokens=tokens, margins=[] if speculative else margins, resident_bytes=GIB,
        target_output_rows=sum(cycles.drafted) + len(cycles.drafted),
        draft_output_rows=sum(cycles.drafted) if speculative else None,
        energy=_energy(config, cell, wall_ns),
    )  # fmt: skip


def _energy(config: Config, cell: Cell, wall_ns: int) -> Energy | None:
    """A watt is a millijoule a millisecond; counters move in whole millijoules."""
    if config.power_w is None:
        return None
    return Energy(**{f"{name}_mj": round(watts * wall_ns / 1e6) for name, watts in config.power_w(cell).items()})


def greedy_text(seed: int, target: str, prompt: str, n_tokens: int) -> tuple[list[int], list[float]]:
    """The tokens that `target` generates on `prompt`, and the margin at each."""
    rng = np.random.default_rng([seed, *hashlib.sha256(f"{target}/{prompt}".encode()).digest()])
    tokens: list[int] = rng.integers(0, 248_320, n_tokens).tolist()
    margins: list[float] = rng.uniform(0.5, 6.0, n_tokens).round(3).tolist()
    return tokens, margins


def _cycles(config: Config, cell: Cell, rng: np.random.Generator) -> Cycles:
    drafted, accepted = draft_lengths(config, cell, rng)
    n_cycles = len(drafted)
    block_rng = np.random.default_rng([config.seed, cell.block, 99])
    speed = np.exp(block_rng.normal(0, config.noise / 2) + rng.normal(0, config.noise))
    jitter = np.exp(rng.normal(0, config.noise, n_cycles))
    t1_ns = config.t1_ms[cell.target] * 1e6
    verify = np.array([config.verify_ratio(cell.target, n + 1) for n in drafted]) * t1_ns
    draft = np.array(drafted) * config.t1_ms.get(cell.draft, 0.0) * 1e6
    rejected = np.array(accepted) < np.array(drafted)

    def times(values: np.ndarray | float) -> list[int]:
        scaled: list[int] = np.rint(values * speed * jitter).astype(np.int64).tolist()
        return scaled

    return Cycles(
        drafted=drafted, accepted=accepted, draft_ns=times(draft), verify_ns=times(verify),
        rollback_ns=times(rejected * config.rollback_ms * 1e6), sample_ns=times(config.sample_ms * 1e6),
    )  # fmt: skip


def draft_lengths(config: Config, cell: Cell, rng: np.random.Generator) -> tuple[list[int], list[int]]:
    """Drafted and accepted per cycle until the budget is used up exactly."""
    if cell.gamma == 0:
        return [0] * cell.n_predict_tokens, [0] * cell.n_predict_tokens
    chances = np.array(
        [config.acceptance(cell.target, cell.draft, cell.prompt, i) for i in range(1, cell.gamma + 1)]
    )
    drafted: list[int] = []
    accepted: list[int] = []
    left = cell.n_predict_tokens
    while left > 0:
        n = min(cell.gamma, left - 1)
        wrong = np.flatnonzero(rng.random(n) >= chances[:n])
        drafted.append(n)
        accepted.append(int(wrong[0]) if len(wrong) else n)
        left -= accepted[-1] + 1
    return drafted, accepted
