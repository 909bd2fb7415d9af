"""Where SD pays: the ranges, the dense corners, and what the paper claims about sparsity."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.moesd.bootstrap import refit
from analysis.moesd.fit import fit
from analysis.moesd.predict import Setting, Span, near_peak, paying, predict, saturated_at, spans
from analysis.moesd.times import speedup
from analysis.moesd.transfer import transfer, transfer_refits
from runner.errors import UsageError
from tests.moesd.truth import FACTS, TRUTH, noisy, published, true_grid

BATCH = np.arange(1.0, 101.0)
RIDGE = FACTS.ridge_tokens


def setting(used=8, experts=64, gamma=4, alpha=0.95, verified="gamma"):
    return Setting(experts, used, gamma, alpha, verified)


@pytest.fixture(scope="module")
def refits():
    return refit(fit(noisy(true_grid(), 3).every(5), FACTS, FACTS.rejection.max_ms), 20)


@pytest.fixture(scope="module")
def published_fit():
    source = published()
    return fit(source.grid, source.facts, source.facts.rejection.max_ms)


@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_spans_cover_exactly_the_batches_at_which_it_holds(holds):
    batch = np.arange(1.0, len(holds) + 1)
    covered = {b for span in spans(batch, np.array(holds)) for b in range(span.first, span.last + 1)}
    assert covered == {i + 1 for i, held in enumerate(holds) if held}


def test_spans_that_touch_are_one():
    assert spans(np.array([1.0, 2, 3, 4]), np.array([True, True, False, True])) == (Span(1, 2), Span(4, 4))


def test_paying_and_near_peak_use_the_paper_s_limits():
    batch, speedups = np.array([1.0, 2, 3, 4]), np.array([0.9, 2.0, 1.42, 1.41])
    assert paying(batch, speedups) == (Span(2, 4),)
    assert near_peak(batch, speedups) == (Span(2, 3),)
    assert paying(batch, speedups / 2) == ()


def test_a_curve_s_parts_make_its_speedup(refits):
    curve = predict(TRUTH, refits, setting(), BATCH)
    tokens = setting().sigma * 5
    assert curve.speedup == pytest.approx(tokens / (curve.verify_ratio + curve.draft_ratio + curve.reject_ratio))
    assert curve.target_efficiency == pytest.approx(1 / curve.verify_ratio)
    assert np.all(curve.low < curve.high)


def test_a_mixture_that_uses_all_experts_is_its_own_dense_model(refits):
    curve = predict(TRUTH, refits, setting(used=64), BATCH)
    assert curve.speedup == pytest.approx(curve.dense_total)
    assert curve.speedup == pytest.approx(curve.dense_active)


def test_a_dense_target_does_best_alone_and_the_mixture_at_medium_batches(published_fit):
    refits = refit(published_fit, 5)
    curve = predict(published_fit.parameters, refits, setting(), BATCH)
    assert curve.dense_total.argmax() == curve.dense_active.argmax() == 0
    assert 4 <= BATCH[curve.speedup.argmax()] <= 24
    assert curve.speedup[0] < curve.dense_active[0]
    assert np.all(curve.speedup[30:] > curve.dense_active[30:])


def test_the_peak_moves_to_larger_batches_as_experts_get_sparser(published_fit):
    peaks = [
        speedup(published_fit.parameters, setting(used=k).points(BATCH), published_fit.ridge_tokens)[1:].argmax()
        for k in (32, 16, 8, 4)
    ]
    assert peaks == sorted(peaks)
    assert peaks[0] < peaks[-1]


def test_saturation_names_the_batch_that_loads_nearly_all_experts():
    assert saturated_at(setting()) == 23
    assert saturated_at(setting(used=64)) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"used": 65}, "65 experts used of 64"),
        ({"used": 0}, "0 experts used"),
        ({"gamma": 0}, "gamma 0"),
        ({"alpha": 1.01}, "alpha 1.01"),
        ({"alpha": float("nan")}, "alpha nan"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(changes, message):
    with pytest.raises(UsageError, match=message):
        setting(**changes)


def test_transfer_to_the_same_facts_changes_nothing():
    assert transfer(TRUTH, FACTS, FACTS) == pytest.approx(TRUTH)


@given(st.floats(0.1, 10.0))
def test_a_machine_faster_in_everything_gives_the_same_speedups_without_rejection(factor):
    machine = msgspec.structs.replace(
        FACTS.machine,
        bandwidth_bytes_per_s=FACTS.machine.bandwidth_bytes_per_s * factor,
        peak_flops_per_s=FACTS.machine.peak_flops_per_s * factor,
    )
    there = msgspec.structs.replace(FACTS, machine=machine)
    quiet = TRUTH._replace(reject_bias_ms=0.0, reject_k_ms=0.0)
    moved = transfer(quiet, FACTS, there)
    assert moved.bias_ms == pytest.approx(quiet.bias_ms / factor)
    points = setting().points(BATCH)
    assert speedup(moved, points, there.ridge_tokens) == pytest.approx(speedup(quiet, points, RIDGE))


def test_more_arithmetic_per_byte_lets_sd_pay_at_larger_batches():
    machine = msgspec.structs.replace(FACTS.machine, peak_flops_per_s=2 * FACTS.machine.peak_flops_per_s)
    there = msgspec.structs.replace(FACTS, machine=machine)
    points = setting().points(np.array([64.0]))
    moved = transfer(TRUTH, FACTS, there)
    assert speedup(moved, points, there.ridge_tokens)[0] > speedup(TRUTH, points, RIDGE)[0]


def test_refits_move_together_with_the_fit(refits):
    target = msgspec.structs.replace(FACTS.target, dense_parameters=4e9)
    there = msgspec.structs.replace(FACTS, target=target)
    moved = transfer_refits(refits, FACTS, there)
    assert [p.bias_ms for p in moved.parameters] == pytest.approx([2 * p.bias_ms for p in refits.parameters])
    assert [p.k2_ms for p in moved.parameters] == pytest.approx([p.k2_ms for p in refits.parameters])
