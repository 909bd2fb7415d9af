"""v(n): what one pass over n tokens costs, measured by the suite `verify-cost` with real continuation tokens.

Each sweep run verifies every batch size equally often in random order, so position and drift hit all sizes alike;
t₁ is the baseline of the same comparison. llama.cpp builds its graph anew when a pass has another size than the
one before. Small sizes come twice in a row, so what that costs is known, and it is no part of v(n): speculation
at one γ verifies the same number of tokens again and again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import nan
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import brentq, isotonic_regression

from analysis.accounting import pairs
from analysis.load import FloatArray, RunArrays, Study
from analysis.render import Column, Document, Row, Table
from analysis.stats import Estimate, means
from runner.drafter_names import SWEEP
from runner.errors import DataError

SUITE = "verify-cost"
SHOWN = (1, 2, 3, 5, 9, 17, 33)
GAMMAS = (4, 8, 16)
NEARLY_FREE = 0.1
"""One more token that costs less than this share of t₁ is called nearly free."""


@dataclass(frozen=True)
class CostCurve:
    """v(n) of one target. `samples[n]` holds every measured pass over n tokens, in units of t₁.

    Where passes follow others of their size, only those count; else `change` is taken off.
    """

    target: str
    t1_ms: float
    change: float
    """What a pass of another size than the one before takes more, in t₁."""
    samples: Mapping[int, FloatArray]
    prompts: Mapping[int, tuple[str, ...]]
    """Prompt of each sample."""

    def estimate(self, n_tokens: int) -> Estimate:
        """v(n) with its interval. Raises DataError when no pass had n tokens."""
        if n_tokens not in self.samples:
            raise DataError(f"{self.target}: no pass over {n_tokens} tokens was measured; run the suite {SUITE}")
        return means(self.samples[n_tokens], self.prompts[n_tokens], neutral=1.0)

    def smooth(self) -> tuple[list[int], FloatArray]:
        """Batch sizes and the monotone least-squares fit of v(n) through all samples."""
        sizes = sorted(self.samples)
        medians = [float(np.median(self.samples[size])) for size in sizes]
        fit = isotonic_regression(medians, weights=[len(self.samples[size]) for size in sizes])
        return sizes, np.asarray(fit.x)

    def at(self, n_tokens: NDArray[np.floating[Any]]) -> FloatArray:
        """v at any batch size, interpolated between measured ones; shape of `n_tokens`."""
        sizes, fitted = self.smooth()
        found: FloatArray = np.interp(n_tokens, sizes, fitted)
        return found

    def nearly_free_from(self) -> int | None:
        """Smallest n at which one more token adds less than `NEARLY_FREE` t₁; None when there is none."""
        sizes, fitted = self.smooth()
        steps = np.diff(fitted) / np.diff(sizes)
        return next((size for size, step in zip(sizes, steps, strict=False) if step < NEARLY_FREE), None)


def cost_curves_by_gamma(study: Study) -> dict[tuple[str, int], CostCurve]:
    """(target, γ) -> curve up to γ + 1 tokens.

    Each γ has its own context, which keeps γ snapshots, and these slow every pass.
    """
    swept = pairs(study)
    swept = swept[swept["draft"] == SWEEP]
    keys = sorted({(str(target), int(gamma)) for target, gamma in swept[["target", "gamma"]].to_numpy()})
    return {
        (target, gamma): _curve(target, study, swept[(swept["target"] == target) & (swept["gamma"] == gamma)])
        for target, gamma in keys
    }


def fitting_curve(curves: Mapping[tuple[str, int], CostCurve], target: str, n_tokens: int) -> CostCurve | None:
    """The curve of the smallest swept γ that verifies `n_tokens` at once, or None when no γ is large enough."""
    gammas = [gamma for swept, gamma in curves if swept == target and gamma + 1 >= n_tokens]
    return curves[target, min(gammas)] if gammas else None


def _curve(target: str, study: Study, runs: pd.DataFrame) -> CostCurve:
    passes = pd.concat([_passes(study.arrays[int(str(row))], run) for row, run in runs.iterrows()])
    change = _cost_of_change(passes)
    by_size = {int(str(size)): _steady(group, change) for size, group in passes.groupby("size")}
    return CostCurve(
        target=target,
        t1_ms=float(runs["t1_ms"].median()),
        change=change,
        samples={size: group["v"].to_numpy(float) for size, group in by_size.items()},
        prompts={size: tuple(group["prompt"]) for size, group in by_size.items()},
    )


def _passes(arrays: RunArrays, run: pd.Series) -> pd.DataFrame:
    """Every pass of one run: its size, v, prompt, and whether the pass before had another size."""
    sizes = arrays.drafted + 1
    v = arrays.verify_ns / 1e6 / float(run["t1_ms"])
    changed = np.concatenate([[True], sizes[1:] != sizes[:-1]])
    return pd.DataFrame({"size": sizes, "v": v, "prompt": str(run["prompt"]), "changed": changed})


def _cost_of_change(passes: pd.DataFrame) -> float:
    """Median over sizes of what the first of two equal passes takes more than the second; never below 0."""
    medians = passes.groupby(["size", "changed"])["v"].median().unstack()
    if not {True, False} <= set(medians.columns):
        return 0.0
    more = (medians[True] - medians[False]).dropna()
    return max(0.0, float(more.median())) if len(more) else 0.0


def _steady(group: pd.DataFrame, change: float) -> pd.DataFrame:
    steady = group[~group["changed"]]
    return steady if len(steady) else group.assign(v=group["v"] - change)


def expected_tokens(acceptance: float, gamma: int) -> float:
    """τ of independent acceptance with one probability: (1 - p^(γ+1)) / (1 - p). MoESD Eq. 5 times γ+1."""
    return float(sum(acceptance**position for position in range(gamma + 1)))


def break_even_acceptance(cost: float, gamma: int) -> float:
    """Smallest per-token acceptance at which τ reaches `cost`, a cycle's cost in t₁; NaN when none does."""
    if cost > gamma + 1:
        return nan
    if cost <= 1:
        return 0.0
    return float(brentq(lambda p: expected_tokens(p, gamma) - cost, 0.0, 1.0))


def verify_cost_document(study: Study) -> Document:
    """The tables of the suite. Raises DataError when it was not run."""
    curves = cost_curves_by_gamma(study)
    if not curves:
        raise DataError(f"{study.name}: no batch size was swept; run `python -m runner suite {SUITE}`")
    return Document(study.name, (_cost_table(curves), _break_even_table(study, curves)))


def _targets(curves: Mapping[tuple[str, int], CostCurve]) -> dict[str, CostCurve]:
    """Target -> its longest curve."""
    return {target: curve for (target, _), curve in sorted(curves.items())}


def _cost_table(curves: Mapping[tuple[str, int], CostCurve]) -> Table:
    columns = (
        Column("target", "Target"),
        Column("t1_ms", "t₁", "ms"),
        *(Column(f"v{size}", f"v({size})", "factor") for size in SHOWN),
        Column("free_from", "Nearly free from n", "count"),
        Column("change", "Change of size", "factor"),
    )
    notes = (
        "v(n) is the time of one pass over n tokens divided by the baseline's time per token.",
        "Each n in the context of the smallest swept γ that verifies it: more snapshots make a context slower.",
        "Change of size: what a pass takes more when the one before had another size; it is no part of v(n).",
        f"Nearly free: one more token adds less than {NEARLY_FREE:.0%} of t₁, at the largest γ; empty: nowhere.",
    )
    return Table("verify-cost", "Cost of one pass over n tokens", columns, tuple(_cost_rows(curves)), notes)


def _cost_rows(curves: Mapping[tuple[str, int], CostCurve]) -> Iterator[Row]:
    for target, longest in _targets(curves).items():
        fitting = ((size, fitting_curve(curves, target, size)) for size in SHOWN)
        shown = {f"v{size}": one.estimate(size) for size, one in fitting if one and size in one.samples}
        yield {
            "target": target,
            "t1_ms": longest.t1_ms,
            **shown,
            "free_from": longest.nearly_free_from(),
            "change": longest.change,
        }


def _break_even_table(study: Study, curves: Mapping[tuple[str, int], CostCurve]) -> Table:
    columns = (
        Column("target", "Target"),
        Column("draft", "Draft"),
        Column("draft_ratio", "T_D / t₁", "factor"),
        *(Column(f"free{gamma}", f"free draft, γ {gamma}", "share") for gamma in GAMMAS),
        *(Column(f"paid{gamma}", f"this draft, γ {gamma}", "share") for gamma in GAMMAS),
    )
    notes = (
        "Break-even: the per-token acceptance at which speculation is as fast as the baseline.",
        "Each γ in its own context. Drafts: every smaller model that was swept, at its own t₁ per drafted token.",
        "Rollback and sampling are not counted. Empty: not even full acceptance would do.",
    )
    rows = tuple(_break_even_rows(study, curves))
    return Table("break-even", "Acceptance that speculation needs to break even", columns, rows, notes)


def _break_even_rows(study: Study, curves: Mapping[tuple[str, int], CostCurve]) -> Iterator[Row]:
    targets = _targets(curves)
    for target, alone in targets.items():
        for draft, drafting in targets.items():
            if study.model(draft).parameters >= study.model(target).parameters:
                continue
            ratio = drafting.t1_ms / alone.t1_ms
            row: dict[str, float | str] = {"target": target, "draft": draft, "draft_ratio": ratio}
            for gamma in GAMMAS:
                if (curve := fitting_curve(curves, target, gamma + 1)) is not None:
                    verify = float(curve.at(np.array([gamma + 1.0]))[0])
                    row[f"free{gamma}"] = break_even_acceptance(verify, gamma)
                    row[f"paid{gamma}"] = break_even_acceptance(verify + gamma * ratio, gamma)
            yield {key: None if value != value else value for key, value in row.items()}  # noqa: PLR0124
