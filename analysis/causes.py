"""What does the cost of verifying follow: all weight bytes, the active ones, or the experts that are touched?

The published reading is that a target with more bytes in memory gains more from verifying in one pass, so that v
falls with total bytes (seed 003). MoESD's model says that a pass over n tokens loads N(n) experts, so that v
rises with N(γ+1)/N(1), which is 1 for a dense target (arXiv 2505.19645, Eq. 6-8). Each reading is one straight
line with two coefficients,

    total, active:  v - 1 = γ·(a + b·ln bytes)        experts:  v - 1 = γ·a + b·(N(γ+1)/N(1) - 1)

and is judged by how well it predicts a target that it was not fitted to. Four targets are few: where resampling
does not single out one reading, the answer is that the data cannot decide.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from analysis.configurations import Configuration
from analysis.load import FloatArray, Study
from analysis.moesd.theory import experts_loaded
from analysis.render import Column, Table
from analysis.stats import resampled
from runner.record import ModelFacts

MIN_TARGETS = 4
MIN_MOE = 2
DECISIVE_SHARE = 0.95

Reading = Literal["total bytes", "active bytes", "experts touched", "none of them"]
EXPECTED_SIGN: dict[Reading, int] = {"total bytes": -1, "active bytes": -1, "experts touched": 1}


@dataclass(frozen=True)
class Point:
    """v of one target at one γ: its estimate, and its resamples of shape (R,)."""

    facts: ModelFacts
    gamma: int
    v: float
    draws: FloatArray


@dataclass(frozen=True)
class Judgement:
    """One reading held against the data."""

    reading: Reading
    rank_correlation: float | None
    """Spearman's ρ of v with what the reading names, mean over γ; None where either is constant."""
    slope: float | None
    error: float
    """Root mean square relative error of v on targets left out of the fit."""
    best_share: float
    """Share of resamples in which it predicts best."""

    @property
    def supported(self) -> bool:
        """Best in nearly all resamples, and in the direction that it claims."""
        right_way = self.slope is None or self.slope * EXPECTED_SIGN[self.reading] > 0
        return self.best_share >= DECISIVE_SHARE and right_way


def cause_table(study: Study, found: Sequence[Configuration]) -> Table:
    """The readings side by side, and in the notes what the data say about them."""
    judgements, answer = causes(points(study, found))
    columns = (
        Column("reading", "v follows"), Column("expected", "Expected"),
        Column("rank_correlation", "Rank corr.", "difference"), Column("slope", "Slope", "difference"),
        Column("error", "Error on a target left out", "share"),
        Column("best_share", "Best in resamples", "share"), Column("supported", "Supported"),
    )  # fmt: skip
    rows = tuple(
        {
            "reading": one.reading, "expected": _expected(one.reading), "rank_correlation": one.rank_correlation,
            "slope": one.slope, "error": one.error, "best_share": one.best_share, "supported": one.supported,
        }
        for one in judgements
    )  # fmt: skip
    return Table("causes", "What does the verify ratio follow?", columns, rows, (answer,))


def points(study: Study, found: Sequence[Configuration]) -> list[Point]:
    """v of every target at every γ with the one draft that most configurations share."""
    if not found:
        return []
    draft = Counter(one.draft for one in found).most_common(1)[0][0]
    chosen = [one for one in found if one.draft == draft]
    measured = []
    for arm, one in enumerate(chosen):
        v, draws = resampled(one.column("v"), one.prompts, arm)
        measured.append(Point(study.model(one.target), one.gamma, float(v), draws))
    return measured


def causes(measured: Sequence[Point]) -> tuple[tuple[Judgement, ...], str]:
    """Every reading judged, and the answer in one sentence. No judgement where there are too few targets."""
    targets = {point.facts.role for point in measured}
    n_moe = len({point.facts.role for point in measured if point.facts.n_experts})
    if len(targets) < MIN_TARGETS or n_moe < MIN_MOE or n_moe == len(targets):
        return (), (
            f"Not tested: it takes {MIN_TARGETS} targets with one draft, {MIN_MOE} of them MoE and one dense; "
            f"this study has {len(targets)} and {n_moe}."
        )
    readings: tuple[Reading, ...] = (*EXPECTED_SIGN, "none of them")
    errors = np.array([_left_out_errors(measured, reading) for reading in readings])
    best = errors[:, 1:].argmin(axis=0)
    judgements = tuple(
        Judgement(
            reading, _rank_correlation(measured, reading), _slope(measured, reading), float(errors[i, 0]),
            float(np.mean(best == i)),
        )
        for i, reading in enumerate(readings)
    )  # fmt: skip
    return judgements, _answer(judgements)


def _answer(judgements: Sequence[Judgement]) -> str:
    for one in judgements:
        if one.supported and one.reading == "none of them":
            return (
                "No reading predicts a left-out target better than γ alone: v does not follow any of the three."
            )
        if one.supported:
            return f"v follows {one.reading}: best at left-out targets in {one.best_share:.0%} of resamples."
    wrong = [one.reading for one in judgements if _wrong_way(one)]
    against = f" The data run against {' and '.join(wrong)}: the slope has the other sign." if wrong else ""
    return f"The data cannot decide: no reading is best in {DECISIVE_SHARE:.0%} of resamples.{against}"


def _wrong_way(one: Judgement) -> bool:
    return one.slope is not None and one.slope * EXPECTED_SIGN[one.reading] < 0


def _expected(reading: Reading) -> str:
    sign = EXPECTED_SIGN.get(reading)
    return {None: "v follows γ alone", -1: "v falls with it", 1: "v rises with it"}[sign]


def _predictor(point: Point, reading: Reading) -> float:
    facts = point.facts
    if reading == "experts touched":
        if not facts.n_experts:
            return 1.0
        loaded = experts_loaded([point.gamma + 1, 1], facts.n_experts, facts.n_experts_used)
        return float(loaded[0] / loaded[1])
    return float(np.log(facts.size_bytes if reading == "total bytes" else facts.bytes_per_token))


def _design(measured: Sequence[Point], reading: Reading) -> FloatArray:
    """Columns of the straight line, shape (n_points, 1 or 2), divided by v so that errors are relative."""
    gamma = np.array([point.gamma for point in measured], dtype=float)
    if reading == "none of them":
        columns = [gamma]
    else:
        x = np.array([_predictor(point, reading) for point in measured])
        columns = [gamma, x - 1 if reading == "experts touched" else gamma * (x - x.mean())]
    v: FloatArray = np.array([point.v for point in measured])
    return np.asarray(np.column_stack(columns) / v[:, None], dtype=float)


def _responses(measured: Sequence[Point]) -> FloatArray:
    """(v - 1) / v: first column the estimates, then one per resample; shape (n_points, 1 + R)."""
    values = np.array([[point.v, *point.draws] for point in measured])
    return np.asarray((values - 1) / values[:, :1], dtype=float)


def _left_out_errors(measured: Sequence[Point], reading: Reading) -> FloatArray:
    """Error of each column of `_responses`, every target predicted from the others; shape (1 + R,)."""
    design, responses = _design(measured, reading), _responses(measured)
    roles = np.array([point.facts.role for point in measured])
    squares: FloatArray = np.zeros(responses.shape[1])
    for role in np.unique(roles):
        out = roles == role
        fitted = np.linalg.lstsq(design[~out], responses[~out], rcond=None)[0]
        squares += ((design[out] @ fitted - responses[out]) ** 2).sum(axis=0)
    return np.asarray(np.sqrt(squares / len(measured)), dtype=np.float64)


def _slope(measured: Sequence[Point], reading: Reading) -> float | None:
    if reading == "none of them":
        return None
    fitted = np.linalg.lstsq(_design(measured, reading), _responses(measured)[:, 0], rcond=None)[0]
    return float(fitted[1])


def _rank_correlation(measured: Sequence[Point], reading: Reading) -> float | None:
    if reading == "none of them":
        return None
    found = []
    for gamma in sorted({point.gamma for point in measured}):
        same = [point for point in measured if point.gamma == gamma]
        pairs = pd.DataFrame([(_predictor(point, reading), point.v) for point in same])
        if (pairs.nunique() > 1).all():
            found.append(float(pairs.corr(method="spearman").to_numpy()[0, 1]))
    return float(np.mean(found)) if found else None
