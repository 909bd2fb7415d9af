"""Times and speedups follow Algorithm 1, with Eq. 4 in place of its misprinted last line."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import least_squares

from analysis.moesd.facts import bounds
from analysis.moesd.fit import draw_starts
from analysis.moesd.times import (
    Parameters,
    Points,
    draft_ms,
    forward_ms,
    printed_speedup,
    reject_ms,
    speedup,
    target_efficiency,
)
from tests.moesd.truth import FACTS, TRUTH, published

RIDGE = FACTS.ridge_tokens


@st.composite
def parameters(draw):
    positive = st.floats(0.01, 20.0)
    times = [draw(positive) for _ in range(8)]
    return Parameters(*times, draw(st.floats(0.2, 1.0)), draw(st.floats(1.001, 1.2)))


@st.composite
def settings(draw):
    experts = draw(st.integers(1, 256))
    gamma = draw(st.integers(1, 16))
    return Points.of(
        experts=experts,
        used=draw(st.integers(1, experts)),
        gamma=gamma,
        verified=gamma + draw(st.integers(0, 1)),
        batch=draw(st.integers(1, 256)),
        sigma=draw(st.floats(1.0 / (gamma + 1), 1.0)),
    )


def algorithm_1(p: Parameters, experts: int, used: int, gamma: int, batch: int, sigma: float) -> float:
    """Written out token by token in plain Python, for one point; the denominator is that of Eq. 4."""
    knee = p.lam * RIDGE

    def grown(t: float) -> float:
        return p.s**t if t <= knee else p.s**knee * (1 + math.log(p.s) * (t - knee))

    def target(t: int) -> float:
        loaded = experts * (1 - ((experts - used) / experts) ** t)
        return p.bias_ms + p.k1_ms * grown(t) + p.k2_ms * loaded + p.k3_ms * grown(t * used / loaded)

    drafting = gamma * (p.draft_bias_ms + p.draft_k_ms * grown(batch))
    rejecting = p.reject_bias_ms + p.reject_k_ms * batch
    return sigma * (gamma + 1) * target(batch) / (drafting + target(batch * gamma) + rejecting)


@given(parameters(), st.integers(1, 8), st.integers(1, 8), st.integers(1, 100))
def test_speedup_is_algorithm_1_written_out(p, used, gamma, batch):
    points = Points.of(experts=64, used=used, gamma=gamma, verified=gamma, batch=batch, sigma=0.9)
    assert speedup(p, points, RIDGE)[0] == pytest.approx(algorithm_1(p, 64, used, gamma, batch, 0.9))


@given(parameters(), settings())
def test_target_efficiency_lies_between_zero_and_one(p, points):
    efficiency = target_efficiency(p, points, RIDGE)[0]
    assert 0.0 < efficiency <= 1.0 + 1e-12


@given(parameters(), settings())
def test_speedup_closes_over_its_parts(p, points):
    step = forward_ms(p, points.step, RIDGE)
    parts = 1.0 / target_efficiency(p, points, RIDGE)
    parts += (points.gamma * draft_ms(p, points, RIDGE) + reject_ms(p, points)) / step
    assert speedup(p, points, RIDGE) == pytest.approx(points.sigma * (points.gamma + 1) / parts)


@given(parameters(), settings())
def test_speedup_never_exceeds_the_tokens_of_a_cycle(p, points):
    assert speedup(p, points, RIDGE)[0] <= points.sigma[0] * (points.gamma[0] + 1) + 1e-9


@given(parameters(), settings(), st.floats(0.01, 100.0))
def test_a_common_factor_on_all_times_changes_no_speedup(p, points, factor):
    scaled = Parameters(*(factor * value for value in p[:8]), *p[8:])
    assert speedup(scaled, points, RIDGE) == pytest.approx(speedup(p, points, RIDGE))


@given(parameters(), settings())
def test_the_printed_formula_stays_below_half_the_tokens_of_a_cycle(p, points):
    assert printed_speedup(p, points, RIDGE)[0] <= points.sigma[0] * (points.gamma[0] + 1) / 2 + 1e-9


def test_the_printed_formula_cannot_draw_the_authors_curve_and_eq_4_can():
    source = published()
    curve, limits = source.grid.frame, bounds(source.facts, 2.0)
    # The curves were read less well at the smallest batches.
    keep = (curve["B"] > 2).to_numpy()
    grid = source.grid.where(keep)
    drawn = published_curve("curve_m228")[keep]

    def misfit(formula):
        def residuals(x):
            return formula(Parameters(*x), grid.points, source.facts.ridge_tokens) - drawn

        starts = draw_starts(limits, 4, 1)
        ends = [least_squares(residuals, start, bounds=limits.arrays, x_scale="jac") for start in starts]
        return math.sqrt(2 * min(end.cost for end in ends) / len(drawn))

    assert misfit(speedup) < 0.01
    assert misfit(printed_speedup) > 0.1


def published_curve(name: str) -> np.ndarray:
    import pandas as pd

    from runner.paths import data_dir

    return pd.read_csv(data_dir() / "published" / "moesd_fig4.csv")[name].to_numpy()


@pytest.mark.parametrize(("name", "published_error"), [("curve_m21", 1.679), ("curve_m228", 1.523)])
def test_the_published_error_is_half_the_sum_of_squares_not_a_mean(name, published_error):
    grid = published().grid
    residuals = published_curve(name) - grid.speedup
    # Reading the curve adds to its misfit, most at B <= 2; a mean would be a hundred times smaller.
    assert 0.5 * residuals @ residuals == pytest.approx(published_error, rel=0.15)
    assert np.mean(residuals**2) < published_error / 100


def test_verifying_one_more_token_costs_more():
    fields = {"experts": 64, "used": 8, "gamma": 4, "batch": 8, "sigma": 0.9}
    narrow, wide = (Points.of(**fields, verified=n) for n in (4, 5))
    assert speedup(TRUTH, wide, RIDGE) < speedup(TRUTH, narrow, RIDGE)


def test_points_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="shape"):
        Points.of(experts=64, used=[1, 2], gamma=[1, 2, 3], verified=1, batch=1, sigma=1)
