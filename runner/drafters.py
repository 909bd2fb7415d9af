"""Drafters that are no model: they set one cause of a speedup at a time.

ngram               continues the last n-gram as it continued before (prompt lookup)
oracle-P            proposes the known greedy continuation with probability P at each position, else a wrong one;
                    it costs nothing, so that only verification is paid
oracle-P-charged    the same proposals, while the comparison's draft model decodes them at its real cost
sweep               the known continuation in batches of every size up to gamma, in random order: what one
                    verification pass over n tokens costs

The known continuation is the baseline's own text, decoded untimed before the run. P is written with two decimals.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import msgspec

from runner.errors import UsageError

NGRAM = "ngram"
SWEEP = "sweep"
UNCHECKED = "unchecked"
"""The comparison's draft model in a loop that checks nothing (`runner.llama.phantom`); its runs are marked."""

_ORACLE = re.compile(r"oracle-(0\.\d\d|1\.00)(-charged)?")
_LONGEST_NGRAM = 3


class DrafterSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a drafter's name asks for."""

    kind: Literal["model", "ngram", "oracle", "sweep"]
    probability: float = 1.0
    """Of the right token, at each drafted position, independently."""
    charged: bool = False
    """The draft model decodes the oracle's proposals, so that drafting costs what it costs."""

    @property
    def needs_truth(self) -> bool:
        """True when the baseline's text must be known before the run."""
        return self.kind in {"oracle", "sweep"}

    @property
    def needs_model(self) -> bool:
        """True when the comparison's draft model is used."""
        return self.kind == "model" or self.charged


def drafter_spec(name: str, roles: Iterable[str]) -> DrafterSpec:
    """What `name` asks for; a member of `roles` is a draft model. Raises UsageError for anything unknown."""
    if name in roles:
        return DrafterSpec(kind="model")
    if name == NGRAM:
        return DrafterSpec(kind="ngram")
    if name == SWEEP:
        return DrafterSpec(kind="sweep")
    if match := _ORACLE.fullmatch(name):
        return DrafterSpec(kind="oracle", probability=float(match[1]), charged=match[2] is not None)
    raise UsageError(
        f"there is no drafter {name!r}; known: {', '.join(roles)}, {NGRAM}, {SWEEP}, oracle-0.50, "
        "oracle-0.50-charged (any probability with two decimals)"
    )


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


class OracleDrafter:
    """Proposes from the known continuation, right with a given probability at each position."""

    def __init__(self, truth: Sequence[int], probability: float, n_vocab: int, seed: int) -> None:
        self._truth = truth
        self._probability = probability
        self._n_vocab = n_vocab
        self._random = random.Random(seed)  # noqa: S311 - an experiment to be repeated, not a secret
        self._position = 0

    def begin(self, prompt: Sequence[int]) -> None:
        """Start at the first token after the prompt."""
        self._position = 0

    def propose(self, limit: int) -> list[int]:
        """`limit` tokens, wrong ones among them."""
        return [self._guess(token) for token in self._truth[self._position : self._position + limit]]

    def settle(self, n_accepted: int, bonus: int) -> None:
        """Move on behind the bonus token."""
        self._position += n_accepted + 1

    def _guess(self, truth: int) -> int:
        return truth if self._random.random() < self._probability else (truth + 1) % self._n_vocab


class SweepDrafter:
    """Proposes the known continuation in lengths 0 to `longest`, each equally often, in random order."""

    def __init__(self, truth: Sequence[int], longest: int, seed: int) -> None:
        self._oracle = OracleDrafter(truth, 1.0, 1, seed)
        self._lengths = shuffled_lengths(longest, seed)

    def begin(self, prompt: Sequence[int]) -> None:
        """Start at the first token after the prompt."""
        self._oracle.begin(prompt)

    def propose(self, limit: int) -> list[int]:
        """As many right tokens as the next length says."""
        return self._oracle.propose(min(limit, next(self._lengths)))

    def settle(self, n_accepted: int, bonus: int) -> None:
        """Move on behind the bonus token."""
        self._oracle.settle(n_accepted, bonus)


def shuffled_lengths(longest: int, seed: int) -> Iterator[int]:
    """Endless rounds of 0..`longest`, each round in a new random order."""
    order = random.Random(seed)  # noqa: S311 - an experiment to be repeated, not a secret
    while True:
        lengths = list(range(longest + 1))
        order.shuffle(lengths)
        yield from lengths
