"""The random next-token table all members share, and the token codes it is read out with.

All writable tokens lie on one circle in random order. The first of a token's four ranked successors is the next
token on the circle, the others lie a few random steps further on: whatever the noise chooses, the text moves
forward and does not come back to where it was within hundreds of tokens. How far the second successor's weight
lies below the first one's differs from token to token: some continuations are clear for every member of the
family, others are decided by the context noise.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from runner.synthetic.vocabulary import SPECIAL_TOKENS, VOCABULARY_TOKENS, vocabulary

RANKS = 4
LONGEST_SKIP_TOKENS = 8
"""Steps on the circle between one ranked successor and the next, at most."""
CODE_LENGTH = 1024

_TABLE_SEED = 20260314
_SMALLEST_GAP, _LARGEST_GAP = 0.02, 0.6

Floats = npt.NDArray[np.float32]


class Table(NamedTuple):
    """successors: (tokens, 4) token ids; weights: (tokens, 4), the first rank has weight 1."""

    successors: npt.NDArray[np.int64]
    weights: Floats


@cache
def next_token_table() -> Table:
    """The shared table; the same in every process."""
    rng = np.random.default_rng(_TABLE_SEED)
    circle = rng.permutation(writable_tokens())
    position = rng.integers(len(circle), size=VOCABULARY_TOKENS)
    position[circle] = np.arange(len(circle))
    steps = rng.integers(1, LONGEST_SKIP_TOKENS + 1, size=(VOCABULARY_TOKENS, RANKS))
    steps[:, 0] = 1
    successors = circle[(position[:, None] + steps.cumsum(axis=1)) % len(circle)]
    gap = rng.uniform(_SMALLEST_GAP, _LARGEST_GAP, VOCABULARY_TOKENS)
    weights = (1 - gap)[:, None] ** np.arange(RANKS)
    return Table(successors, weights.astype(np.float32))


@cache
def token_codes() -> Floats:
    """(tokens, 1024) random signs; a member of width w knows tokens by the first columns of this matrix."""
    rng = np.random.default_rng(_TABLE_SEED + 1)
    bits = np.frombuffer(rng.bytes(VOCABULARY_TOKENS * CODE_LENGTH // 8), dtype=np.uint8)
    return np.unpackbits(bits).reshape(VOCABULARY_TOKENS, CODE_LENGTH).astype(np.float32) * 2 - 1


def writable_tokens() -> npt.NDArray[np.int64]:
    """Ids a text may contain: printable ASCII, no lone byte of a longer character, no special token."""
    tokens = vocabulary().tokens[: VOCABULARY_TOKENS - len(SPECIAL_TOKENS)]
    space, newline = "Ġ", "Ċ"
    kept = [i for i, text in enumerate(tokens) if text.replace(space, "").replace(newline, "").isascii()]
    return np.array(kept, dtype=np.int64)


def predecessor_codes(length: int) -> Floats:
    """(tokens, length): for each token the weighted sum of the codes of the tokens it may follow."""
    table, codes = next_token_table(), token_codes()[:, :length]
    rows = np.zeros((VOCABULARY_TOKENS, length), dtype=np.float32)
    for rank in range(RANKS):
        np.add.at(rows, table.successors[:, rank], table.weights[:, rank, None] * codes)
    return rows
