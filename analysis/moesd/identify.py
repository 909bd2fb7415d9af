"""Which of the ten parameters the points determine, and which only the bounds do.

Speedups are ratios, so a common factor on all eight times changes nothing: the points alone can never fix the
scale of time. Whatever value a time has, a bound gave it. Some of what is left trades against each other, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from analysis.moesd.fit import Fit, rmse
from analysis.moesd.gradient import N_PARAMETERS, speedup_gradient
from analysis.moesd.theory import FloatArray
from analysis.moesd.times import Parameters

Verdict = Literal["determined", "not identifiable", "on lower bound", "on upper bound"]

_ON_BOUND = 1e-4
_NOTHING = 1e-10
"""Singular values below this share of the greatest are rounding."""
_S = Parameters._fields.index("s")
_N_TIMES = Parameters._fields.index("lam")


@dataclass(frozen=True)
class Standing:
    """How well one parameter is known."""

    name: str
    value: float
    low: float
    high: float
    relative_error: float
    """Linearised standard error over the value (of s: over s − 1); NaN on a bound, may be infinite."""
    verdict: Verdict
    """Not identifiable: the relative error exceeds 1."""


def standings(fit: Fit) -> tuple[Standing, ...]:
    """One entry per parameter, in the order of `Parameters`."""
    sides = [_side(fit, i) for i in range(N_PARAMETERS)]
    free = np.array([side is None for side in sides])
    errors = np.full(N_PARAMETERS, np.nan)
    errors[free] = _relative_errors(fit, free)
    rows = zip(Parameters._fields, fit.parameters, fit.bounds.low, fit.bounds.high, errors, sides, strict=True)
    return tuple(
        Standing(name, value, low, high, float(error), side or _verdict(float(error)))
        for name, value, low, high, error, side in rows
    )


def n_free(fit: Fit) -> int:
    """Parameters that no bound holds: what the points had to pay for."""
    return sum(_side(fit, i) is None for i in range(N_PARAMETERS))


def leverages(fit: Fit) -> FloatArray:
    """How far each fitted point decides its own modelled value: diagonal of the hat matrix, shape (m,)."""
    free = [_side(fit, i) is None for i in range(N_PARAMETERS)]
    columns, singular, _ = np.linalg.svd(_relative_jacobian(fit)[:, free], full_matrices=False)
    return np.asarray((columns[:, singular > _NOTHING * singular.max()] ** 2).sum(axis=1), dtype=np.float64)


def scale_is_free(fit: Fit) -> bool:
    """True where no bound holds any time, so that all times are known only up to a common factor."""
    return all(_side(fit, i) is None for i in range(_N_TIMES))


def _verdict(error: float) -> Verdict:
    return "determined" if error <= 1.0 else "not identifiable"


def _side(fit: Fit, i: int) -> Verdict | None:
    value, low, high = fit.parameters[i], fit.bounds.low[i], fit.bounds.high[i]
    # An unbounded strength has no range to be near the end of; the least loading time is the unit of all times.
    slack = _ON_BOUND * (high - low if np.isfinite(high) else fit.bounds.low.bias_ms)
    if value - low <= slack:
        return "on lower bound"
    return "on upper bound" if high - value <= slack else None


def _relative_errors(fit: Fit, free: NDArray[np.bool_]) -> FloatArray:
    """From the Jacobian by relative change: a direction that moves no point has an infinite error."""
    _, singular, directions = np.linalg.svd(_relative_jacobian(fit)[:, free], full_matrices=True)
    sizes = np.zeros(len(directions))
    sizes[: len(singular)] = singular
    noise = rmse(fit.residuals(fit.grid)) * np.sqrt(len(fit.grid) / max(len(fit.grid) - int(free.sum()), 1))
    with np.errstate(divide="ignore"):
        along = np.where(sizes > _NOTHING * sizes.max(), noise / sizes, np.inf)
    # A direction's error counts for a parameter by its share in it; no share of an infinite error is no error.
    shares = np.where(np.abs(directions) > 1e-8, np.abs(directions), 0.0)
    parts = np.where(shares > 0.0, along[:, None], 0.0) * shares
    return np.asarray(np.sqrt((parts**2).sum(axis=0)), dtype=np.float64)


def _relative_jacobian(fit: Fit) -> FloatArray:
    """d speedup / d ln p (for s: d ln(s − 1)) at the fitted points, shape (m, 10)."""
    scale = np.array(fit.parameters)
    scale[_S] -= 1.0
    gradient = speedup_gradient(fit.parameters, fit.grid.points, fit.ridge_tokens)
    return np.asarray(gradient * scale, dtype=np.float64)
