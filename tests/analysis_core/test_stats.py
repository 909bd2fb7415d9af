"""Estimates: what the point is, what the interval covers, and when the answer is that there is none."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.singular import hidden_fields, require_singular
from analysis.stats import MIN_BLOCKS, contrast, means, more_blocks, quotient, ratios, resampled
from runner.errors import DataError

PROMPTS = [prompt for prompt in ("a", "b", "c", "d") for _ in range(3)]


def drawn(rng, effect, between, within, *, n_prompts=4, n_blocks=3):
    """Logs of a study: prompt effects and block noise around `effect`; with the prompt of each."""
    prompts = np.repeat(np.arange(n_prompts), n_blocks)
    logs = effect + rng.normal(0, between, n_prompts)[prompts] + rng.normal(0, within, len(prompts))
    return logs, [f"p{prompt}" for prompt in prompts]


def test_the_point_is_the_geometric_mean_over_prompts_of_the_mean_over_blocks():
    estimate = ratios(np.log([2.0, 2.0, 2.0, 8.0]), ["a", "a", "a", "b"])
    assert estimate.point == pytest.approx(4.0)
    assert (estimate.n_prompts, estimate.n_blocks) == (2, 1)


def test_the_order_of_the_observations_does_not_matter():
    rng = np.random.default_rng(1)
    logs, prompts = drawn(rng, 0.1, 0.1, 0.1)
    shuffled = rng.permutation(len(logs))
    other = ratios(logs[shuffled], [prompts[i] for i in shuffled])
    assert other.point == pytest.approx(ratios(logs, prompts).point)


def test_the_same_data_give_the_same_interval():
    logs, prompts = drawn(np.random.default_rng(2), 0.1, 0.1, 0.1)
    assert ratios(logs, prompts) == ratios(logs, prompts)


@given(st.lists(st.floats(-2, 2), min_size=12, max_size=12))
def test_the_interval_stays_within_the_data(logs):
    estimate = ratios(logs, PROMPTS)
    slack = 1 + 1e-9
    assert math.exp(min(logs)) / slack <= estimate.low <= estimate.high <= math.exp(max(logs)) * slack


@given(st.lists(st.floats(-1, 1), min_size=12, max_size=12), st.floats(-3, 3))
def test_shifting_all_logs_scales_the_estimate(logs, shift):
    before, after = ratios(logs, PROMPTS), ratios(np.array(logs) + shift, PROMPTS)
    factor = math.exp(shift)
    assert after.point == pytest.approx(before.point * factor, rel=1e-9)
    assert after.low == pytest.approx(before.low * factor, rel=1e-9)


def test_variance_between_prompts_widens_the_interval():
    rng = np.random.default_rng(3)
    alike, prompts = drawn(rng, 0.0, 0.0, 0.02)
    unlike, _ = drawn(rng, 0.0, 0.3, 0.02)
    assert np.ptp([ratios(unlike, prompts).low, ratios(unlike, prompts).high]) > 4 * np.ptp(
        [ratios(alike, prompts).low, ratios(alike, prompts).high]
    )


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(4)
    hits = 0
    for _ in range(200):
        logs, prompts = drawn(rng, 0.1, 0.05, 0.05, n_prompts=12, n_blocks=6)
        estimate = ratios(logs, prompts)
        hits += estimate.low <= math.exp(0.1) <= estimate.high
    assert 0.85 <= hits / 200 <= 0.99


def test_the_resampled_variance_is_that_of_the_two_level_design():
    rng = np.random.default_rng(5)
    values = rng.normal(size=40 * 5)
    _, draws = resampled(values, [f"p{i}" for i in np.repeat(np.arange(40), 5)])
    table = values.reshape(40, 5)
    expected = table.mean(axis=1).var() / 40 + table.var(axis=1).mean() / 200
    assert draws.var() == pytest.approx(expected, rel=0.15)


def test_an_interval_that_contains_one_is_undecided_and_says_how_many_blocks_would_decide():
    logs = [0.05, -0.03, 0.02, 0.04, -0.04, 0.06, 0.01, -0.02, 0.05, 0.03, -0.05, 0.06]
    estimate = ratios(logs, PROMPTS)
    assert estimate.undecided
    assert estimate.more_blocks is not None
    assert estimate.more_blocks > 0


def test_an_interval_clear_of_one_is_decided():
    estimate = ratios([0.20, 0.21, 0.19] * 4, PROMPTS)
    assert not estimate.undecided
    assert estimate.more_blocks is None


def test_the_promised_number_of_blocks_does_decide():
    rng = np.random.default_rng(6)
    logs, prompts = drawn(rng, 0.02, 0.0, 0.05)
    more = more_blocks(logs, prompts)
    assert more is not None
    effect = logs.mean()
    decided = 0
    for _ in range(60):
        again, names = drawn(rng, effect, 0.0, 0.05, n_blocks=3 + more)
        decided += not ratios(again, names).undecided
    assert 0.3 <= decided / 60 <= 0.95


def test_no_number_of_blocks_helps_when_the_prompts_disagree():
    assert more_blocks(np.repeat([0.5, -0.5, 0.4, -0.3], 3), PROMPTS) is None


def test_one_block_leaves_the_number_unknown():
    assert more_blocks(np.array([0.1, -0.1]), ["a", "b"]) is None


def test_one_prompt_and_few_blocks_are_caveats_not_silence():
    kinds = {caveat.kind for caveat in ratios([0.1, 0.2], ["a", "a"]).caveats}
    assert kinds == {"one-prompt", "few-blocks"}
    assert ratios([0.1] * 2 * MIN_BLOCKS, ["a", "b"] * MIN_BLOCKS).caveats == ()


def test_a_quotient_weighs_prompts_alike_whatever_they_counted():
    estimate = quotient(np.array([1.0, 30.0]), np.array([10.0, 100.0]), ["a", "b"])
    assert estimate.point == pytest.approx(31 / 110)


def test_a_quotient_of_nothing_is_not_a_number():
    assert math.isnan(quotient(np.zeros(2), np.zeros(2), ["a", "b"]).point)


def test_a_contrast_of_equal_arms_is_one():
    logs, prompts = drawn(np.random.default_rng(7), 0.3, 0.2, 0.01)
    estimate = contrast(logs, prompts, logs, prompts)
    assert estimate.point == pytest.approx(1.0)
    assert estimate.undecided


def test_a_contrast_shares_its_prompts_so_that_what_they_have_in_common_cancels():
    rng = np.random.default_rng(8)
    left, prompts = drawn(rng, 0.0, 1.0, 0.001)
    estimate = contrast(left + 0.1, prompts, left, prompts)
    assert not estimate.undecided
    assert estimate.point == pytest.approx(math.exp(0.1))


def test_a_contrast_of_other_prompts_is_refused():
    with pytest.raises(DataError, match="different prompts"):
        contrast(np.zeros(2), ["a", "b"], np.zeros(2), ["a", "c"])


def test_nothing_to_average_is_an_error_and_not_a_number():
    with pytest.raises(DataError, match="nothing to average"):
        means([], [])


def frame():
    return pd.DataFrame({"gamma": [4, 4, 8, 8], "engine": ["a", "b", "a", "a"], "sha": ["x", "x", "x", "y"]})


def test_fields_hidden_by_an_aggregation_are_named_with_their_values():
    assert hidden_fields(frame(), ["gamma"], ["engine", "sha"]) == {"engine": ("a", "b"), "sha": ("x", "y")}


def test_aggregating_over_a_field_that_varies_is_refused():
    with pytest.raises(
        DataError, match=r"study: refuses to average over engine and sha \(engine: a, b; sha: x, y\)"
    ):
        require_singular(frame(), ["gamma"], ["engine", "sha"], "study")


def test_a_field_that_varies_only_between_groups_is_no_obstacle():
    require_singular(frame(), ["gamma", "engine", "sha"], ["engine", "sha"], "study")
    require_singular(frame().iloc[:0], ["gamma"], ["engine"], "study")
