"""MoE against dense controls: each cause apart, and a verdict on causes only where the data give one."""

from __future__ import annotations

import math

import numpy as np
import pytest

from analysis.causes import Point, causes, points
from analysis.configurations import configurations
from analysis.controls import comparisons, controls_tables
from analysis.load import load_study
from tests.simulated import MODELS, Config, but, distinct_experts, honest_study

STUDY = Config(suites=("moe-sd", "dense-sd"), n_predict_tokens=96)
FACTS = {facts.role: facts for facts in MODELS}
TARGETS = ("moe-q4", "moe-q8", "dense-4b", "dense-9b")


def measured(verify_ratio, noise=0.002, targets=TARGETS, gammas=(4, 8, 16)):
    """Points whose v follows `verify_ratio(facts, gamma)`, with resamples around it."""
    rng = np.random.default_rng(1)
    found = []
    for role in targets:
        for gamma in gammas:
            v = verify_ratio(FACTS[role], gamma) * math.exp(rng.normal(0, noise))
            found.append(Point(FACTS[role], gamma, v, v * np.exp(rng.normal(0, noise, 500))))
    return found


def by_experts(facts, gamma):
    touched = distinct_experts(gamma + 1) / distinct_experts(1) if facts.n_experts else 1.0
    return 1 + 0.02 * gamma + 0.4 * (touched - 1)


def by_total_bytes(facts, gamma):
    return 1 + gamma * (0.9 - 0.2 * math.log(facts.size_bytes / 1e9))


def verdict(found):
    judgements, answer = causes(found)
    return {one.reading: one for one in judgements}, answer


def test_v_that_follows_the_experts_is_attributed_to_them():
    judged, answer = verdict(measured(by_experts))
    assert judged["experts touched"].supported
    assert not judged["total bytes"].supported
    assert answer.startswith("v follows experts touched")


def test_v_that_follows_total_bytes_is_attributed_to_them():
    judged, answer = verdict(measured(by_total_bytes))
    assert judged["total bytes"].supported
    assert judged["total bytes"].rank_correlation == pytest.approx(-1.0)
    assert answer.startswith("v follows total bytes")


def test_v_that_is_the_same_for_all_targets_follows_none():
    _, answer = verdict(measured(lambda facts, gamma: 1 + 0.1 * gamma, noise=0.01))
    assert not answer.startswith("v follows")


def test_noise_that_hides_the_cause_leaves_it_undecided():
    _, answer = verdict(measured(by_experts, noise=0.8))
    assert answer.startswith("The data cannot decide")


def test_a_slope_against_the_reading_never_supports_it():
    judged, answer = verdict(measured(lambda facts, gamma: 1 + gamma * 0.1 * math.log(facts.size_bytes / 1e8)))
    assert judged["total bytes"].slope > 0
    assert not judged["total bytes"].supported
    assert answer.endswith("The data run against total bytes: the slope has the other sign.")


@pytest.mark.parametrize("targets", [TARGETS[:3], ("moe-q4", "dense-4b"), ("dense-4b", "dense-9b"), ()])
def test_too_few_targets_are_said_and_not_fitted(targets):
    judged, answer = verdict(measured(by_experts, targets=targets))
    assert judged == {}
    assert answer.startswith("Not tested")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return load_study(honest_study(tmp_path_factory.mktemp("controls") / "study", STUDY))


def test_each_moe_is_held_against_each_dense_target_at_each_gamma(study):
    rows = list(comparisons(study, configurations(study)))
    assert {(row["moe"], row["control"], row["gamma"]) for row in rows} == {
        (moe, dense, gamma)
        for moe in ("MoE Q4", "MoE Q8")
        for dense in ("Dense 4B", "Dense 9B")
        for gamma in (4, 8, 16)
    }
    assert {row["draft"] for row in rows} == {"Draft 0.8B"}


def test_the_causes_come_apart_as_the_cost_model_has_them(study):
    for row in comparisons(study, configurations(study)):
        assert row["amortization"].high < 1
        assert row["draft_cost"].point == pytest.approx(
            {"Dense 4B": 14.9, "Dense 9B": 29.9}[row["control"]] / {"MoE Q4": 18.1, "MoE Q8": 20.0}[row["moe"]],
            rel=0.05,
        )
        assert row["acceptance"].low <= 1.1
        assert row["acceptance"].high >= 0.9


def test_a_study_measured_by_experts_says_so_end_to_end(study):
    controls, cause = controls_tables(study, configurations(study))
    assert len(controls.rows) == 12
    assert cause.notes[0].startswith("v follows experts touched")


def test_a_study_without_an_arm_has_no_controls_table(tmp_path):
    alone = load_study(honest_study(tmp_path / "alone", but(STUDY, suites=("moe-sd",))))
    assert controls_tables(alone, configurations(alone)) == ()


def test_points_keep_to_the_draft_that_most_targets_share(study):
    assert {(point.facts.role, point.gamma) for point in points(study, configurations(study))} == {
        (role, gamma) for role in TARGETS for gamma in (4, 8, 16)
    }


def test_arms_without_a_common_prompt_are_not_compared(study):
    found = [one.on({"code" if "moe" in one.target else "short"}) for one in configurations(study)]
    assert list(comparisons(study, found)) == []
