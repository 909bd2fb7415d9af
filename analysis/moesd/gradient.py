"""Exact derivatives of the model's speedup: they make a fit take milliseconds and its end point sharp."""

from __future__ import annotations

import numpy as np

from analysis.moesd.theory import FloatArray, growth
from analysis.moesd.times import Load, Parameters, Points, cycle_ms, forward_ms

N_PARAMETERS = len(Parameters._fields)


def growth_gradient(tokens: FloatArray, knee_tokens: float, base: float) -> tuple[FloatArray, FloatArray]:
    """(∂G/∂L, ∂G/∂s) of Eq. 11, each of the shape of `tokens`."""
    below = np.minimum(tokens, knee_tokens)
    beyond = np.maximum(tokens - knee_tokens, 0.0)
    log_base = np.log(base)
    power = base**below
    by_knee = power * log_base**2 * beyond
    by_base = power / base * (below * (1.0 + log_base * beyond) + beyond)
    return by_knee, by_base


def forward_gradient(p: Parameters, load: Load, ridge_tokens: float) -> FloatArray:
    """d forward_ms / d p, shape (n, 10)."""
    knee = p.lam * ridge_tokens
    gradient = np.zeros((len(load.tokens), N_PARAMETERS))
    gradient[:, 0] = 1.0
    gradient[:, 2] = load.experts
    for column, strength, tokens in ((1, p.k1_ms, load.tokens), (3, p.k3_ms, load.tokens_per_expert)):
        by_knee, by_base = growth_gradient(tokens, knee, p.s)
        gradient[:, column] = growth(tokens, knee, p.s)
        gradient[:, 8] += strength * ridge_tokens * by_knee
        gradient[:, 9] += strength * by_base
    return gradient


def cycle_gradient(p: Parameters, points: Points, ridge_tokens: float) -> FloatArray:
    """d cycle_ms / d p, shape (n, 10)."""
    knee = p.lam * ridge_tokens
    by_knee, by_base = growth_gradient(points.batch, knee, p.s)
    gradient = forward_gradient(p, points.verify, ridge_tokens)
    gradient[:, 4] = points.gamma
    gradient[:, 5] = points.gamma * growth(points.batch, knee, p.s)
    gradient[:, 6] = 1.0
    gradient[:, 7] = points.batch
    gradient[:, 8] += points.gamma * p.draft_k_ms * ridge_tokens * by_knee
    gradient[:, 9] += points.gamma * p.draft_k_ms * by_base
    return gradient


def speedup_gradient(p: Parameters, points: Points, ridge_tokens: float) -> FloatArray:
    """d speedup / d p of Eq. 4 by the quotient rule, shape (n, 10); columns in the order of `Parameters`."""
    step = forward_ms(p, points.step, ridge_tokens)
    cycle = cycle_ms(p, points, ridge_tokens)
    scale = points.sigma * (points.gamma + 1.0) / cycle
    by_step = forward_gradient(p, points.step, ridge_tokens)
    by_cycle = cycle_gradient(p, points, ridge_tokens)
    return scale[:, None] * (by_step - (step / cycle)[:, None] * by_cycle)
