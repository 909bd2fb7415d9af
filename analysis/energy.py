"""Energy per token, and what speculation does to it, where the machine counted it (`runner.record.Energy`).

What is added up is CPU, GPU, memory and neural engine, as far as each of them was counted in every run of a
configuration and in every baseline beside it: else a ratio would compare different sums. GPU SRAM stays out, as
it may be part of the GPU's figure.

Keys of a row: suite, target, draft, gamma, mj_per_token, baseline_mj_per_token, energy_ratio, n_runs, and as
plain numbers the summands cpu_mj_per_token, gpu_..., dram_... and ane_....
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.configurations import SWEEP_SUITE, Configuration
from analysis.load import FloatArray, Study
from analysis.render import Row, Value
from analysis.stats import Estimate, means, ratios

SUMMANDS = ("cpu", "gpu", "dram", "ane")
NOTE = (
    "Energy of the decode loop alone, without prefill, by counters that count the whole machine; on a Mac they"
    " are estimates. Over baseline: below 1 speculation saves energy."
)


def energy_rows(study: Study, found: Sequence[Configuration]) -> tuple[Row, ...]:
    """One row per configuration whose energy was counted, without the suite that asks about prompt length."""
    rows = (_row(study, one) for one in found if one.suite != SWEEP_SUITE)
    return tuple(row for row in rows if row is not None)


def mean_mj_per_token(done: pd.DataFrame) -> Estimate | None:
    """Of completed runs, all counters together; None when no run was counted."""
    counted = done[_counted(done)]
    counters = _shared(counted)
    return means(_mj_per_token(counted, counters), list(counted["prompt"])) if counters else None


def _row(study: Study, one: Configuration) -> Row | None:
    plain = study.runs.loc[one.pairs["baseline_row"]]
    both = _counted(one.pairs) & _counted(plain)
    speculative, plain = one.pairs[both], plain[both]
    counters = _shared(speculative, plain)
    spent, before = _mj_per_token(speculative, counters), _mj_per_token(plain, counters)
    moved = (spent > 0) & (before > 0)
    if not moved.any():
        return None
    speculative, spent, before = speculative[moved], spent[moved], before[moved]
    prompts = list(speculative["prompt"])
    row: dict[str, Value] = {
        "suite": one.suite, "target": one.target, "draft": one.draft, "gamma": one.gamma,
        "mj_per_token": means(spent, prompts), "baseline_mj_per_token": means(before, prompts),
        "energy_ratio": ratios(np.log(spent / before), prompts), "n_runs": len(speculative),
    }  # fmt: skip
    for name in counters:
        row[f"{name}_mj_per_token"] = means(_mj_per_token(speculative, (name,)), prompts).point
    return row


def _counted(runs: pd.DataFrame) -> NDArray[np.bool_]:
    """Which runs some summand was counted in and moved; shape (n,)."""
    return (runs[_COLUMNS].sum(axis=1) > 0).to_numpy(dtype=bool)


def _shared(*groups: pd.DataFrame) -> tuple[str, ...]:
    """Counters that every run of every group has; none where there is no run."""
    runs = pd.concat([group[_COLUMNS] for group in groups])
    return tuple(name for name in SUMMANDS if len(runs) and runs[_column(name)].notna().all())


def _mj_per_token(runs: pd.DataFrame, counters: Sequence[str]) -> FloatArray:
    """Shape (n,)."""
    total = runs[[_column(name) for name in counters]].sum(axis=1)
    return (total / runs["n_tokens"]).to_numpy(dtype=float)


def _column(name: str) -> str:
    return f"energy_{name}_mj"


_COLUMNS = [_column(name) for name in SUMMANDS]
