"""The geometric model: what it predicts, that data which follow it fit, and that others are found out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.acceptance import accepted_counts, expected_shares, expected_tau, goodness_of_fit
from analysis.decompose import decompose
from analysis.load import load_study
from tests.simulated import Config, but, honest_study

SMALL = Config(suites=("dense-sd",), n_predict_tokens=256, blocks=3, gammas=(8,))


@given(st.floats(0, 1), st.integers(1, 32))
def test_the_shares_are_a_distribution_with_the_expected_tau_as_its_mean(agreement, gamma):
    shares = expected_shares(agreement, gamma)
    assert shares.sum() == pytest.approx(1)
    assert 1 + shares @ np.arange(gamma + 1) == pytest.approx(expected_tau(agreement, gamma))


@given(st.floats(0, 0.999), st.integers(1, 32))
def test_the_expected_tau_is_that_of_the_closed_form(agreement, gamma):
    assert expected_tau(agreement, gamma) == pytest.approx((1 - agreement ** (gamma + 1)) / (1 - agreement))


def test_impossible_counts_are_left_out():
    assert accepted_counts(np.array([0, 2, 5, -1, 2]), 2).tolist() == [1, 0, 2]


def test_draws_from_the_model_are_rejected_about_as_often_as_the_level_says():
    rng = np.random.default_rng(1)
    shares = expected_shares(0.7, 4)
    rejected = 0
    for _ in range(300):
        counts = rng.multinomial(800, shares).astype(float)
        tries = counts @ np.arange(5) + counts[:4].sum()
        p_value = goodness_of_fit(counts, expected_shares(counts @ np.arange(5) / tries, 4))
        rejected += p_value < 0.05
    assert 3 <= rejected <= 30


def test_too_few_cycles_give_no_verdict():
    assert goodness_of_fit(np.array([3.0, 2.0, 1.0]), expected_shares(0.5, 2)) is None


def fits(tmp_path, config):
    return [one.acceptance.geometric for one in decompose(load_study(honest_study(tmp_path, config)))]


def test_independent_tokens_fit_the_geometric_model(tmp_path):
    for fit in fits(tmp_path, SMALL):
        assert fit.p_value > 0.01
        assert fit.tau == pytest.approx(fit.measured_tau, rel=0.05)
        assert fit.total_variation < 0.05


def test_a_draft_that_tires_with_its_position_does_not_fit(tmp_path):
    tiring = but(SMALL, acceptance=lambda target, draft, prompt, position: max(0.05, 0.98 - 0.2 * (position - 1)))
    for fit in fits(tmp_path, tiring):
        assert fit.p_value < 0.001
        assert fit.total_variation > 0.1


def test_acceptance_by_position_shows_where_the_draft_tires(tmp_path):
    tiring = but(SMALL, acceptance=lambda target, draft, prompt, position: 0.9 if position < 3 else 0.3)
    one = decompose(load_study(honest_study(tmp_path, tiring)))[0]
    rates = {place.position: place.rate.point for place in one.acceptance.positions}
    assert rates[1] == pytest.approx(0.9, abs=0.05)
    assert rates[3] == pytest.approx(0.3, abs=0.08)


def test_a_draft_that_is_never_right_has_agreement_zero(tmp_path):
    never = but(SMALL, acceptance=lambda target, draft, prompt, position: 0.0)
    for fit in fits(tmp_path, never):
        assert fit.agreement.point == 0.0
        assert fit.measured_tau == fit.tau == 1.0


def test_a_draft_that_is_always_right_fills_every_cycle(tmp_path):
    always = but(SMALL, acceptance=lambda target, draft, prompt, position: 1.0)
    for fit in fits(tmp_path, always):
        assert fit.agreement.point == 1.0
        assert fit.measured_tau == fit.tau == 9.0
