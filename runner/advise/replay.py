"""What every gamma would have accepted on a known text, from one trace.

Verification is greedy, so the text is the baseline's whatever is drafted. A draft that is right from position p
on for L(p) tokens has min(L(p), γ) of them accepted when a cycle starts there with γ drafted ones; the next
cycle starts behind the bonus token. So L at every position replays the cycles of any γ exactly.

>>> replay(run_lengths([True, True, False, True, False]), 2)
Played(drafted=(2, 1), accepted=(2, 1))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from runner.decode import Clock, count_accepted
from runner.drafters import NgramDrafter


@dataclass(frozen=True)
class Played:
    """Cycles of one gamma over one text; one entry per cycle, in tokens."""

    drafted: tuple[int, ...]
    accepted: tuple[int, ...]


def run_lengths(right: Sequence[bool]) -> list[int]:
    """L(p): number of right guesses in a row from each position of the text."""
    lengths = [0] * (len(right) + 1)
    for position in range(len(right) - 1, -1, -1):
        lengths[position] = lengths[position + 1] + 1 if right[position] else 0
    return lengths[:-1]


def replay(lengths: Sequence[int], gamma: int) -> Played:
    """The cycles of `gamma` over a text with these L(p); the last ones draft fewer, as the real loop's do."""
    drafted, accepted = [], []
    position = 0
    while (n_missing := len(lengths) - position) > 0:
        limit = min(gamma, n_missing - 1)
        drafted.append(limit)
        accepted.append(min(lengths[position], limit))
        position += accepted[-1] + 1
    return Played(tuple(drafted), tuple(accepted))


def replay_ngram(prompt: Sequence[int], text: Sequence[int], gamma: int, clock: Clock) -> tuple[Played, int]:
    """The cycles of n-gram lookup over `text` and the nanoseconds that its proposals took altogether."""
    drafter = NgramDrafter()
    drafter.begin(prompt)
    drafted, accepted = [], []
    position = spent_ns = 0
    while (n_missing := len(text) - position) > 0:
        started = clock()
        proposal = drafter.propose(min(gamma, n_missing - 1))
        spent_ns += clock() - started
        drafted.append(len(proposal))
        accepted.append(count_accepted(proposal, text[position:]))
        position += accepted[-1]
        drafter.settle(accepted[-1], text[position])
        position += 1
    return Played(tuple(drafted), tuple(accepted)), spent_ns
