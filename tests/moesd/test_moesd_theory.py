"""The theory's laws hold over its whole range, and the appendix's proof holds exactly."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.moesd.gradient import growth_gradient
from analysis.moesd.theory import (
    alpha_from_sigma,
    experts_loaded,
    growth,
    saturation_tokens,
    sigma_from_alpha,
    slope_factor,
    tokens_per_expert,
    tokens_per_expert_slope,
)

experts = st.integers(1, 512)
tokens = st.integers(1, 5000)
several = st.integers(2, 400)
sparsities = st.fractions(min_value=Fraction(1, 1000), max_value=Fraction(999, 1000), max_denominator=1000)
bases = st.floats(1.0001, 2.0)
knees = st.floats(1.0, 200.0)


@st.composite
def mixtures(draw):
    n = draw(experts)
    return n, draw(st.integers(1, n))


@given(mixtures(), tokens)
def test_no_pass_loads_more_experts_than_exist_or_than_its_tokens_ask_for(mixture, t):
    n, k = mixture
    loaded = float(experts_loaded(t, n, k))
    assert k * (1 - 1e-12) <= loaded <= min(n, t * k) * (1 + 1e-12)


@given(mixtures())
def test_one_token_loads_exactly_the_experts_it_uses(mixture):
    n, k = mixture
    assert float(experts_loaded(1, n, k)) == pytest.approx(k)


def test_loaded_experts_agree_with_a_router_drawn_at_random():
    rng = np.random.default_rng(1)
    drawn = [len(set(np.concatenate([rng.choice(64, 8, replace=False) for _ in range(12)]))) for _ in range(600)]
    assert np.mean(drawn) == pytest.approx(float(experts_loaded(12, 64, 8)), rel=0.01)


def test_a_dense_layer_loads_its_one_expert_always():
    assert experts_loaded([1, 7, 100], 1, 1).tolist() == [1, 1, 1]
    assert tokens_per_expert([1, 7, 100], 1.0).tolist() == [1, 7, 100]


@given(several, sparsities)
def test_the_proof_s_factor_is_below_one_in_exact_arithmetic(t, rho):
    assert slope_factor(t, rho) < 1


@given(several, sparsities, sparsities)
def test_the_proof_s_factor_falls_as_routing_gets_denser_in_exact_arithmetic(t, one, other):
    low, high = sorted((one, other))
    if low < high:
        assert slope_factor(t, low) > slope_factor(t, high)


@given(several, sparsities)
def test_tokens_per_expert_rise_with_density_in_exact_arithmetic(t, rho):
    assert tokens_per_expert_slope(t, rho) > 0


@given(several, sparsities)
def test_the_exact_slope_is_the_slope_of_the_exact_curve(t, rho):
    step = Fraction(1, 10**7)

    def curve(x):
        return x * t / (1 - (1 - x) ** t)

    measured = (curve(rho + step) - curve(rho - step)) / (2 * step)
    assert float(measured) == pytest.approx(float(tokens_per_expert_slope(t, rho)), rel=1e-3)


def test_tokens_per_expert_rise_with_density_over_the_whole_numeric_range():
    rho = np.linspace(1e-6, 1.0, 4001)
    for t in (2, 3, 5, 10, 50, 1000, 100_000):
        assert np.all(np.diff(tokens_per_expert(t, rho)) > 0)


def test_a_single_token_leaves_nothing_to_rise():
    assert tokens_per_expert_slope(1, Fraction(1, 8)) == 0
    assert tokens_per_expert(1, [0.01, 0.5, 1.0]) == pytest.approx([1, 1, 1])


@given(tokens, st.floats(1e-4, 1.0))
def test_an_activated_expert_sees_at_least_one_token_and_at_most_all(t, rho):
    assert 1 - 1e-9 <= float(tokens_per_expert(t, rho)) <= t * (1 + 1e-9)


@pytest.mark.parametrize(
    ("n", "k", "expected"),
    [(64, 8, 23), (60, 4, 44), (8, 2, 11), (128, 8, 47), (256, 8, 95), (128, 4, 95), (512, 10, 152), (4, 4, 1)],
)
def test_saturation_of_known_mixtures(n, k, expected):
    assert saturation_tokens(k / n) == expected


@given(mixtures(), st.floats(0.05, 0.99))
def test_saturation_is_the_first_pass_that_reaches_the_share(mixture, share):
    n, k = mixture
    t = int(saturation_tokens(k / n, share))
    assert float(experts_loaded(t, n, k)) >= share * n * (1 - 1e-6)
    if t > 1:
        assert float(experts_loaded(t - 1, n, k)) < share * n * (1 + 1e-6)


@given(knees, bases)
def test_growth_meets_itself_and_its_slope_at_the_knee(knee, base):
    step = 1e-5
    below, at, above = growth([knee - step, knee, knee + step], knee, base)
    assert above - at == pytest.approx(at - below, rel=1e-3)
    assert at == pytest.approx(base**knee)


@given(knees, bases, st.lists(st.floats(0.0, 600.0), min_size=2, unique_by=lambda t: round(t, 2)))
def test_growth_rises_with_tokens(knee, base, widths):
    assert np.all(np.diff(growth(sorted(widths), knee, base)) > 0)


@given(knees, bases, st.floats(0.5, 600.0))
def test_growth_slopes_are_those_of_the_curve(knee, base, t):
    width = np.array([t])
    by_knee, by_base = growth_gradient(width, knee, base)
    step = 1e-6
    scale = float(growth(t, knee, base))
    if abs(t - knee) > 1e-3:
        knees_apart = growth(width, knee + step, base) - growth(width, knee - step, base)
        assert by_knee == pytest.approx(knees_apart / (2 * step), rel=1e-3, abs=1e-6 * scale)
    bases_apart = growth(width, knee, base + step) - growth(width, knee, base - step)
    assert by_base == pytest.approx(bases_apart / (2 * step), rel=1e-2, abs=1e-6 * scale)


@given(st.floats(0.0, 1.0), st.integers(1, 16))
def test_sigma_is_the_mean_of_the_powers_of_alpha(alpha, gamma):
    powers = [alpha**i for i in range(gamma + 1)]
    assert float(sigma_from_alpha(alpha, gamma)) == pytest.approx(sum(powers) / (gamma + 1))


@given(st.floats(0.0, 1.0), st.integers(1, 16))
def test_alpha_survives_the_way_through_sigma(alpha, gamma):
    there = sigma_from_alpha(alpha, gamma)
    back = alpha_from_sigma(there, gamma)
    assert float(sigma_from_alpha(back, gamma)) == pytest.approx(float(there), abs=1e-12)
    if alpha > 0.01:
        assert float(back) == pytest.approx(alpha, abs=1e-9)


@pytest.mark.parametrize(
    ("sigma", "alpha"), [(0.91, 0.953), (0.67, 0.798), (0.55, 0.696), (0.48, 0.622), (0.58, 0.724), (0.35, 0.438)]
)
def test_alpha_of_the_paper_s_sigmas_at_gamma_4(sigma, alpha):
    assert float(alpha_from_sigma(sigma, 4)) == pytest.approx(alpha, abs=5e-4)


@pytest.mark.parametrize("sigma", [0.1, 1.01, -1.0])
def test_a_sigma_no_cycle_can_have_is_refused(sigma):
    with pytest.raises(ValueError, match="sigma"):
        alpha_from_sigma(sigma, 4)
