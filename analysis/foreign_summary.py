"""Rows of figures from a foreign log, under the keys of `analysis.summary`.

A log rarely pairs its runs. Each speculative run is divided by the baseline of its target on the same prompt and
repeat; where there is none, by the mean over repeats, then over prompts, and the notes say so.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.foreign import ForeignLog
from analysis.render import Row, Value
from analysis.stats import Estimate, means, ratios
from analysis.summary import label

_PAIRINGS = (["target", "prompt", "repeat"], ["target", "prompt"], ["target"])
_NOTES = (
    None,
    "no baseline of the same repeat: speedups are over the mean baseline of the prompt",
    "no baseline on the same prompt: speedups are over the mean baseline of other prompts, which proves little",
)


def foreign_baseline_rows(log: ForeignLog) -> tuple[Row, ...]:
    """One row per target that was decoded without a draft, slowest last."""
    plain = log.runs[log.runs["gamma"] == 0]
    rows = [_baseline(str(target), group) for target, group in plain.groupby("target", sort=True)]
    return tuple(sorted(rows, key=_speed, reverse=True))


def foreign_rows(log: ForeignLog) -> tuple[tuple[Row, ...], tuple[str, ...]]:
    """One row per target, draft and gamma, and notes on how speedups were paired.

    A stated speedup is taken as it stands; an empty one is computed.
    """
    paired, notes = _paired(log.runs)
    groups = paired.groupby(["target", "draft", "gamma"], sort=True)
    rows = tuple(_configuration(group) for _, group in groups)
    return rows, notes


def _baseline(target: str, group: pd.DataFrame) -> Row:
    done = _ended_well(group)
    return {
        "model": label(target), "role": target,
        "tok_s": ratios(np.log(done["tokens_per_s"]), list(done["prompt"])) if len(done) else None,
        "n_runs": len(group), "n_failed": len(group) - len(done),
    }  # fmt: skip


def _speed(row: Row) -> float:
    value = row["tok_s"]
    return value.point if isinstance(value, Estimate) else 0.0


def _configuration(group: pd.DataFrame) -> Row:
    done, first = _ended_well(group), group.iloc[0]
    return {
        "target": str(first["target"]), "draft": str(first["draft"]), "gamma": int(first["gamma"]),
        **_figures(done), "n_runs": len(group),
        "n_failed": len(group) - len(done),
    }  # fmt: skip


def _figures(done: pd.DataFrame) -> dict[str, Value]:
    stated = done[done["acceptance"].notna()]
    sped = done[done["speedup"].notna()]
    return {
        "tok_s": ratios(np.log(done["tokens_per_s"]), list(done["prompt"])) if len(done) else None,
        "speedup": ratios(np.log(sped["speedup"]), list(sped["prompt"])) if len(sped) else None,
        "acceptance": means(stated["acceptance"].to_numpy(), list(stated["prompt"])) if len(stated) else None,
    }


def _ended_well(runs: pd.DataFrame) -> pd.DataFrame:
    return runs[(runs["status"] == "ok") & runs["tokens_per_s"].notna()]


def _paired(runs: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Speculative runs with every empty speedup filled from the nearest baseline, and what had to be said."""
    plain, found = _ended_well(runs[runs["gamma"] == 0]), runs[runs["gamma"] > 0].copy()
    notes = []
    for key, note in zip(_PAIRINGS, _NOTES, strict=True):
        baselines = plain.groupby(key)["tokens_per_s"].mean().rename("baseline")
        beside = found[key].join(baselines, on=key)["baseline"]
        empty = found["speedup"].isna() & found["tokens_per_s"].notna() & beside.notna()
        found.loc[empty, "speedup"] = found["tokens_per_s"][empty] / beside[empty]
        if note and empty.any():
            notes.append(f"{int(empty.sum())} runs: {note}")
    return found, tuple(notes)
