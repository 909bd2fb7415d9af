"""Where SD pays: speedup over batch size from a fit, with dense models on the same axes.

A dense model is the corner K = E of the same formulas: every token uses every expert there is. Two are of
interest: one with the weights that the mixture uses per token (`active`) and one with all of them (`total`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from analysis.moesd.bootstrap import Refits
from analysis.moesd.facts import Verified
from analysis.moesd.theory import FloatArray, saturation_tokens, sigma_from_alpha
from analysis.moesd.times import Parameters, Points, draft_ms, forward_ms, reject_ms, speedup, target_efficiency
from runner.errors import UsageError

PAYS = 1.0
NEAR_PEAK = 1.0 / np.sqrt(2.0)
"""The paper's range of good batch sizes: speedup over peak/√2."""


class Span(NamedTuple):
    """Batch sizes from `first` to `last`, both included."""

    first: int
    last: int


@dataclass(frozen=True)
class Setting:
    """One question: a mixture of experts under SD."""

    experts: int
    used: int
    gamma: int
    alpha: float
    verified: Verified

    def __post_init__(self) -> None:
        if not 1 <= self.used <= self.experts:
            raise UsageError(f"{self.used} experts used of {self.experts}: use at least 1 and at most all")
        if self.gamma < 1:
            raise UsageError(f"gamma {self.gamma}: SD drafts at least 1 token")
        if not 0.0 <= self.alpha <= 1.0:
            raise UsageError(f"alpha {self.alpha:g}: a chance lies between 0 and 1")

    @property
    def sigma(self) -> float:
        """Eq. 5."""
        return float(sigma_from_alpha(self.alpha, self.gamma))

    def points(self, batch: FloatArray) -> Points:
        """This setting at each batch size, shape (n,)."""
        return self._points(batch, self.experts)

    def dense_active(self, batch: FloatArray) -> Points:
        """A dense target with the weights that one token uses."""
        return self._points(batch, self.used, self.used)

    def dense_total(self, batch: FloatArray) -> Points:
        """A dense target with all the weights."""
        return self._points(batch, self.experts, self.experts)

    def _points(self, batch: FloatArray, experts: int, used: int | None = None) -> Points:
        verified = self.gamma + (self.verified == "gamma+1")
        return Points.of(
            experts=experts, used=used or self.used, gamma=self.gamma, verified=verified, batch=batch,
            sigma=self.sigma,
        )  # fmt: skip


@dataclass(frozen=True)
class Curve:
    """The answer over batch sizes; every array has shape (n,). Times appear as ratios to T_T(B, 1)."""

    batch: FloatArray
    verify_ratio: FloatArray
    """v = T_T(B, γ)/T_T(B, 1)."""
    target_efficiency: FloatArray
    draft_ratio: FloatArray
    """γ·T_D(B, 1)/T_T(B, 1)."""
    reject_ratio: FloatArray
    speedup: FloatArray
    low: FloatArray
    high: FloatArray
    """Ends of the prediction interval."""
    dense_active: FloatArray
    dense_total: FloatArray


def predict(p: Parameters, refits: Refits, setting: Setting, batch: FloatArray) -> Curve:
    """Speedup and its parts at each batch size, shape (n,), with the refits' intervals."""
    ridge = refits.ridge_tokens
    points = setting.points(batch)
    step = forward_ms(p, points.step, ridge)
    efficiency = target_efficiency(p, points, ridge)
    low, high = refits.interval(points)
    return Curve(
        batch=batch,
        verify_ratio=1.0 / efficiency,
        target_efficiency=efficiency,
        draft_ratio=setting.gamma * draft_ms(p, points, ridge) / step,
        reject_ratio=reject_ms(p, points) / step,
        speedup=speedup(p, points, ridge),
        low=low,
        high=high,
        dense_active=speedup(p, setting.dense_active(batch), ridge),
        dense_total=speedup(p, setting.dense_total(batch), ridge),
    )


def spans(batch: FloatArray, holds: np.typing.NDArray[np.bool_]) -> tuple[Span, ...]:
    """Unbroken runs of increasing batch sizes at which something holds."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], holds.astype(int), [0]))))
    return tuple(Span(int(batch[a]), int(batch[b - 1])) for a, b in edges.reshape(-1, 2))


def paying(batch: FloatArray, speedups: FloatArray) -> tuple[Span, ...]:
    """Where SD is faster than plain decoding."""
    return spans(batch, speedups > PAYS)


def near_peak(batch: FloatArray, speedups: FloatArray) -> tuple[Span, ...]:
    """Where the speedup exceeds peak/√2 (moesd: the range that widens as experts get sparser)."""
    return spans(batch, speedups > NEAR_PEAK * speedups.max())


def saturated_at(setting: Setting) -> int:
    """Batch size whose plain step is expected to load 95 % of the experts (Eq. 9)."""
    return int(saturation_tokens(setting.used / setting.experts))
