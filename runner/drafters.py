"""Drafters that are no model: they set one cause of a speedup at a time (`runner.drafter_names` names them).

The known continuation that an oracle tells is the target's own greedy text, decoded untimed before the run.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterator, Sequence

from runner.decode import Drafter
from runner.record import Cell, fingerprint

_LONGEST_NGRAM = 3
TWICE_UP_TO = 8
MOST_RIGHT = 3
_GOLDEN = (math.sqrt(5) - 1) / 2


def chance_seed(study_seed: int, cell: Cell) -> int:
    """Seed of a drafter's chances in one cell: other in every cell, the same whenever the cell is repeated."""
    return int(fingerprint(study_seed, cell)[:8], 16)


class NgramDrafter:
    """Prompt lookup: finds where the last n-gram (longest first) stood before and proposes what followed it."""

    def __init__(self) -> None:
        self._text: list[int] = []
        self._ends: dict[tuple[int, ...], int] = {}
        self._indexed = 0
        self._proposal: list[int] = []

    def begin(self, prompt: Sequence[int]) -> None:
        """Forget everything and index the prompt."""
        self._text = list(prompt)
        self._ends = {}
        self._indexed = 0

    def propose(self, limit: int) -> list[int]:
        """The tokens after the latest earlier occurrence, or none."""
        self._index_all_but_the_end()
        self._proposal = []
        for size in range(_LONGEST_NGRAM, 0, -1):
            end = self._ends.get(tuple(self._text[-size:]))
            if end is not None:
                self._proposal = self._text[end : end + limit]
                break
        return self._proposal

    def settle(self, n_accepted: int, bonus: int) -> None:
        """Take in the confirmed tokens."""
        self._text += [*self._proposal[:n_accepted], bonus]

    def _index_all_but_the_end(self) -> None:
        # The n-gram at the very end is the question, not an answer.
        for end in range(max(self._indexed, 1), len(self._text)):
            for size in range(1, min(_LONGEST_NGRAM, end) + 1):
                self._ends[tuple(self._text[end - size : end])] = end
        self._indexed = len(self._text)


Retell = Callable[[list[int]], Sequence[int]]
"""From the confirmed part of a continuation to all of it."""


class OracleDrafter:
    """Proposes from the known continuation, right with a given probability at each position.

    A batch rounds unlike single tokens and may decide a near-tie the other way; the text told is wrong from there
    on. `retell` then gives the one that follows from what was confirmed; without it the oracle tells on.
    """

    def __init__(
        self, truth: Sequence[int], probability: float, n_vocab: int, seed: int, retell: Retell | None = None
    ) -> None:
        self._truth = truth
        self._retell = retell
        self._proposal: list[int] = []
        self._probability = probability
        self._n_vocab = n_vocab
        self._random = random.Random(seed)  # noqa: S311 - an experiment to be repeated, not a secret
        self._position = 0

    def begin(self, prompt: Sequence[int]) -> None:
        """Start at the first token after the prompt."""
        self._position = 0

    def propose(self, limit: int) -> list[int]:
        """`limit` tokens, wrong ones among them."""
        told = self._truth[self._position : self._position + limit]
        self._proposal = [self._guess(token) for token in told]
        return self._proposal

    def settle(self, n_accepted: int, bonus: int) -> None:
        """Move on behind the bonus token."""
        confirmed = [*self._truth[: self._position], *self._proposal[:n_accepted], bonus]
        self._position += n_accepted + 1
        if self._retell is not None and confirmed != list(self._truth[: self._position]):
            self._truth = self._retell(confirmed)

    def _guess(self, truth: int) -> int:
        return truth if self._random.random() < self._probability else (truth + 1) % self._n_vocab


class SweepDrafter:
    """Proposes the known continuation in lengths 0 to `longest`, each equally often, in random order.

    Lengths up to `TWICE_UP_TO` come twice in a row: llama.cpp reuses the graph of a pass over as many tokens as
    the last one, so the difference between the two is what a change of size costs, which speculation at one gamma
    does not pay. Longer ones would take too many tokens.
    """

    def __init__(self, truth: Sequence[int], longest: int, seed: int, retell: Retell | None = None) -> None:
        self._oracle = OracleDrafter(truth, 1.0, 1, seed, retell)
        lengths = shuffled_lengths(longest, seed)
        self._lengths = (each for each in lengths for _ in range(2 if each <= TWICE_UP_TO else 1))

    def begin(self, prompt: Sequence[int]) -> None:
        """Start at the first token after the prompt."""
        self._oracle.begin(prompt)

    def propose(self, limit: int) -> list[int]:
        """As many right tokens as the next length says."""
        return self._oracle.propose(min(limit, next(self._lengths)))

    def settle(self, n_accepted: int, bonus: int) -> None:
        """Move on behind the bonus token."""
        self._oracle.settle(n_accepted, bonus)


class VariedDrafter:
    """Lets another drafter propose 0 to `longest` tokens, each limit equally often, in random order.

    Every limit holds for two cycles: llama.cpp reuses the graph of a pass over as many tokens as the last one, so
    the difference between the two is what a change of size costs. At most `MOST_RIGHT` proposed tokens are right,
    so that a short text gives many cycles; what a cycle costs does not depend on it but for the rollback. `turn`
    numbers the runs that share a seed: each goes on at another place of the same order.
    """

    def __init__(self, drafter: Drafter, longest: int, n_vocab: int, seed: int, turn: int = 0) -> None:
        self._drafter = drafter
        self._n_vocab = n_vocab
        self._limits = (limit for limit in spread_lengths(longest, seed, turn) for _ in range(2))
        self._rights = random.Random(f"{seed}/{turn}")  # noqa: S311 - an experiment to be repeated, not a secret

    def begin(self, prompt: Sequence[int]) -> None:
        """Forget everything and take in the whole prompt."""
        self._drafter.begin(prompt)

    def propose(self, limit: int) -> list[int]:
        """As many tokens as the next limit says, wrong from a random place on."""
        proposal = list(self._drafter.propose(min(limit, next(self._limits))))
        n_right = self._rights.randint(0, MOST_RIGHT)
        # Should the target want the other token after all, only the draft's next guesses suffer.
        proposal[n_right : n_right + 1] = [(each + 1) % self._n_vocab for each in proposal[n_right : n_right + 1]]
        return proposal

    def settle(self, n_accepted: int, bonus: int) -> None:
        """Tell the other drafter."""
        self._drafter.settle(n_accepted, bonus)


def spread_lengths(longest: int, seed: int, turn: int) -> Iterator[int]:
    """0..`longest` in one random order, again and again, from a place that depends on `turn`.

    However short the runs are, those of successive turns visit all lengths about equally often: their places are
    the multiples of the golden ratio, which no other sequence spreads more evenly.
    """
    order = list(range(longest + 1))
    random.Random(seed).shuffle(order)  # noqa: S311 - an experiment to be repeated, not a secret
    start = int(turn * _GOLDEN % 1 * len(order))
    return itertools.cycle([*order[start:], *order[:start]])


def shuffled_lengths(longest: int, seed: int) -> Iterator[int]:
    """Endless rounds of 0..`longest`, each round in a new random order."""
    order = random.Random(seed)  # noqa: S311 - an experiment to be repeated, not a secret
    while True:
        lengths = list(range(longest + 1))
        order.shuffle(lengths)
        yield from lengths
