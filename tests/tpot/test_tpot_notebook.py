"""Seed 001 comes out again figure by figure, with what its rounding leaves open and what contradicts itself."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.published import tpot_notebook
from analysis.tpot.model import Pair, best_of, cycle_ms, implied_draft_ms, sd_tpot_ms
from analysis.tpot.notebook import HALF_UNIT, figures, implied, inconsistencies, pair_of, possible_best

NOTES = tpot_notebook()
FIGURES = {figure.name: figure for figure in figures(NOTES)}

times = st.floats(0.1, 100.0)
gammas = st.integers(1, 32)
lengths = st.floats(1.0, 33.0)


@given(gammas, times, times, lengths)
def test_the_implied_draft_time_is_the_one_that_was_put_in(gamma, draft, target, length):
    tpot = sd_tpot_ms(gamma, draft, target, length)
    assert implied_draft_ms(tpot, gamma, target, length) == pytest.approx(draft, rel=1e-6)


@given(gammas, times, times)
def test_a_cycle_that_yields_one_token_takes_as_long_as_that_token(gamma, draft, target):
    assert sd_tpot_ms(gamma, draft, target, 1.0) == cycle_ms(gamma, draft, target)


def test_the_smaller_gamma_wins_a_tie():
    assert best_of([8, 4, 2], [1.0, 1.0, 2.0]) == (4, 1.0)


@pytest.mark.parametrize(
    ("name", "value", "digits"),
    [
        ("expected cycle (ITL)", 32.73, 2),
        ("expected TPOT", 9.98, 2),
        ("implied draft time", 2.66, 2),
        ("implied cycle (ITL)", 34.31, 2),
        ("actual speedup", 2.26, 2),
        ("expected speedup", 2.37, 2),
        ("best expected speedup", 2.385, 3),
        ("best K now", 4, 0),
        ("best K with a faster draft", 5, 0),
        ("draft slower than alone", 0.174, 3),
        ("gain at the same K", 0.048, 3),
        ("gain at the best K", 0.055, 3),
    ],
)
def test_every_figure_of_the_notes_comes_out_again(name, value, digits):
    assert round(FIGURES[name].value, digits) == value


def test_no_figure_is_left_out():
    assert len(FIGURES) == 12


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("expected TPOT", "not stated"),
        ("implied draft time", "agrees"),
        ("implied cycle (ITL)", "rounded"),
        ("best K now", "undecided"),
        ("best K with a faster draft", "agrees"),
        ("draft slower than alone", "agrees"),
        ("gain at the same K", "agrees"),
        ("gain at the best K", "agrees"),
    ],
)
def test_what_the_notes_state_is_judged_by_their_own_digits(name, verdict):
    assert FIGURES[name].verdict == verdict


def test_every_interval_holds_its_figure():
    assert all(figure.low <= figure.value <= figure.high for figure in FIGURES.values())


def test_a_figure_stated_wrong_would_be_called_contradicted():
    stated = msgspec.structs.replace(NOTES.stated, draft_tpot_as_draft_ms=2.9, best_gamma_now=7)
    wrong = {f.name: f for f in figures(msgspec.structs.replace(NOTES, stated=stated))}
    assert wrong["implied draft time"].verdict == "contradicted"
    assert wrong["best K now"].verdict == "contradicted"


def test_the_best_k_now_is_left_open_by_the_rounding_of_the_lengths():
    assert possible_best(pair_of(NOTES), implied(NOTES)) == (4, 5)
    assert possible_best(pair_of(NOTES), NOTES.constants.draft_tpot_ms) == (5,)


@given(st.lists(st.floats(-HALF_UNIT, HALF_UNIT), min_size=8, max_size=8))
def test_no_rounding_of_the_lengths_makes_another_k_the_best(shifts):
    pair = pair_of(NOTES)
    moved = tuple(length + shift for length, shift in zip(pair.acceptance_lengths, shifts, strict=True))
    best = Pair(pair.target_ms, pair.gammas, moved).best(implied(NOTES)).gamma
    assert best in possible_best(pair, implied(NOTES))


def test_four_inconsistencies_are_named():
    circular, optimum, undecided, rising = inconsistencies(NOTES)
    assert "whatever the target's time" in circular
    assert "K = 6 gives 10.073 ms, more than K = 5 (9.915 ms) and even K = 4 (9.979 ms)" in optimum
    assert "K = 4: 10.460 ms, K = 5: 10.474 ms" in undecided
    assert "Draft token 7 adds 0.20" in rising


def test_consistent_notes_have_only_the_circular_argument():
    lengths = msgspec.structs.replace(
        NOTES.acceptance_lengths, tokens=(1.80, 2.40, 2.87, 3.28, 3.64, 3.96, 4.10, 4.20)
    )
    consistent = msgspec.structs.replace(NOTES, acceptance_lengths=lengths)
    assert len(inconsistencies(consistent)) == 1


@given(times, times, st.floats(0.1, 100.0))
def test_the_implied_cycle_does_not_depend_on_the_target_s_time(target, tpot, length):
    """Which is why its agreement with the measured cycle shows nothing about the target."""
    draft = implied_draft_ms(tpot, 4, target, length)
    assert cycle_ms(4, draft, target) == pytest.approx(tpot * length)
