"""The fit finds what made the data, says how sure it is, and refuses what it cannot know."""

from __future__ import annotations

import dataclasses

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.moesd.bootstrap import refit
from analysis.moesd.facts import bounds
from analysis.moesd.fit import draw_starts, fit, half_sse, rmse
from analysis.moesd.gradient import cycle_gradient, forward_gradient, speedup_gradient
from analysis.moesd.identify import leverages, n_free, scale_is_free, standings
from analysis.moesd.times import Parameters, Points, cycle_ms, forward_ms, speedup
from runner.errors import DataError
from tests.moesd.truth import FACTS, TRUTH, held_out_errors, noisy, published, true_grid

RIDGE = FACTS.ridge_tokens
MAX_REJECT_MS = FACTS.rejection.max_ms
GAMMA = np.array([1, 2, 4, 8.0])
POINTS = Points.of(
    experts=64, used=np.array([1, 8, 32, 64.0]), gamma=GAMMA, verified=GAMMA + 1, batch=GAMMA**2, sigma=0.9
)


@pytest.fixture(scope="module")
def noisy_fit():
    return fit(noisy(true_grid(), 5).every(5), FACTS, MAX_REJECT_MS)


@pytest.mark.parametrize(
    ("function", "gradient"),
    [
        (lambda p: forward_ms(p, POINTS.verify, RIDGE), lambda p: forward_gradient(p, POINTS.verify, RIDGE)),
        (lambda p: cycle_ms(p, POINTS, RIDGE), lambda p: cycle_gradient(p, POINTS, RIDGE)),
        (lambda p: speedup(p, POINTS, RIDGE), lambda p: speedup_gradient(p, POINTS, RIDGE)),
    ],
    ids=["forward", "cycle", "speedup"],
)
@given(
    times=st.lists(st.floats(0.1, 10.0), min_size=8, max_size=8),
    lam=st.floats(0.21, 0.99),
    s=st.floats(1.01, 1.2),
)
@settings(max_examples=30)
def test_gradients_are_those_of_the_functions(function, gradient, times, lam, s):
    p = np.array([*times, lam, s])
    # A width exactly at the knee has two one-sided slopes of ∂G/∂L; step around it.
    step = 1e-6 * p
    for i, exact in enumerate(gradient(Parameters(*p)).T):
        ahead, behind = p.copy(), p.copy()
        ahead[i] += step[i]
        behind[i] -= step[i]
        numeric = (function(Parameters(*ahead)) - function(Parameters(*behind))) / (2 * step[i])
        scale = np.abs(function(Parameters(*p))) / p[i]
        assert np.allclose(exact, numeric, rtol=2e-3, atol=float(scale.max()) * 1e-5)


def test_noiseless_data_are_fitted_to_the_last_digit():
    grid = true_grid()
    found = fit(grid.every(11), FACTS, MAX_REJECT_MS)
    assert found.cost < 1e-9
    assert np.max(np.abs(found.speedup(grid.points) / grid.speedup - 1)) < 0.002


@pytest.mark.parametrize("seed", range(6))
def test_held_out_points_are_predicted_within_three_per_cent_from_21_noisy_ones(seed):
    errors = held_out_errors(11, seed)
    assert len(errors) == 207
    assert np.sqrt(np.mean(errors**2)) < 0.03


def test_the_same_seed_finds_the_same_parameters():
    grid = noisy(true_grid(), 1).every(11)
    first, second = (fit(grid, FACTS, MAX_REJECT_MS) for _ in range(2))
    assert first.parameters == second.parameters


def test_more_starts_never_end_worse():
    grid = published().grid.every(25)
    costs = [fit(grid, published().facts, 0.25, n_starts=n, seed=3).cost for n in (1, 4, 16)]
    assert costs == sorted(costs, reverse=True)


def test_no_small_step_inside_the_bounds_lowers_the_cost(noisy_fit):
    rng = np.random.default_rng(1)
    low, high = noisy_fit.bounds.arrays
    for _ in range(200):
        p = np.array(noisy_fit.parameters)
        nearby = np.clip(p * (1 + 1e-3 * rng.standard_normal(10)), low, high)
        residuals = speedup(Parameters(*nearby), noisy_fit.grid.points, RIDGE) - noisy_fit.grid.speedup
        assert half_sse(residuals) >= noisy_fit.cost * (1 - 1e-6)


def test_cost_is_half_the_sum_of_squares(noisy_fit):
    assert half_sse(noisy_fit.residuals(noisy_fit.grid)) == pytest.approx(noisy_fit.cost)
    assert rmse(np.array([3.0, 4.0])) == pytest.approx(np.sqrt(12.5))


@given(st.integers(0, 1000))
@settings(max_examples=20)
def test_every_start_lies_strictly_inside_the_bounds(seed):
    limits = bounds(FACTS, MAX_REJECT_MS)
    low, high = limits.arrays
    starts = draw_starts(limits, 5, seed)
    assert np.all(starts > low)
    assert np.all(starts < high)


def test_parameters_stay_inside_the_bounds(noisy_fit):
    low, high = noisy_fit.bounds.arrays
    assert np.all(np.array(noisy_fit.parameters) >= low)
    assert np.all(np.array(noisy_fit.parameters) <= high)


def test_fewer_points_than_parameters_are_refused():
    grid = true_grid().every(26)
    assert len(grid) == 9
    with pytest.raises(DataError, match="9 points cannot fix 10 parameters"):
        fit(grid, FACTS, MAX_REJECT_MS)


def test_a_parameter_that_its_bound_holds_is_named():
    # A machine said to be far slower than it is: drafting may not be as short as it really was.
    machine = msgspec.structs.replace(FACTS.machine, draft_bandwidth_bytes_per_s=0.1e12)
    facts = msgspec.structs.replace(FACTS, machine=machine)
    found = fit(true_grid().every(3), facts, MAX_REJECT_MS)
    verdicts = {standing.name: standing.verdict for standing in standings(found)}
    assert verdicts["draft_bias_ms"] == "on lower bound"
    held = [s for s in standings(found) if s.verdict.startswith("on ")]
    assert all(np.isnan(s.relative_error) for s in held)
    assert n_free(found) == 10 - len(held)


def free_fit():
    """A fit whose end is the truth itself, inside every bound."""
    found = fit(true_grid().every(3), FACTS, MAX_REJECT_MS, n_starts=1)
    return ended_at(found, TRUTH)


def ended_at(found, parameters):
    return dataclasses.replace(found, parameters=parameters)


def test_where_no_bound_holds_any_time_none_of_them_is_identifiable():
    found = free_fit()
    assert scale_is_free(found)
    verdicts = {s.name: s.verdict for s in standings(found)}
    assert {verdicts[name] for name in Parameters._fields[:8]} == {"not identifiable"}
    assert all(np.isinf(s.relative_error) for s in standings(found)[:8])
    assert verdicts["lam"] == verdicts["s"] == "determined"


def test_one_held_time_gives_the_others_their_scale():
    held = ended_at(free_fit(), TRUTH._replace(bias_ms=FACTS.bias_min_ms))
    assert not scale_is_free(held)
    errors = {s.name: s.relative_error for s in standings(held)}
    assert np.isnan(errors["bias_ms"])
    assert np.isfinite(errors["k2_ms"])


def test_more_noise_makes_parameters_less_certain():
    errors = []
    for noise in (0.001, 0.05):
        found = ended_at(fit(noisy(true_grid(), 2, noise), FACTS, MAX_REJECT_MS), TRUTH._replace(k2_ms=0.4))
        errors.append({s.name: s.relative_error for s in standings(found)}["s"])
    assert errors[0] < errors[1]


@pytest.mark.parametrize("stride", [11, 5])
def test_ninety_per_cent_intervals_hold_about_that_share_of_new_measurements(stride):
    held = []
    for seed in range(5):
        found = fit(noisy(true_grid(), seed).every(stride), FACTS, MAX_REJECT_MS)
        fresh = noisy(true_grid(), 1000 + seed)
        low, high = refit(found, 30).interval(fresh.points, 0.9)
        assert np.all(low < high)
        held.append(np.mean((fresh.speedup > low) & (fresh.speedup < high)))
    assert np.mean(held) == pytest.approx(0.9, abs=0.07)


def test_leverages_sum_to_the_directions_that_the_points_determine(noisy_fit):
    held = leverages(noisy_fit)
    assert np.all((held >= 0) & (held <= 1))
    # One direction, the common scale of the times, is determined only where a bound holds a time.
    assert held.sum() == pytest.approx(n_free(noisy_fit) - scale_is_free(noisy_fit))


def test_a_wider_level_gives_a_wider_interval(noisy_fit):
    refits = refit(noisy_fit, 20)
    narrow, wide = (np.subtract(*refits.interval(POINTS, level)[::-1]) for level in (0.5, 0.95))
    assert np.all(narrow < wide)


def test_the_same_seed_gives_the_same_interval(noisy_fit):
    first, second = (refit(noisy_fit, 5).interval(POINTS) for _ in range(2))
    assert np.array_equal(first, second)


def test_no_interval_without_points_to_spare():
    found = ended_at(fit(noisy(true_grid(), 1).every(25), FACTS, MAX_REJECT_MS, n_starts=1), TRUTH)
    assert len(found.grid) == n_free(found) == 10
    with pytest.raises(DataError, match="leave nothing to estimate the error from"):
        refit(found)
