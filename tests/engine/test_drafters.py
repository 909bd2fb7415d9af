"""Drafters without a model: what they propose, and that the loop stays lossless whatever they propose."""

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.clock import PausableClock
from runner.decode import NoDraft, generate
from runner.drafter_names import drafter_spec
from runner.drafters import (
    MOST_RIGHT,
    TWICE_UP_TO,
    NgramDrafter,
    OracleDrafter,
    SweepDrafter,
    VariedDrafter,
    shuffled_lengths,
    spread_lengths,
)
from tests.scripted_models import VOCABULARY, HashTarget, greedy, ticking_clock

prompts = st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=6)


def generated(drafter, salt, prompt, gamma, n_predict):
    return generate(HashTarget(salt), drafter, prompt, gamma=gamma, n_predict=n_predict, clock=ticking_clock())


@given(st.integers(), prompts, st.integers(1, 8), st.integers(1, 40), st.sampled_from([0.0, 0.3, 0.7, 1.0]))
def test_no_drafter_changes_the_text(salt, prompt, gamma, n_predict, probability):
    truth = greedy(salt, prompt, n_predict)
    drafters = [
        NgramDrafter(),
        OracleDrafter(truth, probability, VOCABULARY, seed=1),
        SweepDrafter(truth, gamma, seed=1),
        NoDraft(),
    ]
    for drafter in drafters:
        assert generated(drafter, salt, prompt, gamma, n_predict).tokens == truth


def test_a_sure_oracle_is_always_right_and_a_hopeless_one_always_wrong():
    truth = greedy(5, [1], 60)
    sure = generated(OracleDrafter(truth, 1.0, VOCABULARY, 1), 5, [1], 4, 60).cycles
    hopeless = generated(OracleDrafter(truth, 0.0, VOCABULARY, 1), 5, [1], 4, 60).cycles
    assert sure.accepted == sure.drafted
    assert sum(hopeless.accepted) == 0


def test_an_oracle_is_right_as_often_as_it_was_told():
    truth = [3] * 20_000
    oracle = OracleDrafter(truth, 0.75, VOCABULARY, seed=2)
    oracle.begin([0])
    hits = sum(token == 3 for token in oracle.propose(20_000))
    assert hits / 20_000 == pytest.approx(0.75, abs=0.015)


def test_an_oracle_repeats_itself_from_its_seed():
    proposals = [OracleDrafter([1] * 50, 0.5, VOCABULARY, seed=9).propose(50) for _ in range(2)]
    assert proposals[0] == proposals[1]


def test_prompt_lookup_continues_the_longest_match_as_it_went_on_before():
    drafter = NgramDrafter()
    drafter.begin([1, 2, 3, 4, 9, 2, 3, 5, 1, 2, 3])
    assert drafter.propose(3) == [4, 9, 2], "after 1 2 3 came 4, though after the later 2 3 came 5"


def test_prompt_lookup_prefers_the_latest_of_equal_matches():
    drafter = NgramDrafter()
    drafter.begin([1, 7, 1, 8, 1])
    assert drafter.propose(1) == [8]


def test_prompt_lookup_has_nothing_to_say_about_a_new_token():
    drafter = NgramDrafter()
    drafter.begin([1, 2, 3])
    assert drafter.propose(4) == []


def test_prompt_lookup_learns_from_what_was_emitted():
    drafter = NgramDrafter()
    drafter.begin([1, 2])
    drafter.propose(4)
    drafter.settle(0, 1)
    assert drafter.propose(4) == [2, 1]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30), st.integers(1, 6))
def test_prompt_lookup_proposes_what_really_followed_an_earlier_occurrence(text, limit):
    drafter = NgramDrafter()
    drafter.begin(text)
    proposal = drafter.propose(limit)
    followed = [text[i + 1 : i + 1 + len(proposal)] for i in range(len(text) - 1) if text[i] == text[-1]]
    assert proposal in followed if followed else proposal == []


def test_a_sweep_visits_every_length_equally_often():
    lengths = Counter(itertools.islice(shuffled_lengths(8, seed=1), 9 * 7))
    assert lengths == dict.fromkeys(range(9), 7)
    assert list(itertools.islice(shuffled_lengths(8, seed=1), 9)) != sorted(range(9))


def test_a_sweep_takes_short_lengths_twice_in_a_row_and_long_ones_once():
    truth = list(range(2000))
    sweep = SweepDrafter(truth, 12, seed=1)
    sweep.begin([])
    lengths = []
    for _ in range(9 * 2 + 4):
        lengths.append(len(sweep.propose(64)))
        sweep.settle(lengths[-1], truth[sum(lengths) + len(lengths) - 1])
    runs = [(length, len(list(group))) for length, group in itertools.groupby(lengths)]
    assert sorted(runs) == [(length, 2 if length <= TWICE_UP_TO else 1) for length in range(13)]


@given(st.integers(), st.integers(1, 8), st.integers(1, 60), st.integers(0, 20))
def test_varied_lengths_change_no_token_and_each_holds_for_two_cycles(salt, gamma, n_predict, turn):
    truth = greedy(salt, [1], n_predict)
    drafter = VariedDrafter(OracleDrafter(truth, 1.0, VOCABULARY, 1), gamma, VOCABULARY, seed=3, turn=turn)
    found = generated(drafter, salt, [1], gamma, n_predict)
    assert found.tokens == truth
    n_missing = n_predict - np.cumsum([0, *(each + 1 for each in found.cycles.accepted[:-1])])
    free = [drafted for drafted, missing in zip(found.cycles.drafted, n_missing, strict=True) if missing > gamma]
    assert all(first == second for first, second in zip(free[::2], free[1::2], strict=False))


def test_of_varied_lengths_only_the_first_tokens_are_right_so_that_there_are_many_cycles():
    truth = greedy(5, [1], 200)
    drafter = VariedDrafter(OracleDrafter(truth, 1.0, VOCABULARY, 1), 16, VOCABULARY, seed=3)
    accepted = Counter(generated(drafter, 5, [1], 16, 200).cycles.accepted)
    assert set(accepted) == set(range(MOST_RIGHT + 1))


@given(st.integers(0, 99), st.integers(1, 20), st.integers(4, 12))
def test_short_runs_of_successive_turns_visit_all_lengths_about_equally_often(seed, n_visits, n_turns):
    visited = Counter(
        length for turn in range(n_turns) for length in itertools.islice(spread_lengths(32, seed, turn), n_visits)
    )
    assert max(visited.values()) - min(visited[length] for length in range(33)) <= 3


def test_names_say_what_drafts():
    assert drafter_spec("model").needs_model
    assert drafter_spec("unchecked").needs_model
    assert not drafter_spec("ngram").needs_model
    oracle = drafter_spec("oracle-0.75-charged")
    assert (oracle.kind, oracle.probability, oracle.charged, oracle.needs_truth) == ("oracle", 0.75, True, True)
    assert not drafter_spec("oracle-1.00").needs_model


@pytest.mark.parametrize("name", ["oracle-2.00", "oracle-0.5", "oracle", "gram", "", "draft-4b"])
def test_an_unknown_name_names_no_drafter(name):
    assert drafter_spec(name) is None


def test_an_oracle_that_was_overruled_tells_the_text_that_follows_instead():
    asked = []

    def retell(confirmed):
        asked.append(list(confirmed))
        return [*confirmed, 7, 7, 7]

    oracle = OracleDrafter([1, 2, 3, 4, 5], 1.0, VOCABULARY, seed=1, retell=retell)
    oracle.begin([0])
    assert oracle.propose(3) == [1, 2, 3]
    oracle.settle(1, 6)
    assert asked == [[1, 6]]
    assert oracle.propose(2) == [7, 7]


def test_an_oracle_that_is_right_or_wrong_by_chance_asks_for_nothing():
    truth = greedy(3, [2], 40)
    oracle = OracleDrafter(truth, 0.5, VOCABULARY, seed=1, retell=lambda confirmed: pytest.fail("overruled"))
    assert generated(oracle, 3, [2], 4, 40).tokens == truth


def test_a_paused_clock_stands_still():
    ticks = iter(range(0, 1000, 10))
    clock = PausableClock(lambda: next(ticks))
    first = clock()
    with clock.paused():
        next(ticks)
    assert clock() - first == 20, "two readings outside the pause, whatever happened inside"
