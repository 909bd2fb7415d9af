"""Scripted target and drafter for the decode loop: what they do is known, what they are told is checked."""

import itertools
from collections.abc import Sequence

from runner.decode import Choice

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


def greedy(salt: int, prompt: Sequence[int], n_predict: int) -> list[int]:
    target, text = HashTarget(salt), list(prompt)
    for _ in range(n_predict):
        text.append(target.next_token(text))
    return text[len(prompt) :]
