"""Estimates with intervals: values paired in a block, equal weight to each prompt, hierarchical bootstrap.

Pairing happens before: each observation is one speculative run already divided by the baseline of its own block.
The bootstrap draws prompts, then blocks within each. All statistics are means of prompt means, so one resample is
a row of weights, and thousands of resamples of many quantities are one matrix product. Nothing prints: doubts
travel with the estimate as `Caveat` values.

>>> logs = np.log([1.1, 1.2, 1.1, 1.2])
>>> estimate = ratios(logs, ["code", "code", "chinese", "chinese"])
>>> round(estimate.point, 4), estimate.undecided
(1.1489, False)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import pandas as pd

from analysis.load import FloatArray
from runner.errors import DataError

LEVEL = 0.95
RESAMPLES = 2000
SEED = 306
MIN_BLOCKS = 6
"""Below six blocks no rank test of pairs reaches p < 0.05 (facts of golang/perf's benchstat)."""
MAX_MORE_BLOCKS = 1000
_Z = 1.959964

CaveatKind = Literal["one-prompt", "few-blocks", "broken-runs", "near-ties", "failed-runs", "unpaired-runs"]


@dataclass(frozen=True, order=True)
class Caveat:
    """A doubt about a figure, as a value; whoever renders says the worst of each kind once."""

    kind: CaveatKind
    weight: int
    """The larger, the worse."""
    text: str


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval. `neutral` means "no effect": 1 for ratios, 0 for differences."""

    point: float
    low: float
    high: float
    n_prompts: int
    n_blocks: int
    """Blocks of the prompt that has fewest."""
    level: float = LEVEL
    neutral: float = 1.0
    more_blocks: int | None = None
    """How many more blocks would probably decide; None when decided, or when only more prompts could."""
    caveats: tuple[Caveat, ...] = ()

    @property
    def undecided(self) -> bool:
        """Whether the interval contains the neutral value: tables then print `~`."""
        return not (self.low > self.neutral or self.high < self.neutral)


def ratios(logs: Sequence[float] | FloatArray, prompts: Sequence[str]) -> Estimate:
    """Geometric mean over prompts. `logs`: ln of one paired ratio per (prompt, block), shape (n,)."""
    column = np.asarray(logs, dtype=float)
    point, low, high = (math.exp(value) for value in interval(*resampled(column, prompts)))
    return _estimate(
        (point, low, high), prompts, neutral=1.0, more=_more_blocks_if_open(column, prompts, low, high)
    )


def means(values: Sequence[float] | FloatArray, prompts: Sequence[str], neutral: float = 0.0) -> Estimate:
    """Mean over prompts of the mean over blocks. `values`: shape (n,)."""
    return _estimate(interval(*resampled(np.asarray(values, dtype=float), prompts)), prompts, neutral=neutral)


def quotient(numerators: FloatArray, denominators: FloatArray, prompts: Sequence[str]) -> Estimate:
    """Ratio of two weighted sums, such as accepted to drafted; both shape (n,). NaN where nothing was counted."""
    return quotients(np.asarray(numerators)[:, None], np.asarray(denominators)[:, None], prompts)[0]


def quotients(numerators: FloatArray, denominators: FloatArray, prompts: Sequence[str]) -> tuple[Estimate, ...]:
    """`quotient` of each column; both shape (n, k)."""
    top, tops = resampled(np.asarray(numerators, dtype=float), prompts)
    bottom, bottoms = resampled(np.asarray(denominators, dtype=float), prompts)
    with np.errstate(divide="ignore", invalid="ignore"):
        points, draws = top / bottom, tops / bottoms
    return tuple(
        _estimate(interval(point, drawn), prompts, neutral=0.0)
        for point, drawn in zip(points, draws.T, strict=True)
    )


def contrast(
    left: FloatArray, left_prompts: Sequence[str], right: FloatArray, right_prompts: Sequence[str]
) -> Estimate:
    """exp(mean left - mean right) of two sets of logs measured apart on the same prompts.

    Both arms see the same resampled prompts; their blocks are resampled on their own. Raises DataError when the
    prompts differ.
    """
    if set(left_prompts) != set(right_prompts):
        raise DataError(
            "two arms with different prompts cannot be compared; restrict both to the prompts they share"
        )
    point_l, draws_l = resampled(np.asarray(left, dtype=float), left_prompts)
    point_r, draws_r = resampled(np.asarray(right, dtype=float), right_prompts, arm=1)
    found = interval(point_l - point_r, draws_l - draws_r)
    shape = left_prompts if _fewest(left_prompts) <= _fewest(right_prompts) else right_prompts
    return _estimate(tuple(math.exp(value) for value in found), shape, neutral=1.0)


def resampled(values: FloatArray, prompts: Sequence[str], arm: int = 0) -> tuple[FloatArray, FloatArray]:
    """Point, shape () or (k,), and resamples, (R,) or (R, k), of the mean of prompt means.

    `values` has shape (n,) or (n, k). Equal designs draw equal resamples, so quantities of the same runs stay
    paired; `arm` makes the blocks of another set of runs independent while its prompts stay the same.
    """
    if len(values) == 0:
        raise DataError("nothing to average: no completed run is left in this group")
    codes = np.unique(np.asarray(prompts, dtype=object).astype(str), return_inverse=True)[1]
    order = np.argsort(codes, kind="stable")
    weights = _weights(tuple(np.bincount(codes).tolist()), arm)
    drawn = weights @ values[order]
    return drawn[0], drawn[1:]


def interval(point: FloatArray | float, draws: FloatArray) -> tuple[float, float, float]:
    """Point with its percentile interval at `LEVEL`; `draws` has shape (R,)."""
    tail = (1 - LEVEL) / 2
    usable = draws[np.isfinite(draws)]
    if len(usable) == 0:
        return float(point), float("nan"), float("nan")
    low, high = np.quantile(usable, [tail, 1 - tail])
    return float(point), float(low), float(high)


@lru_cache(maxsize=4)
def _weights(blocks_of_prompt: tuple[int, ...], arm: int) -> FloatArray:
    """Weights of the observations, sorted by prompt: row 0 for the point, one row per resample below it.

    Drawing a prompt m times and its blocks each time anew equals one multinomial draw of m times its blocks.
    """
    n_prompts = len(blocks_of_prompt)
    drawn = np.random.default_rng([SEED, n_prompts]).multinomial(
        n_prompts, np.full(n_prompts, 1 / n_prompts), size=RESAMPLES
    )
    rng = np.random.default_rng([SEED, arm, *blocks_of_prompt])
    parts = []
    for prompt, n_blocks in enumerate(blocks_of_prompt):
        counts = rng.multinomial(drawn[:, prompt] * n_blocks, np.full(n_blocks, 1 / n_blocks))
        parts.append(np.vstack([np.ones(n_blocks), counts]) / (n_prompts * n_blocks))
    return np.hstack(parts)


def _estimate(
    found: tuple[float, ...], prompts: Sequence[str], neutral: float, more: int | None = None
) -> Estimate:
    point, low, high = found
    n_prompts, n_blocks = len(set(prompts)), _fewest(prompts)
    return Estimate(
        point, low, high, n_prompts, n_blocks, neutral=neutral, more_blocks=more,
        caveats=_caveats(n_prompts, n_blocks),
    )  # fmt: skip


def _caveats(n_prompts: int, n_blocks: int) -> tuple[Caveat, ...]:
    found = []
    if n_prompts == 1:
        found.append(Caveat("one-prompt", 1, "One prompt only: its interval says nothing about other prompts."))
    if n_blocks < MIN_BLOCKS:
        text = (
            f"As few as {n_blocks} block(s): intervals are rough below {MIN_BLOCKS}; use --repeats {MIN_BLOCKS}."
        )
        found.append(Caveat("few-blocks", MIN_BLOCKS - n_blocks, text))
    return tuple(found)


def _fewest(prompts: Sequence[str]) -> int:
    names, counts = np.unique(np.asarray(prompts, dtype=object).astype(str), return_counts=True)
    return int(counts.min()) if len(names) else 0


def _more_blocks_if_open(logs: FloatArray, prompts: Sequence[str], low: float, high: float) -> int | None:
    return more_blocks(logs, prompts) if low <= 1.0 <= high else None


def more_blocks(logs: FloatArray, prompts: Sequence[str]) -> int | None:
    """How many blocks beyond those measured would bring the interval clear of 1, if the effect is what it seems.

    Blocks only shrink the variance within prompts: when the variance between prompts alone keeps 1 inside, or a
    single block leaves the variance within unknown, the answer is None.
    """
    groups = [group.to_numpy() for _, group in pd.Series(logs).groupby(np.asarray(prompts, dtype=object))]
    n_blocks = min(len(group) for group in groups)
    if n_blocks < 2:
        return None
    prompt_means = np.array([group.mean() for group in groups])
    within = float(np.mean([group.var(ddof=1) for group in groups]))
    between = max(0.0, float(prompt_means.var(ddof=1)) - within / n_blocks) if len(groups) > 1 else 0.0
    room = (float(prompt_means.mean()) / _Z) ** 2 * len(groups) - between
    if room <= 0 or within / room > MAX_MORE_BLOCKS:
        return None
    return max(1, math.ceil(within / room) - n_blocks)
