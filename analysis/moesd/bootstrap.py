"""Prediction intervals: refit to resampled residuals, predict, add one more residual."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.moesd.fit import SEED, Fit, descend
from analysis.moesd.identify import leverages, n_free
from analysis.moesd.theory import FloatArray
from analysis.moesd.times import Parameters, Points, speedup
from runner.errors import DataError

N_REFITS = 100
LEVEL = 0.9
MOST_LEVERAGE = 0.9
"""A point that the curve passes through whatever its value says next to nothing about the error."""
N_NOISE = 64
"""Every refit is combined with so many quantiles of the residuals, so no draw makes an interval ragged."""


@dataclass(frozen=True)
class Refits:
    """The parameters of every refit, and the residuals they were drawn from."""

    parameters: tuple[Parameters, ...]
    residuals: FloatArray
    """Shape (m,), as wide as if each point had not been fitted, and centred."""
    ridge_tokens: float

    def interval(self, points: Points, level: float = LEVEL) -> tuple[FloatArray, FloatArray]:
        """Ends of the interval that a new measurement of each point lies in with chance `level`, shape (n,)."""
        predicted = np.array([speedup(p, points, self.ridge_tokens) for p in self.parameters])
        noise = np.quantile(self.residuals, (np.arange(N_NOISE) + 0.5) / N_NOISE)
        drawn = (predicted[:, None, :] + noise[None, :, None]).reshape(-1, predicted.shape[1])
        tail = (1.0 - level) / 2.0
        low, high = np.quantile(drawn, [tail, 1.0 - tail], axis=0)
        return low, high


def refit(fit: Fit, n: int = N_REFITS, seed: int = SEED) -> Refits:
    """`n` refits to modelled speedups plus resampled residuals, each descending from the fit's own end.

    DataError when as many parameters are free as there are points: nothing is left to judge the error by.
    """
    if len(fit.grid) <= n_free(fit):
        raise DataError(f"{len(fit.grid)} points leave nothing to estimate the error from; fit more points")
    # A fitted point pulls the curve towards itself: its residual is too small by the share of its leverage.
    residuals = fit.residuals(fit.grid) / (1.0 - np.minimum(leverages(fit), MOST_LEVERAGE))
    residuals -= residuals.mean()
    rng = np.random.default_rng(seed)
    modelled = fit.speedup(fit.grid.points)
    draws = (modelled + rng.choice(residuals, len(modelled)) for _ in range(n))
    return Refits(tuple(_end(fit, draw) for draw in draws), residuals, fit.ridge_tokens)


def _end(fit: Fit, measured: FloatArray) -> Parameters:
    start = np.array(fit.parameters)
    end = descend(fit.grid.with_speedup(measured), fit.bounds, fit.ridge_tokens, start)
    return Parameters(*map(float, end.x))
