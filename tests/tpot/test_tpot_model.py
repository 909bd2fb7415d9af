"""Laws of the formula, and of the intervals that rounding leaves."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.published import tpot_notebook
from analysis.tpot.model import Pair, implied_draft_ms, sd_tpot_ms
from analysis.tpot.notebook import HALF_UNIT, corners, figures, inconsistencies, pair_of, possible_best

NOTES = tpot_notebook()

times = st.floats(0.5, 100.0)
gammas = st.integers(1, 32)
lengths = st.floats(1.1, 33.0)
shifts = st.floats(-HALF_UNIT, HALF_UNIT)


@st.composite
def pairs(draw):
    n = draw(st.integers(1, 10))
    steps = draw(st.lists(st.floats(0.01, 0.99), min_size=n, max_size=n))
    lengths = tuple(1.0 + sum(steps[: i + 1]) for i in range(n))
    return Pair(draw(times), tuple(range(1, n + 1)), lengths)


@given(gammas, times, times, lengths, st.floats(0.01, 1.0))
def test_a_faster_draft_never_makes_a_token_slower(gamma, draft, target, length, share):
    assert sd_tpot_ms(gamma, draft * share, target, length) <= sd_tpot_ms(gamma, draft, target, length)


@given(gammas, times, times)
def test_drafting_for_free_and_accepting_all_gives_gamma_plus_one_fold_speed(gamma, draft, target):
    assert target / sd_tpot_ms(gamma, 0.0, target, gamma + 1.0) == pytest.approx(gamma + 1)


@given(gammas, times, times, lengths)
def test_a_draft_that_costs_more_per_token_than_it_yields_makes_sd_slower(gamma, draft, target, length):
    slower = sd_tpot_ms(gamma, draft, target, length) > target
    assert slower == (gamma * draft / target > length - 1) or gamma * draft / target == pytest.approx(length - 1)


@given(gammas, times, times, lengths, st.floats(0.1, 10.0))
def test_a_slower_cycle_than_expected_implies_a_slower_draft(gamma, draft, target, length, extra):
    tpot = (gamma * draft + target + extra) / length
    assert implied_draft_ms(tpot, gamma, target, length) == pytest.approx(draft + extra / gamma)


@given(pairs(), times)
def test_the_best_gamma_has_no_better_one(pair, draft):
    best = pair.best(draft)
    assert best.tpot_ms == min(pair.tpots_ms(draft))
    assert best.gamma in pair.gammas
    assert best.gamma in possible_best(pair, draft)


@given(pairs(), times, st.floats(0.01, 0.99))
def test_the_best_gamma_never_shrinks_when_the_draft_gets_faster(pair, draft, share):
    """Why less overhead moves the notes' best K from 4 to 5."""
    assert pair.best(draft * share).gamma >= pair.best(draft).gamma


def test_a_gamma_without_a_length_is_refused():
    with pytest.raises(ValueError, match="not in tuple"):
        pair_of(NOTES).length_at(9)


@given(times, times, lengths, shifts, shifts, shifts)
def test_no_rounding_of_the_inputs_leaves_the_interval(draft, target, length, a, b, c):
    def tpot(draft, target, length):
        return sd_tpot_ms(4, draft, target, length)

    low, high = corners(tpot, (draft, target, length))
    assert low - 1e-9 <= tpot(draft + a, target + b, length + c) <= high + 1e-9


@given(st.floats(9.0, 12.0))
def test_figures_follow_the_observed_time(observed):
    constants = msgspec.structs.replace(NOTES.constants, measured_sd_tpot_ms=observed)
    found = {figure.name: figure for figure in figures(msgspec.structs.replace(NOTES, constants=constants))}
    assert found["actual speedup"].value == pytest.approx(23.65 / observed)
    assert found["implied cycle (ITL)"].value == pytest.approx(observed * 3.28)
    assert found["expected TPOT"].value == pytest.approx(9.9787, abs=1e-4)
    assert found["gain at the same K"].value == pytest.approx(observed / 9.97866 - 1, abs=1e-4)


@given(st.floats(0.03, 0.5))
def test_a_draft_token_that_adds_more_than_the_one_before_is_named(rise):
    lengths = (1.8, 2.4, 2.4 + 0.6 + rise, 3.2 + rise, 3.3 + rise, 3.35 + rise, 3.37 + rise, 3.38 + rise)
    notes = msgspec.structs.replace(
        NOTES, acceptance_lengths=msgspec.structs.replace(NOTES.acceptance_lengths, tokens=lengths)
    )
    assert any(text.startswith("Draft token 3 adds") for text in inconsistencies(notes))
