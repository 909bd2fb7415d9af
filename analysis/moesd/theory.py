"""What routing does to a mixture of experts: experts loaded, tokens each one sees, and how a pass grows.

Equation numbers are those of arXiv 2505.19645; the proof of `slope_factor` < 1 is section A of seed 000. Symbols:
E `experts` in a layer, K `used` by each token, t `tokens` through the gate in one pass, ρ = K/E `sparsity`.
Arguments broadcast; results have the broadcast shape, are float64 and without unit unless a name says otherwise.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

FloatArray = NDArray[np.float64]
Number = TypeVar("Number", float, Fraction)

ALMOST_FULL = 0.95
"""The share of experts that Eq. 9 calls "almost full activation" (its τ, not the acceptance length)."""


def experts_loaded(tokens: ArrayLike, experts: ArrayLike, used: ArrayLike) -> FloatArray:
    """N(t) = E·(1 − (1 − K/E)^t), Eq. 6-8: expected distinct experts of a layer that t tokens reach together.

    Routing is taken as uniform and independent, so this is an upper bound for real routers. N <= min(E, t·K).
    """
    tokens, experts, used = (np.asarray(value, dtype=np.float64) for value in (tokens, experts, used))
    with np.errstate(divide="ignore"):
        log_missed = np.log1p(-used / experts)
    return np.asarray(-experts * np.expm1(tokens * log_missed), dtype=np.float64)


def tokens_per_expert(tokens: ArrayLike, sparsity: ArrayLike) -> FloatArray:
    """T_exp(t; ρ) = ρt / (1 − (1 − ρ)^t), Eq. 10: mean tokens that an activated expert works on; from 1 to t."""
    tokens, sparsity = np.asarray(tokens, dtype=np.float64), np.asarray(sparsity, dtype=np.float64)
    return np.asarray(tokens * sparsity / experts_loaded(tokens, 1.0, sparsity), dtype=np.float64)


def tokens_per_expert_slope(tokens: int, sparsity: Number) -> Number:
    """dT_exp/dρ (seed 000, Eq. 1); positive for t > 1. With a `Fraction` the result is exact."""
    missed = (1 - sparsity) ** tokens
    return tokens * (1 - slope_factor(tokens, sparsity)) / (1 - missed) ** 2


def slope_factor(tokens: int, sparsity: Number) -> Number:
    """F(ρ; t) = (1 − ρ)^(t−1)·(ρt + 1 − ρ), seed 000, Eq. 2: below 1 for t > 1, which makes T_exp rise."""
    return (1 - sparsity) ** (tokens - 1) * (sparsity * tokens + 1 - sparsity)


def saturation_tokens(sparsity: ArrayLike, share: float = ALMOST_FULL) -> NDArray[np.int64]:
    """Eq. 9: the least number of tokens whose pass is expected to load `share` of all experts (0 < share < 1)."""
    with np.errstate(divide="ignore"):
        exact = np.log1p(-share) / np.log1p(-np.asarray(sparsity, dtype=np.float64))
    # A quotient that is whole but for its rounding must not be pushed up by it; one token is the least.
    return np.asarray(np.maximum(np.ceil(exact - 1e-9), 1), dtype=np.int64)


def growth(tokens: ArrayLike, knee_tokens: ArrayLike, base: ArrayLike) -> FloatArray:
    """G(t; L, s), Eq. 11: s^t up to the knee L, its tangent line beyond; continuous with its slope, increasing.

    `knee_tokens` is L = λ·RP in tokens (> 0), `base` is s (> 1).
    """
    below = np.minimum(tokens, knee_tokens)
    beyond = np.maximum(np.subtract(tokens, knee_tokens), 0.0)
    return np.asarray(np.power(base, below) * (1.0 + np.log(base) * beyond), dtype=np.float64)


def sigma_from_alpha(alpha: ArrayLike, gamma: ArrayLike) -> FloatArray:
    """Eq. 5: σ = (1 − α^(γ+1)) / ((1 − α)(γ+1)), the share of the γ + 1 possible tokens that a cycle yields.

    α is the chance that one drafted token is accepted given that all before it were, in [0, 1]; τ = σ·(γ + 1).
    """
    alpha, longest = np.asarray(alpha, dtype=np.float64), np.asarray(gamma, dtype=np.float64) + 1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        yielded = np.expm1(longest * np.log(alpha)) / (alpha - 1.0)
    return np.asarray(np.where(alpha == 1.0, 1.0, yielded / longest), dtype=np.float64)


def alpha_from_sigma(sigma: ArrayLike, gamma: ArrayLike) -> FloatArray:
    """The α of Eq. 5. ValueError unless σ is in [1/(γ+1), 1]: a cycle yields at least one token."""
    return np.asarray(np.vectorize(_alpha, otypes=[np.float64])(sigma, gamma), dtype=np.float64)


def _alpha(sigma: float, gamma: float) -> float:
    if not 1.0 - 1e-12 <= sigma * (gamma + 1.0) <= gamma + 1.0 + 1e-12:
        raise ValueError(f"sigma {sigma:g} is outside [1/{gamma + 1:g}, 1]")
    if sigma * (gamma + 1.0) <= 1.0:
        return 0.0
    if sigma >= 1.0:
        return 1.0
    root: float = brentq(lambda alpha: float(sigma_from_alpha(alpha, gamma)) - sigma, 0.0, 1.0, xtol=1e-14)
    return root
