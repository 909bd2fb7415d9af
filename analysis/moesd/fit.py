"""The ten parameters by bounded least squares: trust region reflective, many seeded starts (Algorithm 1).

The paper gives neither a start nor a seed. Starts are drawn inside the appendix's bounds and the best end is
kept; that several starts end at the same cost is the evidence that it is the best there is.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from scipy.optimize import OptimizeResult, least_squares

from analysis.moesd.facts import Bounds, Facts, bounds
from analysis.moesd.gradient import N_PARAMETERS, speedup_gradient
from analysis.moesd.grid import Grid
from analysis.moesd.theory import FloatArray
from analysis.moesd.times import Parameters, Points, speedup
from runner.errors import DataError

N_STARTS = 16
SEED = 20250526
MAX_EVALUATIONS = 300
SAME_COST = 1e-4
"""Two ends count as the same when their costs agree to this share."""

_SLOPE_MS = (1e-3, 30.0)
_SHARE_OF_REJECT = (1e-4, 0.98)
_BASE_MINUS_ONE = (1e-3, 0.5)
_INSIDE = 0.01


@dataclass(frozen=True)
class Fit:
    """What a fit found, on which points, and how long it took."""

    parameters: Parameters
    bounds: Bounds
    ridge_tokens: float
    grid: Grid
    """The points that were fitted."""
    cost: float
    """½·Σ(modelled − measured)² over the fitted points; what the paper's table calls MSE, over other points."""
    n_starts: int
    n_same_end: int
    """Starts whose end has the best cost, within `SAME_COST`."""
    seconds: float

    def speedup(self, points: Points) -> FloatArray:
        """Modelled speedup, shape (n,)."""
        return speedup(self.parameters, points, self.ridge_tokens)

    def residuals(self, grid: Grid) -> FloatArray:
        """Modelled minus measured speedup, shape (n,)."""
        return self.speedup(grid.points) - grid.speedup


def half_sse(residuals: FloatArray) -> float:
    """½·Σr²: the cost of line 13, and what the appendix's Table 1 prints under "MSE" (docs/moesd.md)."""
    return 0.5 * float(residuals @ residuals)


def rmse(residuals: FloatArray) -> float:
    """Root of the mean square, in speedup units; NaN without points."""
    return float(np.sqrt(np.mean(residuals**2))) if len(residuals) else float("nan")


def fit(grid: Grid, facts: Facts, max_reject_ms: float, n_starts: int = N_STARTS, seed: int = SEED) -> Fit:
    """The best of `n_starts` fits to `grid`. DataError for fewer points than parameters."""
    if len(grid) < N_PARAMETERS:
        raise DataError(f"{len(grid)} points cannot fix {N_PARAMETERS} parameters; give at least {N_PARAMETERS}")
    began = time.perf_counter()
    limits = bounds(facts, max_reject_ms)
    starts = draw_starts(limits, n_starts, seed)
    ends = [descend(grid, limits, facts.ridge_tokens, start) for start in starts]
    costs = np.array([end.cost for end in ends])
    best = ends[int(costs.argmin())]
    return Fit(
        parameters=Parameters(*map(float, best.x)),
        bounds=limits,
        ridge_tokens=facts.ridge_tokens,
        grid=grid,
        cost=float(best.cost),
        n_starts=n_starts,
        n_same_end=int(np.sum(costs <= costs.min() * (1.0 + SAME_COST) + 1e-12)),
        seconds=time.perf_counter() - began,
    )


def descend(grid: Grid, limits: Bounds, ridge_tokens: float, start: FloatArray) -> OptimizeResult:
    """One trust-region-reflective descent from `start`, shape (10,), with the exact Jacobian."""

    def residuals(x: FloatArray) -> FloatArray:
        return speedup(Parameters(*x), grid.points, ridge_tokens) - grid.speedup

    def jacobian(x: FloatArray) -> FloatArray:
        return speedup_gradient(Parameters(*x), grid.points, ridge_tokens)

    # The columns of the Jacobian differ by orders of magnitude: unscaled, the trust region is a needle.
    return least_squares(
        residuals, start, jacobian, limits.arrays, method="trf", x_scale="jac", max_nfev=MAX_EVALUATIONS
    )


def plain_seconds(grid: Grid, limits: Bounds, ridge_tokens: float) -> float:
    """Seconds of the fit as the appendix words it: one start, numeric Jacobian, SciPy's defaults."""

    def residuals(x: FloatArray) -> FloatArray:
        return speedup(Parameters(*x), grid.points, ridge_tokens) - grid.speedup

    start = draw_starts(limits, 1, SEED)[0]
    began = time.perf_counter()
    least_squares(residuals, start, bounds=limits.arrays, method="trf")
    return time.perf_counter() - began


def draw_starts(limits: Bounds, n: int, seed: int) -> FloatArray:
    """`n` seeded starts strictly inside the bounds, shape (n, 10): log-uniform but for λ, which is uniform."""
    rng = np.random.default_rng(seed)
    low, high = limits.low, limits.high

    def log_uniform(least: float, most: float) -> FloatArray:
        return np.exp(rng.uniform(np.log(least), np.log(most), n))

    def between(least: float, most: float) -> FloatArray:
        margin = _INSIDE * (most - least)
        return log_uniform(least + margin, most - margin)

    return np.column_stack([
        between(low.bias_ms, high.bias_ms),
        log_uniform(*_SLOPE_MS),
        between(low.k2_ms, high.k2_ms),
        log_uniform(*_SLOPE_MS),
        between(low.draft_bias_ms, high.draft_bias_ms),
        log_uniform(*_SLOPE_MS),
        high.reject_bias_ms * log_uniform(*_SHARE_OF_REJECT),
        high.reject_k_ms * log_uniform(*_SHARE_OF_REJECT),
        rng.uniform(low.lam + _INSIDE, high.lam - _INSIDE, n),
        low.s + log_uniform(*_BASE_MINUS_ONE),
    ])  # fmt: skip
