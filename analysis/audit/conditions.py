"""Rules about the machine while it measured: it must not drift, change its power source, or throttle.

Pairing within a comparison cancels what changes slowly; what is found here still limits how far figures of
different blocks and suites compare.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from analysis.audit.evidence import CONFIGURATION, StudyEvidence, of_study
from analysis.audit.finding import Finding, listed
from analysis.load import FloatArray, completed

MIN_RUNS = 12
MIN_REFERENCES = 5
LEAST_DRIFT = 0.10
NOISE_ROOM = 3.0
"""A step counts when it exceeds so many times the noise of single runs: a noisy but steady machine is none."""
WATCHED: Mapping[str, tuple[str, tuple[object, ...]]] = {
    "power_source": ("power-change", ("battery",)),
    "low_power_mode": ("power-change", (True,)),
    "thermal_level": ("thermal-change", ("serious", "critical")),
    "memory_pressure": ("memory-pressure", ("critical",)),
}
"""Probe -> its rule, and the values that are bad by themselves."""


@of_study
def reference_drift(found: StudyEvidence) -> Iterator[Finding]:
    """The reference cell, always the same, takes the same time throughout."""
    runs = completed(found.study.runs)
    runs = runs[runs["purpose"] == "reference"]
    yield from _drift("reference-drift", runs, ["target", "pair_draft"], MIN_REFERENCES)


@of_study
def drift(found: StudyEvidence) -> Iterator[Finding]:
    """The same cell takes the same time in early and in late blocks."""
    yield from _drift("drift", found.cells, ["suite", "target", "pair_draft"], MIN_RUNS)


def _drift(rule: str, runs: pd.DataFrame, apart: list[str], least: int) -> Iterator[Finding]:
    ordered = [group.sort_values("line") for _, group in runs.groupby(apart)]
    measured = [(values, group) for group in ordered if len(values := residuals(group)) >= least]
    if not measured:
        return
    steps = [(largest_step(values), group) for values, group in measured]
    step, group = max(steps, key=lambda pair: abs(pair[0]))
    noise = single_run_noise([values for values, _ in measured])
    if abs(step) > max(np.log1p(LEAST_DRIFT), NOISE_ROOM * noise):
        yield _drifted(rule, group, step, apart)


def _drifted(rule: str, runs: pd.DataFrame, step: float, apart: list[str]) -> Finding:
    ratio = float(np.exp(step))
    named = " ".join(str(runs[name].iloc[0]) for name in apart)
    return Finding(
        rule, "warning", listed(runs["run_id"]), {"late_per_early": ratio, "runs": len(runs)},
        f"{named}: the same cells take {ratio:.2f} times as long late in the study as early. The machine "
        "slowed down (heat, another load) or sped up while it measured.",
        "Speedups within a block still hold; compare no times across blocks, and measure again on a "
        "quiet, cool machine.",
    )  # fmt: skip


def residuals(runs: pd.DataFrame) -> FloatArray:
    """ln of time per cycle against the mean of the same cell over its blocks, in order of time; shape (n,).

    Per cycle and not per token: what is accepted is no matter of the machine.
    """
    per_cycle = runs["decode_wall_ns"] / runs["n_cycles"].where(runs["n_cycles"] > 0)
    logs = pd.Series(np.log(per_cycle), index=runs.index)
    cells = logs.groupby([runs[name] for name in ("suite", *CONFIGURATION)], dropna=False)
    several = cells.transform("size") > 1
    values: FloatArray = (logs - cells.transform("mean"))[several].to_numpy(dtype=float)
    return values[np.isfinite(values)]


def largest_step(values: FloatArray) -> float:
    """Late minus early mean at the split that divides `values`, shape (n,), n >= 4, most."""
    n = len(values)
    sums = np.cumsum(values)
    splits = np.arange(n // 4, n - n // 4)
    steps = (sums[-1] - sums[splits - 1]) / (n - splits) - sums[splits - 1] / splits
    return float(steps[np.argmax(np.abs(steps))])


def single_run_noise(series: list[FloatArray]) -> float:
    """Standard deviation of ln(time) of single runs, from neighbours in time, which a slow drift leaves alone."""
    return float(np.sqrt(np.mean(np.concatenate([np.diff(values) for values in series]) ** 2) / 2))


@of_study
def state_changes(found: StudyEvidence) -> Iterator[Finding]:
    """Power source, power mode, heat and memory are the same, and good, before and after every run."""
    runs = found.judged
    for probe, (rule, bad) in WATCHED.items():
        states = pd.concat([runs[f"{moment}_{probe}"] for moment in ("before", "after")])
        seen = {value for value in states.dropna().unique() if _of_interest(probe, value, bad)}
        wrong = [value for value in seen if value in bad]
        if len(seen) > 1 or wrong:
            rows = states.index[states.isin(wrong or seen)].unique()
            yield Finding(
                rule, "warning", listed(runs.loc[rows, "run_id"]), {"runs": len(rows)},
                f"{probe.replace('_', ' ')} was {', '.join(sorted(map(str, seen)))} during the study.",
                "Measure on mains, in full-power mode, with nothing else running and time to cool; then again.",
            )  # fmt: skip


def _of_interest(probe: str, value: object, bad: tuple[object, ...]) -> bool:
    """A change of power counts in either direction; of heat and memory only the bad levels do."""
    return probe in ("power_source", "low_power_mode") or value in bad
