"""The small parts: whom to verify, what counts as broken, memory, the server's flags, the budget."""

import doctest
import importlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.advise.budget import Budget, Durations
from runner.advise.measure import baseline_of
from runner.advise.predict import Interval, Prediction
from runner.advise.server_flags import server_arguments
from runner.advise.verify import interval_of, is_broken, shortlist
from runner.record import Cycles, Measurement


@pytest.mark.parametrize("name", ["replay", "breakeven", "budget"])
def test_the_examples_in_the_documentation_hold(name):
    assert doctest.testmod(importlib.import_module(f"runner.advise.{name}")).failed == 0


def prediction(
    drafter: str, gamma: int, speedup: float, *, chance: float = 0.0, drafted: float = 1.0
) -> Prediction:
    interval = Interval(point=speedup, low=speedup - 0.02, high=speedup + 0.02)
    return Prediction(
        drafter=drafter, gamma=gamma, speedup=interval, drafted=drafted, tau=2.0, alpha=0.5, v=1.0, d=0.1, o=0.0,
        chance=chance,
    )  # fmt: skip


def test_those_that_may_be_the_best_are_verified_and_no_more_than_asked_for():
    found = [
        prediction("small", 4, 1.50, chance=0.3),
        prediction("small", 5, 1.49, chance=0.2),
        prediction("small", 6, 1.40, chance=0.1),
        prediction("small", 8, 1.48, chance=0.4),
    ]
    assert shortlist(found, 3) == [("small", 4), ("small", 8), ("small", 5)]
    assert shortlist(found, 1) == [("small", 4)]


def test_one_that_is_hardly_the_best_is_not_verified():
    found = [prediction("small", 4, 1.50, chance=0.98), prediction("small", 8, 1.30, chance=0.02)]
    assert shortlist(found, 4) == [("small", 4)]


@pytest.mark.parametrize(("speedup", "verified"), [(1.02, [1, 2]), (1.0, [1]), (0.5, [1])])
def test_beside_the_best_only_what_may_bring_a_worthwhile_gain_is_verified(speedup, verified):
    found = [prediction("small", 1, speedup, chance=0.5), prediction("small", 2, speedup - 0.001, chance=0.5)]
    assert shortlist(found, 4) == [("small", gamma) for gamma in verified]


def test_another_drafter_is_verified_when_it_may_pay():
    found = [prediction("small", 4, 1.5, chance=1.0), prediction("ngram", 2, 1.1), prediction("other", 2, 0.8)]
    assert shortlist(found, 4) == [("small", 4), ("ngram", 2)]


def test_a_drafter_that_proposes_nothing_is_never_verified():
    assert shortlist([prediction("ngram", 2, 1.0, drafted=0.0)], 4) == []


def measurement(tokens, margins=(), cycle_ns=(10,), wall_ns=None) -> Measurement:
    n_cycles = len(cycle_ns)
    zeros = [0] * n_cycles
    return Measurement(
        n_prompt_tokens=4,
        prompt_tokens_sha256="0" * 64,
        target_rollback="none",
        draft_rollback="none",
        n_rs_seq=0,
        prefill_tokens=3,
        prefill_target_ns=0,
        prefill_draft_ns=0,
        decode_wall_ns=wall_ns or sum(cycle_ns),
        llama_ns=0,
        cycles=Cycles(
            drafted=zeros,
            accepted=zeros,
            draft_ns=zeros,
            verify_ns=list(cycle_ns),
            rollback_ns=zeros,
            sample_ns=zeros,
        ),
        tokens=list(tokens),
        margins=list(margins),
    )


@pytest.mark.parametrize(
    ("tokens", "broken"), [([1, 2, 3], False), ([1, 9, 9], False), ([1, 2, 9], True), ([9, 2, 3], True)]
)
def test_a_text_is_broken_when_it_first_differs_where_the_baseline_was_sure(tokens, broken):
    baseline = measurement([1, 2, 3], margins=[5.0, 0.1, 5.0])
    assert is_broken(measurement(tokens), baseline, 0.25) is broken


def test_the_baselines_unit_ignores_an_interrupted_cycle_and_keeps_what_the_loop_takes():
    found = baseline_of(measurement([1] * 5, cycle_ns=[10, 10, 10, 10, 500], wall_ns=590))
    assert found.unit_ns == 10 + (590 - 540) / 5
    assert found.wall_ns == 590 / 5


@given(st.lists(st.floats(-1, 1), min_size=3, max_size=20))
def test_the_interval_of_paired_ratios_surrounds_their_geometric_mean(logs):
    found = interval_of(logs)
    assert found.low <= found.point <= found.high
    assert found.point == pytest.approx(math.exp(sum(logs) / len(logs)))


def test_two_pairs_give_no_interval():
    assert interval_of([0.1, 0.2]) is None


@pytest.mark.parametrize(
    ("drafter", "gamma", "words"),
    [
        (
            "small",
            6,
            "--spec-type draft-simple --spec-draft-model s.gguf --spec-draft-n-max 6 --spec-draft-p-min 0",
        ),
        ("ngram", 6, "--spec-type ngram-simple --spec-ngram-simple-size-n 3 --spec-ngram-simple-size-m 6"),
        ("none", 0, "--spec-type none"),
    ],
)
def test_the_servers_flags_say_the_same(drafter, gamma, words):
    assert server_arguments("t.gguf", drafter, "s.gguf", gamma) == ["--model", "t.gguf", *words.split()]


def test_a_step_is_expected_to_take_what_it_took_and_not_much_less_at_once():
    now = iter([0.0, 4.0, 10.0, 11.0]).__next__
    durations = Durations(now)
    for _ in range(2):
        durations.entered("run", now())
    assert durations.of("run") == pytest.approx(3.2)
    assert durations.of("never done") == 0


def test_a_share_of_a_budget_ends_before_it():
    now = [0.0]
    whole = Budget(100, clock=lambda: now[0])
    half = whole.share(0.5)
    now[0] = 60.0
    assert (half.is_spent, whole.is_spent, whole.left_s) == (True, False, 40.0)
