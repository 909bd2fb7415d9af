"""The decode loop's accounting, on scripted targets and drafters: no llama.cpp here."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.decode import NoDraft, count_accepted, generate
from tests.scripted_models import VOCABULARY, HashTarget, ScriptedDrafter, greedy, ticking_clock

prompts = st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=5)
scripts = st.lists(st.booleans(), min_size=1, max_size=12)
shortenings = st.lists(st.integers(0, 3), min_size=1, max_size=4)


def speculate(salt, prompt, script, shorten, gamma, n_predict):
    target = HashTarget(salt)
    drafter = ScriptedDrafter(target, script, shorten)
    generation = generate(target, drafter, prompt, gamma=gamma, n_predict=n_predict, clock=ticking_clock())
    return generation, target, drafter


@given(st.integers(), prompts, scripts, shortenings, st.integers(0, 9), st.integers(1, 40))
def test_for_any_target_and_any_drafter_the_output_is_the_greedy_output(
    salt, prompt, script, shorten, gamma, n_predict
):
    generation, _, _ = speculate(salt, prompt, script, shorten, gamma, n_predict)
    assert generation.tokens == greedy(salt, prompt, n_predict)


@given(st.integers(), prompts, scripts, shortenings, st.integers(0, 9), st.integers(1, 40))
def test_emitted_tokens_are_the_sum_of_accepted_plus_one_and_exactly_the_budget(
    salt, prompt, script, shorten, gamma, n_predict
):
    generation, target, _ = speculate(salt, prompt, script, shorten, gamma, n_predict)
    cycles = generation.cycles
    assert cycles.emitted_tokens == len(generation.tokens) == len(generation.margins) == n_predict
    assert len(cycles.drafted) == target.passes
    assert all(0 <= a <= d <= gamma for a, d in zip(cycles.accepted, cycles.drafted, strict=True))


@given(st.integers(), prompts, scripts, shortenings, st.integers(0, 9), st.integers(1, 40))
def test_target_and_drafter_hold_exactly_the_confirmed_text(salt, prompt, script, shorten, gamma, n_predict):
    generation, target, drafter = speculate(salt, prompt, script, shorten, gamma, n_predict)
    confirmed = [*prompt, *generation.tokens]
    assert target.held == confirmed[:-1], "the last token was emitted but opens no further cycle"
    assert drafter.text == confirmed


@given(st.integers(), prompts, st.integers(1, 40))
def test_at_gamma_0_every_cycle_drafts_nothing_and_yields_one_token(salt, prompt, n_predict):
    generation = generate(
        HashTarget(salt), NoDraft(), prompt, gamma=0, n_predict=n_predict, clock=ticking_clock()
    )
    assert generation.cycles.drafted == generation.cycles.accepted == [0] * n_predict
    assert generation.tokens == greedy(salt, prompt, n_predict)


def test_a_perfect_drafter_needs_one_pass_for_gamma_plus_one_tokens():
    generation, target, _ = speculate(1, [0], [True], [0], 4, 20)
    assert target.passes == 4
    assert generation.cycles.accepted == [4, 4, 4, 4]


def test_a_hopeless_drafter_needs_one_pass_for_each_token():
    generation, target, _ = speculate(1, [0], [False], [0], 4, 20)
    assert target.passes == 20
    assert sum(generation.cycles.accepted) == 0


def test_the_last_cycles_draft_fewer_so_that_nothing_emitted_is_cut():
    generation, _, _ = speculate(1, [0], [False], [0], 4, 6)
    assert generation.cycles.drafted == [4, 4, 3, 2, 1, 0]


def test_the_parts_of_a_cycle_are_what_the_clock_saw():
    generation, _, _ = speculate(1, [0], [True], [0], 4, 10)
    cycles = generation.cycles
    assert cycles.draft_ns == cycles.verify_ns == cycles.sample_ns == [1, 1]
    assert cycles.rollback_ns == [2, 2], "marking before the pass and rolling back after it"
    assert generation.decode_wall_ns == 2 * 6 + 1


def test_the_prompts_last_token_opens_the_first_cycle():
    target = HashTarget(3)
    generation = generate(target, NoDraft(), [5, 6, 2], gamma=0, n_predict=1, clock=ticking_clock())
    assert generation.prefill_tokens == 2
    assert target.batch == [2]


@pytest.mark.parametrize(
    ("proposal", "choice", "accepted"),
    [([], [1], 0), ([1], [1, 2], 1), ([1, 2], [1, 3, 4], 1), ([2, 2], [1, 2, 2], 0)],
)
def test_acceptance_stops_at_the_first_difference(proposal, choice, accepted):
    assert count_accepted(proposal, choice) == accepted
