"""The decode loop's accounting, on scripted targets and drafters: no llama.cpp here."""

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.decode import Choice, NoDraft, count_accepted, generate

VOCABULARY = 7


class HashTarget:
    """A target whose next token is a fixed function of the whole text; it checks what it is told."""

    def __init__(self, salt: int) -> None:
        self.salt = salt
        self.held: list[int] = []
        self.batch: list[int] = []
        self.passes = 0

    def next_token(self, text: Sequence[int]) -> int:
        return hash((self.salt, tuple(text))) % VOCABULARY

    def begin(self, tokens: Sequence[int]) -> None:
        self.held = list(tokens)

    def mark(self) -> None:
        self.marked = list(self.held)

    def verify(self, tokens: Sequence[int]) -> None:
        self.batch = list(tokens)
        self.held += tokens
        self.passes += 1

    def choose(self, n_rows: int) -> Choice:
        assert n_rows == len(self.batch)
        before = self.held[: len(self.held) - len(self.batch)]
        rows = [self.next_token([*before, *self.batch[: row + 1]]) for row in range(n_rows)]
        return Choice(rows, [1.0] * n_rows)

    def keep(self, n_tokens: int) -> None:
        assert 1 <= n_tokens <= len(self.batch)
        self.held = [*self.marked, *self.batch[:n_tokens]]


class ScriptedDrafter:
    """Proposes what the target would choose, except where a script of booleans says to be wrong."""

    def __init__(self, target: HashTarget, script: Sequence[bool], shorten: Sequence[int]) -> None:
        self.target = target
        self.right = itertools.cycle(script)
        self.shorten = itertools.cycle(shorten)
        self.text: list[int] = []
        self.proposal: list[int] = []

    def begin(self, prompt: Sequence[int]) -> None:
        self.text = list(prompt)

    def propose(self, limit: int) -> list[int]:
        self.proposal = []
        for _ in range(max(limit - next(self.shorten), 0)):
            truth = self.target.next_token([*self.text, *self.proposal])
            self.proposal.append(truth if next(self.right) else (truth + 1) % VOCABULARY)
        return self.proposal

    def settle(self, n_accepted: int, bonus: int) -> None:
        self.text += [*self.proposal[:n_accepted], bonus]


def ticking_clock():
    ticks = itertools.count()
    return lambda: next(ticks)


prompts = st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=5)
scripts = st.lists(st.booleans(), min_size=1, max_size=12)
shortenings = st.lists(st.integers(0, 3), min_size=1, max_size=4)


def greedy(salt: int, prompt: Sequence[int], n_predict: int) -> list[int]:
    target, text = HashTarget(salt), list(prompt)
    for _ in range(n_predict):
        text.append(target.next_token(text))
    return text[len(prompt) :]


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
