"""Measured points that the model is fitted to: one row per (K, γ, B), checked before anything is computed.

Columns of the CSV file or frame; the first four must be there, others than these are ignored:

    K               experts used per token, 1 to E
    gamma           drafted tokens per cycle, >= 1
    B               sequences decoded together, >= 1
    speedup         time per token without SD over with SD
    sigma           share of the γ + 1 possible tokens that a cycle yields (Eq. 5); else the facts' [sigma]
    target_1_ms     T_T(B, 1)         one pass, one token per sequence
    target_gamma_ms T_T(B, γ)         one pass, γ tokens per sequence
    target_gamma1_ms T_T(B, γ + 1)    one pass, γ + 1 tokens per sequence
    draft_ms        T_D(B, 1)         one draft pass
    reject_ms       T_rej             rejection sampling of one cycle
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.csv_table import csv_table, read_text
from analysis.moesd.facts import Facts
from analysis.moesd.theory import FloatArray
from analysis.moesd.times import Points
from runner.errors import DataError, UsageError
from runner.parsing import printable

KEYS = ("K", "gamma", "B")
REQUIRED = (*KEYS, "speedup")
TIMES = ("target_1_ms", "target_gamma_ms", "target_gamma1_ms", "draft_ms", "reject_ms")
COLUMNS = (*REQUIRED, "sigma", *TIMES)
LINE = "line"


@dataclass(frozen=True)
class Grid:
    """Checked points, sorted by K, then γ, then B. `frame` holds the `COLUMNS` that the data had."""

    frame: pd.DataFrame
    points: Points
    speedup: FloatArray
    """Shape (n,)."""

    def __len__(self) -> int:
        return len(self.frame)

    def where(self, chosen: NDArray[np.bool_]) -> Grid:
        """The points that are `chosen`, shape (n,)."""
        fields = {name: values[chosen] for name, values in _fields(self.points).items()}
        return Grid(self.frame[chosen].reset_index(drop=True), Points(**fields), self.speedup[chosen])

    def every(self, stride: int) -> Grid:
        """`df[::stride]` of the appendix. UsageError for a stride below 1."""
        if stride < 1:
            raise UsageError(f"--stride {stride}: a stride is 1 or more")
        return self.where(np.arange(len(self)) % stride == 0)

    def with_speedup(self, speedup: FloatArray) -> Grid:
        """The same points with other speedups, shape (n,)."""
        return replace(self, frame=self.frame.assign(speedup=speedup), speedup=speedup)

    def target_efficiency(self, facts: Facts) -> FloatArray | None:
        """Measured T_T(B, 1) over the measured verification, shape (n,); None where it was not measured."""
        verify = "target_gamma_ms" if facts.verified == "gamma" else "target_gamma1_ms"
        if not {"target_1_ms", verify} <= set(self.frame.columns):
            return None
        return (self.frame["target_1_ms"] / self.frame[verify]).to_numpy(dtype=np.float64)

    def max_reject_ms(self, facts: Facts) -> float:
        """T_rej of the appendix: the longest measured rejection sampling, else the facts'. DataError without."""
        if "reject_ms" in self.frame.columns and self.frame["reject_ms"].max() > 0.0:
            return float(self.frame["reject_ms"].max())
        if facts.rejection is None:
            raise DataError("no rejection time: give the data a column reject_ms or the facts [rejection] max_ms")
        return facts.rejection.max_ms


def read_grid(path: Path, facts: Facts) -> Grid:
    """The points of a CSV file. DataError names file, line, column and reason."""
    table = csv_table(read_text(path), path.name)
    found = list(table.rows)
    lines = pd.Index([line for line, _ in found], name=LINE)
    frame = pd.DataFrame([cells for _, cells in found], columns=table.header, index=lines)
    return grid_of(frame, facts, path.name)


def grid_of(frame: pd.DataFrame, facts: Facts, where: str) -> Grid:
    """The points of a frame; `where` names it in errors. DataError for all that the module's table forbids.

    An index of the name `LINE` says in which line of that file each row stands.
    """
    missing = [name for name in REQUIRED if name not in frame.columns]
    if missing:
        raise DataError(f"{where}: missing column {', '.join(missing)}; needed are {', '.join(REQUIRED)}")
    frame = _numbers(frame[[name for name in COLUMNS if name in frame.columns]], where)
    _check(frame, facts, where)
    if "sigma" not in frame.columns:
        frame = frame.assign(sigma=_sigma(frame, facts, where))
    frame = frame.sort_values(list(KEYS)).reset_index(drop=True)
    speedup = frame["speedup"].to_numpy(dtype=np.float64)
    return Grid(frame, points_of(frame, facts), speedup)


def points_of(frame: pd.DataFrame, facts: Facts) -> Points:
    """The `Points` of a frame with the columns K, gamma, B and sigma."""
    used, gamma, batch, sigma = (frame[name].to_numpy(dtype=np.float64) for name in (*KEYS, "sigma"))
    verified = gamma if facts.verified == "gamma" else gamma + 1.0
    experts = float(facts.target.experts)
    return Points.of(experts=experts, used=used, gamma=gamma, verified=verified, batch=batch, sigma=sigma)


def _fields(points: Points) -> dict[str, FloatArray]:
    return {name: getattr(points, name) for name in Points.__dataclass_fields__}


def _numbers(frame: pd.DataFrame, where: str) -> pd.DataFrame:
    if frame.empty:
        raise DataError(f"{where}: no rows")
    columns = {name: pd.to_numeric(frame[name], errors="coerce").astype("float64") for name in frame.columns}
    numbers = pd.DataFrame(columns)
    _refuse(~numbers.apply(np.isfinite), frame, where, "is not a finite number")
    return numbers


def _check(frame: pd.DataFrame, facts: Facts, where: str) -> None:
    keys = frame[list(KEYS)]
    _refuse(keys != keys.round(), frame, where, "is not a whole number")
    _refuse(keys < 1, frame, where, "is below 1")
    experts = facts.target.experts
    _refuse(frame[["K"]] > experts, frame, where, f"exceeds the target's {experts} experts")
    measured = frame.drop(columns=[*KEYS, "reject_ms"], errors="ignore")
    _refuse(measured <= 0.0, frame, where, "is not positive")
    if "reject_ms" in frame:
        _refuse(frame[["reject_ms"]] < 0.0, frame, where, "is negative")
    if "sigma" in frame:
        least = 1.0 / (frame["gamma"] + 1.0)
        outside = (frame["sigma"] > 1.0) | (frame["sigma"] < least - 1e-9)
        _refuse(outside.to_frame("sigma"), frame, where, "is outside [1/(gamma+1), 1]")
    repeated = keys.duplicated()
    if repeated.any():
        second = int(np.flatnonzero(repeated)[0])
        key = ", ".join(f"{name}={keys[name].iloc[second]:g}" for name in KEYS)
        raise DataError(f"{_place(where, frame, second)}: two rows for {key}; keep one, or their mean")


def _refuse(bad: pd.DataFrame, frame: pd.DataFrame, where: str, why: str) -> None:
    rows, columns = np.nonzero(bad.to_numpy())
    if len(rows):
        name, row = bad.columns[columns[0]], int(rows[0])
        value = printable(str(frame[name].iloc[row]))[:40] or "''"
        raise DataError(f"{_place(where, frame, row)}: {name} {value} {why}")


def _place(where: str, frame: pd.DataFrame, row: int) -> str:
    return f"{where}:{frame.index[row]}" if frame.index.name == LINE else f"{where}: row {row + 1}"


def _sigma(frame: pd.DataFrame, facts: Facts, where: str) -> pd.Series[float]:
    sigma = frame["gamma"].map(facts.sigma)
    if sigma.isna().any():
        row = int(np.flatnonzero(sigma.isna())[0])
        gamma, place = frame["gamma"].iloc[row], _place(where, frame, row)
        raise DataError(f"{place}: no sigma for gamma {gamma:g}; add a column, or [sigma] to the facts")
    return sigma
