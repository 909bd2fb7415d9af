"""Ways to spoil an honest study, each with the rule that must notice; a fault maps records to records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from runner.record import Cycles, Failure, MachineState, Manifest, RunRecord
from tests.simulated import (
    PROOF,
    STATE,
    T1_MS,
    Config,
    but,
    manifest_of,
    reidentified,
    simulate,
    with_cycles,
    with_measurement,
)

Records = list[RunRecord]
replace = msgspec.structs.replace

SMALL = Config(suites=("dense-sd",), n_predict_tokens=48)
TWO_DRAFTS = Config(suites=("dense-baseline", "moe-sd"), n_predict_tokens=48)
WITH_REFERENCES = but(SMALL, reference_every=2)
LONG = but(SMALL, prompts=("short",), n_predict_tokens=256)
FEW_EACH = but(SMALL, prompts=("short", "code"), n_predict_tokens=128)


@dataclass(frozen=True)
class Fault:
    """A way to spoil a study and the rule that must name it."""

    name: str
    rule: str
    spoil: Callable[[Records], Records]
    config: Config = SMALL
    manifest: Callable[[Manifest], Manifest] = field(default=lambda manifest: manifest)

    def __str__(self) -> str:
        return self.name


def speculative(record: RunRecord) -> bool:
    return record.cell.gamma > 0


def baseline(record: RunRecord) -> bool:
    return record.cell.gamma == 0


def always(record: RunRecord) -> bool:
    return True


def each(
    change: Callable[[RunRecord], RunRecord], where: Callable[[RunRecord], bool] = always
) -> Callable[[Records], Records]:
    """A fault that changes every record that `where` picks."""
    return lambda records: [change(record) if where(record) else record for record in records]


def second_half(change: Callable[[RunRecord], RunRecord]) -> Callable[[Records], Records]:
    """A fault that sets in half-way."""
    return lambda records: records[: len(records) // 2] + [change(one) for one in records[len(records) // 2 :]]


def added(counts: list[int], more: int) -> list[int]:
    return [count + more for count in counts]


def measured_as(**changes: object) -> Callable[[RunRecord], RunRecord]:
    return lambda record: with_measurement(record, **changes)


def recorded_as(**changes: object) -> Callable[[RunRecord], RunRecord]:
    return lambda record: replace(record, **changes)


def slowed(record: RunRecord, factor: float) -> RunRecord:
    """All times of the run stretched, as by a throttled chip."""
    measurement, cycles = record.measurement, record.measurement.cycles
    times = {
        name: [round(ns * factor) for ns in getattr(cycles, name)]
        for name in ("draft_ns", "verify_ns", "rollback_ns", "sample_ns")
    }
    return with_measurement(
        record, cycles=replace(cycles, **times), decode_wall_ns=round(measurement.decode_wall_ns * factor),
        llama_ns=round(measurement.llama_ns * factor),
    )  # fmt: skip


def retimed(record: RunRecord, **factors: float) -> RunRecord:
    """Some parts of every cycle stretched, and the wall time with them."""
    cycles = record.measurement.cycles
    parts = {name: [round(ns * factor) for ns in getattr(cycles, name)] for name, factor in factors.items()}
    change = sum(sum(new) - sum(getattr(cycles, name)) for name, new in parts.items())
    return with_measurement(
        record, cycles=replace(cycles, **parts), decode_wall_ns=record.measurement.decode_wall_ns + change,
        llama_ns=record.measurement.llama_ns + change,
    )  # fmt: skip


def repeating(record: RunRecord) -> RunRecord:
    """Each token printed γ + 1 times, as stale logits do."""
    tokens, width = record.measurement.tokens, record.cell.gamma + 1
    return with_measurement(record, tokens=[tokens[i - i % width] for i in range(len(tokens))])


def every_third_cycle_lost(record: RunRecord) -> RunRecord:
    cycles = msgspec.structs.asdict(record.measurement.cycles)
    kept = {name: [value for i, value in enumerate(values) if i % 3 != 2] for name, values in cycles.items()}
    return with_cycles(record, **kept)


def accepted_twice(record: RunRecord) -> RunRecord:
    cycles = record.measurement.cycles
    counts = zip(cycles.accepted, cycles.drafted, strict=True)
    return with_cycles(record, accepted=[min(2 * accepted, drafted) for accepted, drafted in counts])


def never_drafting(record: RunRecord) -> RunRecord:
    n = record.cell.n_predict_tokens
    t1 = round(T1_MS[record.cell.target] * 1e6)
    cycles = Cycles(drafted=[0] * n, accepted=[0] * n, draft_ns=[0] * n, verify_ns=[t1] * n, rollback_ns=[0] * n,
                    sample_ns=[20_000] * n)  # fmt: skip
    return with_measurement(record, cycles=cycles, decode_wall_ns=n * (t1 + 30_000), llama_ns=n * (t1 + 20_000))


def phantom(record: RunRecord) -> RunRecord:
    """What a tool that ignores refused rollbacks measures: a draft pass a token, a target pass per γ + 1."""
    n, gamma = record.cell.n_predict_tokens, record.cell.gamma
    target_pass = T1_MS[record.cell.target] * 1e6 * (1 + 0.35 * gamma)
    verify, draft = round(target_pass / (gamma + 1)), round(T1_MS[record.cell.draft] * 1e6)
    cycles = Cycles(
        drafted=[min(gamma, n - 1 - i) for i in range(n)], accepted=[0] * n, draft_ns=[draft] * n,
        verify_ns=[verify] * n, rollback_ns=[0] * n, sample_ns=[0] * n,
    )  # fmt: skip
    wall = n * (verify + draft)
    return with_measurement(record, cycles=cycles, decode_wall_ns=wall, llama_ns=wall)


def other_text(record: RunRecord) -> RunRecord:
    return with_measurement(record, tokens=[token + 1 for token in record.measurement.tokens])


def shorter(record: RunRecord) -> RunRecord:
    """A baseline with half the budget, honest otherwise."""
    half = record.cell.n_predict_tokens // 2
    cycles = {name: values[:half] for name, values in msgspec.structs.asdict(record.measurement.cycles).items()}
    parts = sum(sum(values) for name, values in cycles.items() if name.endswith("_ns"))
    record = reidentified(record, replace(record.cell, n_predict_tokens=half))
    return with_measurement(
        record, cycles=Cycles(**cycles), tokens=record.measurement.tokens[:half], llama_ns=parts,
        margins=record.measurement.margins[:half], decode_wall_ns=parts + 10_000 * half,
    )  # fmt: skip


def other_file(record: RunRecord) -> RunRecord:
    """The same role, another GGUF, with the identity that belongs to it."""
    return reidentified(replace(record, target_sha256="cd" * 32), record.cell)


def failed(record: RunRecord) -> RunRecord:
    failure = Failure(kind="engine", message="decode gave -1")
    return replace(record, status="failed", measurement=None, failure=failure)


def by_gamma(records: Records) -> Records:
    return sorted(records, key=lambda record: record.cell.gamma)


def baseline_first(records: Records) -> Records:
    comparisons: dict[object, Records] = {}
    for record in records:
        comparisons.setdefault(record.cell.comparison, []).append(record)
    return [record for group in comparisons.values() for record in sorted(group, key=baseline, reverse=True)]


def without_last_block_of_one_target(records: Records) -> Records:
    return [one for one in records if not (one.cell.target == "dense-9b" and one.cell.block == 3)]


def without_baselines_of_one_prompt(records: Records) -> Records:
    return [one for one in records if not (baseline(one) and one.cell.prompt == "code")]


def one_cell_too_many(records: Records) -> Records:
    extra = next(one for one in records if one.cell.purpose == "cell")
    return [*records, reidentified(extra, replace(extra.cell, prompt_sha256="ee" * 32, block=3, prompt="extra"))]


def relabelled(record: RunRecord) -> RunRecord:
    """γ changed in the cell but not in the identity."""
    return replace(record, cell=replace(record.cell, gamma=record.cell.gamma + 1))


def measured_again(records: Records) -> Records:
    return [*records, *(replace(slowed(one, 0.9), attempt=2) for one in records[:5])]


def acceptance_that_falls(records: Records) -> Records:
    """The long drafts come from a study in which next to nothing was accepted, the short ones from a good one."""
    poor = simulate(but(LONG, acceptance=lambda *_: 0.05))
    return [bad if bad.cell.gamma == 16 else good for good, bad in zip(records, poor, strict=True)]


def speed_without_acceptance(records: Records) -> Records:
    """One prompt accepts nearly everything, the other nearly nothing; both run at the same speed per token."""
    rich = simulate(but(FEW_EACH, acceptance=lambda *_: 0.97))
    poor = simulate(but(FEW_EACH, acceptance=lambda *_: 0.02))
    mixed = []
    for good, bad in zip(rich, poor, strict=True):
        same = good.measurement.decode_wall_ns / bad.measurement.decode_wall_ns
        mixed.append(good if baseline(good) or good.cell.prompt == "short" else slowed(bad, same))
    return mixed


def smaller_peak(manifest: Manifest) -> Manifest:
    return replace(manifest, machine=replace(manifest.machine, nominal_bandwidth_bytes_per_s=100e9))


def twice_the_tokens(record: RunRecord) -> RunRecord:
    return with_measurement(record, tokens=record.measurement.tokens * 2)


FAULTS = (
    Fault("stale logits print every token several times", "repeated-output", each(repeating, speculative)),
    Fault("stale logits change the text", "lossless", each(repeating, speculative)),
    Fault("refused target passes take no time", "pass-time",
          each(lambda one: retimed(one, verify_ns=0.1), speculative)),
    Fault("refused draft passes take no time", "draft-pass-time",
          each(lambda one: retimed(one, draft_ns=0.1), speculative), TWO_DRAFTS),
    Fault("target rollback never proved", "rollback-proved", each(measured_as(target_proof=None), speculative)),
    Fault("draft rollback never proved", "rollback-proved", each(measured_as(draft_proof=None), speculative)),
    Fault("rollback proof shows the wrong state", "rollback-proved",
          each(measured_as(target_proof=replace(PROOF, rolled_back=PROOF.wrong_state)), speculative)),
    Fault("no rollback strategy at all", "rollback-proved",
          each(measured_as(target_rollback="none"), speculative)),
    Fault("cycles dropped from the count", "token-conservation", each(every_third_cycle_lost, speculative)),
    Fault("accepted tokens counted twice", "token-conservation", each(accepted_twice, speculative)),
    Fault("output cut short", "token-conservation",
          each(lambda one: with_measurement(one, tokens=one.measurement.tokens[:-8]), speculative)),
    Fault("one arm copies every row twice", "output-rows",
          each(lambda one: with_measurement(
              one, target_output_rows=2 * one.measurement.target_output_rows), speculative)),
    Fault("a draft that outputs its whole batch", "output-rows",
          each(lambda one: with_measurement(
              one, draft_output_rows=one.measurement.draft_output_rows + 7), speculative)),
    Fault("tokens counted twice", "identity-closes", each(twice_the_tokens, speculative)),
    Fault("more accepted than drafted", "counts-in-range",
          each(lambda one: with_cycles(one, accepted=added(one.measurement.cycles.drafted, 1)), speculative)),
    Fault("a draft longer than gamma", "counts-in-range",
          each(lambda one: with_cycles(one, drafted=added(one.measurement.cycles.drafted, 9)), speculative)),
    Fault("negative time", "counts-in-range",
          each(lambda one: with_cycles(one, sample_ns=[-1] * len(one.measurement.cycles.sample_ns)))),
    Fault("nothing drafted under SD", "nothing-drafted", each(never_drafting, speculative)),
    Fault("parts longer than the whole", "times-add-up",
          each(lambda one: with_measurement(one, decode_wall_ns=one.measurement.decode_wall_ns // 2))),
    Fault("time in llama.cpp longer than the whole", "times-add-up",
          each(lambda one: with_measurement(one, llama_ns=one.measurement.decode_wall_ns * 2))),
    Fault("another text than plain decoding", "lossless", each(other_text, speculative)),
    Fault("baseline on another prompt", "other-prompt",
          each(measured_as(prompt_tokens_sha256="ff" * 32), baseline)),
    Fault("baseline on a longer prompt", "other-prompt",
          each(measured_as(n_prompt_tokens=500, prefill_tokens=499), baseline)),
    Fault("baseline of a slower program", "tau-bound", each(lambda one: slowed(one, 3.0), baseline)),
    Fault("baseline with another budget", "unequal-budgets", each(shorter, baseline)),
    Fault("prompt left in the cache", "cached-prefill", each(measured_as(prefill_tokens=0), speculative)),
    Fault("warm cache makes prefill free", "cached-prefill",
          each(measured_as(prefill_target_ns=1000), lambda one: one.cell.block == 3)),
    Fault("second half throttled", "drift", second_half(lambda one: slowed(one, 1.5))),
    Fault("reference cell slows down", "reference-drift",
          second_half(lambda one: slowed(one, 1.5)), WITH_REFERENCES),
    Fault("unplugged half-way", "power-change", second_half(
        recorded_as(state_before=MachineState(power_source="battery", thermal_level="nominal")))),
    Fault("low power mode half-way", "power-change", second_half(
        recorded_as(state_after=replace(STATE, low_power_mode=True)))),
    Fault("on battery throughout", "power-change", each(
        recorded_as(state_before=replace(STATE, power_source="battery"),
                    state_after=replace(STATE, power_source="battery")))),
    Fault("overheated", "thermal-change",
          second_half(recorded_as(state_after=replace(STATE, thermal_level="serious")))),
    Fault("out of memory", "memory-pressure",
          second_half(recorded_as(state_after=replace(STATE, memory_pressure="critical")))),
    Fault("builds swapped half-way", "mixed-builds", second_half(recorded_as(engine_version="sim-2"))),
    Fault("another file under the same role", "mixed-models",
          each(other_file, lambda one: speculative(one) and one.cell.target == "dense-9b")),
    Fault("cell relabelled after the run", "run-identity", each(relabelled, speculative)),
    Fault("runs copied", "duplicate-runs", lambda records: [*records, *records[:7]]),
    Fault("good runs measured again", "remeasured-runs", measured_again),
    Fault("a block missing", "missing-cells", without_last_block_of_one_target),
    Fault("half of the plan never run", "missing-cells", lambda records: records[: len(records) // 2]),
    Fault("a cell that was not planned", "missing-cells", one_cell_too_many),
    Fault("baselines missing", "baseline-missing", without_baselines_of_one_prompt),
    Fault("failed runs", "failed-runs", each(failed, lambda one: one.cell.prompt == "chinese")),
    Fault("all baselines first, then gamma by gamma", "not-interleaved", by_gamma),
    Fault("baseline always first", "not-interleaved", baseline_first),
    Fault("phantom: cycle too short", "cycle-time", each(phantom, speculative), TWO_DRAFTS),
    Fault("phantom: more drafts than the draft can make", "draft-budget", each(phantom, speculative), TWO_DRAFTS),
    Fault("phantom: both drafts give one target pass", "phantom-signature",
          each(phantom, speculative), TWO_DRAFTS),
    Fault("longer drafts accept less", "acceptance-falls", acceptance_that_falls, LONG),
    Fault("speed without acceptance", "acceptance-without-effect", speed_without_acceptance, FEW_EACH),
    Fault("faster than the memory", "bandwidth", lambda records: records, manifest=smaller_peak),
)  # fmt: skip


def spoiled(fault: Fault) -> tuple[Manifest, Records]:
    """Manifest and records of the spoiled study."""
    return fault.manifest(manifest_of(fault.config)), fault.spoil(simulate(fault.config))
