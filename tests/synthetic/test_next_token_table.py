"""The shared next-token table leads through writable text and never goes back."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from runner.synthetic.table import (
    CODE_LENGTH,
    LONGEST_SKIP_TOKENS,
    RANKS,
    next_token_table,
    predecessor_codes,
    token_codes,
    writable_tokens,
)
from runner.synthetic.vocabulary import SPECIAL_TOKENS, VOCABULARY_TOKENS, vocabulary

TABLE = next_token_table()
WRITABLE = writable_tokens()
START = int(WRITABLE[0])


def circle() -> list[int]:
    """The writable tokens in the order in which first successors visit them."""
    steps = itertools.accumulate(
        range(len(WRITABLE) - 1), lambda token, _: int(TABLE.successors[token, 0]), initial=START
    )
    return list(steps)


def test_first_successors_visit_every_writable_token_before_they_return():
    order = circle()
    assert sorted(order) == sorted(WRITABLE)
    assert TABLE.successors[order[-1], 0] == START


def test_every_successor_can_be_written_and_no_text_ends_itself():
    assert np.isin(TABLE.successors, WRITABLE).all()
    specials = [vocabulary().tokens.index(token) for token in SPECIAL_TOKENS]
    assert not np.isin(specials, WRITABLE).any()


def test_the_four_successors_of_a_token_differ():
    assert all(len(set(row)) == RANKS for row in TABLE.successors)


@given(st.lists(st.integers(0, RANKS - 1), min_size=1, max_size=100), st.sampled_from([int(t) for t in WRITABLE]))
def test_whatever_ranks_are_chosen_a_hundred_tokens_never_repeat(ranks, start):
    visited = list(
        itertools.accumulate(ranks, lambda token, rank: int(TABLE.successors[token, rank]), initial=start)
    )
    assert len(set(visited)) == len(visited)
    assert len(ranks) * (1 + (RANKS - 1) * LONGEST_SKIP_TOKENS) < len(WRITABLE)


def test_weights_fall_with_rank_and_the_first_is_one():
    assert (TABLE.weights[:, 0] == 1).all()
    assert (np.diff(TABLE.weights, axis=1) < 0).all()


def test_codes_are_balanced_signs_that_hardly_overlap():
    codes = token_codes()
    assert codes.shape == (VOCABULARY_TOKENS, CODE_LENGTH)
    assert set(np.unique(codes)) == {-1.0, 1.0}
    overlap = codes[:200] @ codes[:200].T / CODE_LENGTH
    assert np.abs(overlap - np.eye(200)).max() < 6 / np.sqrt(CODE_LENGTH)


def test_reading_out_a_code_gives_its_successors_the_weights_of_the_table():
    token = 1234
    scores = predecessor_codes(CODE_LENGTH) @ token_codes()[token] / CODE_LENGTH
    wanted = TABLE.weights[token]
    assert np.abs(scores[TABLE.successors[token]] - wanted).max() < 0.3
    assert scores.argmax() in TABLE.successors[token]
