"""What one pass costs under the MoESD model, and the speedup that follows (arXiv 2505.19645, Algorithm 1).

All times are milliseconds; arrays have one entry per point, shape (n,). Speedups are ratios of time per token.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from analysis.moesd.theory import FloatArray, experts_loaded, growth, tokens_per_expert


class Parameters(NamedTuple):
    """The ten parameters of Algorithm 1, line 4, in its order; their bounds are in `facts.bounds`."""

    bias_ms: float
    """Loading what every token needs: attention, embeddings, shared experts."""
    k1_ms: float
    """Strength of the roofline of the dense part."""
    k2_ms: float
    """Loading one expert, over all layers."""
    k3_ms: float
    """Strength of the roofline of the experts."""
    draft_bias_ms: float
    """Loading the draft model."""
    draft_k_ms: float
    """Strength of the roofline of the draft model."""
    reject_bias_ms: float
    """Fixed part of rejection sampling."""
    reject_k_ms: float
    """Rejection sampling per sequence."""
    lam: float
    """λ: real over theoretical ridge point, in [0.2, 1]."""
    s: float
    """Base of G, in [1, 2]."""


@dataclass(frozen=True)
class Load:
    """What one pass puts on a mixture of experts; each field has shape (n,)."""

    tokens: FloatArray
    """Tokens through the gate."""
    experts: FloatArray
    """Distinct experts loaded, N(t)."""
    tokens_per_expert: FloatArray
    """Mean tokens per activated expert, T_exp(t; ρ)."""


@dataclass(frozen=True)
class Points:
    """Configurations of which time and speedup are asked; each field has shape (n,).

    >>> point = Points.of(experts=64, used=8, gamma=4, verified=4, batch=8, sigma=0.91)
    >>> round(float(point.verify.experts[0]), 1)
    63.1
    """

    experts: FloatArray
    """E; 1 for a dense target."""
    used: FloatArray
    """K, at most E."""
    gamma: FloatArray
    verified: FloatArray
    """Tokens per sequence in one verification: γ in the authors' code, γ + 1 where the last token goes along."""
    batch: FloatArray
    """B, sequences decoded together."""
    sigma: FloatArray
    """σ of Eq. 5, in [1/(γ+1), 1]."""

    @classmethod
    def of(cls, **fields: float | FloatArray) -> Points:
        """Points of numbers and arrays that broadcast to one shape (n,)."""
        columns = np.broadcast_arrays(*(np.atleast_1d(np.asarray(v, dtype=np.float64)) for v in fields.values()))
        return cls(**dict(zip(fields, columns, strict=True)))

    @cached_property
    def step(self) -> Load:
        """One plain decoding step: B tokens."""
        return self._load(self.batch)

    @cached_property
    def verify(self) -> Load:
        """One verification: B times `verified` tokens."""
        return self._load(self.batch * self.verified)

    def _load(self, tokens: FloatArray) -> Load:
        sparsity = self.used / self.experts
        return Load(tokens, experts_loaded(tokens, self.experts, self.used), tokens_per_expert(tokens, sparsity))


def forward_ms(p: Parameters, load: Load, ridge_tokens: float) -> FloatArray:
    """One target pass, lines 6 and 8: bias + k1·G(t) + k2·N(t) + k3·G(T_exp). `ridge_tokens`: RP, see `facts`."""
    knee = p.lam * ridge_tokens
    dense = p.bias_ms + p.k1_ms * growth(load.tokens, knee, p.s)
    return dense + p.k2_ms * load.experts + p.k3_ms * growth(load.tokens_per_expert, knee, p.s)


def draft_ms(p: Parameters, points: Points, ridge_tokens: float) -> FloatArray:
    """One draft pass of one token per sequence, line 9: draft_bias + draft_k·G(B)."""
    return p.draft_bias_ms + p.draft_k_ms * growth(points.batch, p.lam * ridge_tokens, p.s)


def reject_ms(p: Parameters, points: Points) -> FloatArray:
    """Rejection sampling after one verification, line 10: reject_bias + reject_k·B."""
    return p.reject_bias_ms + p.reject_k_ms * points.batch


def target_efficiency(p: Parameters, points: Points, ridge_tokens: float) -> FloatArray:
    """T_T(B, 1) / T_T(B, γ) = 1/v, in (0, 1]: 1 when verifying is as cheap as a step."""
    return forward_ms(p, points.step, ridge_tokens) / forward_ms(p, points.verify, ridge_tokens)


def cycle_ms(p: Parameters, points: Points, ridge_tokens: float) -> FloatArray:
    """One cycle, Eq. 2: γ drafts, one verification, one rejection sampling."""
    drafting = points.gamma * draft_ms(p, points, ridge_tokens)
    return drafting + forward_ms(p, points.verify, ridge_tokens) + reject_ms(p, points)


def speedup(p: Parameters, points: Points, ridge_tokens: float) -> FloatArray:
    """Eq. 4: σ(γ+1)·T_T(B, 1) / (γ·T_D(B, 1) + T_T(B, γ) + T_rej)."""
    tokens = points.sigma * (points.gamma + 1.0)
    return tokens * forward_ms(p, points.step, ridge_tokens) / cycle_ms(p, points, ridge_tokens)


def printed_speedup(p: Parameters, points: Points, ridge_tokens: float) -> FloatArray:
    """Algorithm 1, line 11 as printed; kept only to show that it cannot be what the authors ran.

    It drops the γ before the draft and adds T_T(B, 1) to the denominator. As verifying never costs less than a
    step, it stays below σ(γ+1)/2, which 46 of the 60 cells in the paper's own tables exceed.
    """
    step = forward_ms(p, points.step, ridge_tokens)
    verify = forward_ms(p, points.verify, ridge_tokens)
    once = draft_ms(p, points, ridge_tokens) + step + verify + reject_ms(p, points)
    return points.sigma * (points.gamma + 1.0) * step / once
