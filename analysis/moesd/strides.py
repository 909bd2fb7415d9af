"""The appendix's Table 1: how many points the fit needs (seed 000, B.2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.moesd.facts import Facts
from analysis.moesd.fit import Fit, fit, half_sse, rmse
from analysis.moesd.gradient import N_PARAMETERS
from analysis.moesd.grid import Grid
from analysis.published import stride_table


@dataclass(frozen=True)
class StrideRow:
    """One fit to every `stride`-th point, judged on all of them."""

    stride: int
    error: float
    """½·SSE over all points of the grid: the quantity that the appendix prints as "MSE"."""
    published: float | None
    """The appendix's figure; None where the grid has another number of points, as the two do not compare."""
    held_out_rmse: float
    """Speedup units, over the points that were not fitted; NaN when all were."""
    batch_sizes: tuple[int, ...]
    """Distinct batch sizes among the fitted points."""
    fit: Fit

    @property
    def n_fitted(self) -> int:
        """m = ⌈n/stride⌉."""
        return len(self.fit.grid)


def stride_study(grid: Grid, facts: Facts) -> tuple[StrideRow, ...]:
    """A row for each of the appendix's strides that leaves as many points as parameters; fewest points first."""
    table = stride_table()
    comparable = len(grid) == table.table.n_measurements_all
    published = {row.stride: row.mse for row in table.rows} if comparable else {}
    strides = (row.stride for row in table.rows)
    fitting = (stride for stride in strides if -(-len(grid) // stride) >= N_PARAMETERS)
    return tuple(fit_stride(grid, facts, stride, published.get(stride)) for stride in fitting)


def fit_stride(grid: Grid, facts: Facts, stride: int, published: float | None = None) -> StrideRow:
    """Fit every `stride`-th point of the grid and judge the fit on all."""
    sample = grid.every(stride)
    found = fit(sample, facts, grid.max_reject_ms(facts))
    residuals = found.residuals(grid)
    held_out = np.arange(len(grid)) % stride != 0
    return StrideRow(
        stride=stride,
        error=half_sse(residuals),
        published=published,
        held_out_rmse=rmse(residuals[held_out]),
        batch_sizes=tuple(sorted({int(size) for size in sample.frame["B"]})),
        fit=found,
    )
