"""The one decode loop. At gamma 0 it is the baseline; at gamma > 0 it is speculative decoding.

Nothing here knows llama.cpp: target and drafter are two small protocols, so the accounting is proved on scripted
fakes and the same code measures real models. The prompt minus its last token is prefilled; the last prompt token
opens the first cycle, so that every emitted token comes out of a cycle and emitted = Σ(accepted + 1) exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from runner.record import Cycles

Clock = Callable[[], int]
"""Monotonic nanoseconds."""

UNWATCHED = nullcontext()
"""Watches nothing."""


class Choice(NamedTuple):
    """Greedy choice at each output row: token id, and top-1 minus top-2 logit."""

    tokens: list[int]
    margins: list[float]


class Target(Protocol):
    """The verified model, holding the confirmed tokens but the last one."""

    def begin(self, tokens: Sequence[int]) -> None:
        """Forget everything and prefill `tokens` without outputs."""

    def mark(self) -> None:
        """Prepare for dropping part of the next verified batch."""

    def verify(self, tokens: Sequence[int]) -> None:
        """One synchronised forward pass over `tokens`, an output at each."""

    def choose(self, n_rows: int) -> Choice:
        """Greedy choice at the last pass's `n_rows` outputs."""

    def keep(self, n_tokens: int) -> None:
        """Drop all but the first `n_tokens` of the batch just verified."""


class Drafter(Protocol):
    """Proposes continuations of the confirmed tokens."""

    def begin(self, prompt: Sequence[int]) -> None:
        """Forget everything and take in the whole prompt."""

    def propose(self, limit: int) -> list[int]:
        """At most `limit` tokens that may come next."""

    def settle(self, n_accepted: int, bonus: int) -> None:
        """The first `n_accepted` proposed tokens and then `bonus` are confirmed; forget the rest."""


class NoDraft:
    """Proposes nothing: the baseline."""

    def begin(self, prompt: Sequence[int]) -> None:
        """Nothing to take in."""

    def propose(self, limit: int) -> list[int]:
        """No tokens."""
        return []

    def settle(self, n_accepted: int, bonus: int) -> None:
        """Nothing to forget."""


@dataclass(frozen=True, slots=True)
class Generation:
    """What one execution of the loop yielded; times in nanoseconds of the loop's clock."""

    tokens: list[int]
    margins: list[float]
    cycles: Cycles
    prefill_tokens: int
    prefill_target_ns: int
    prefill_draft_ns: int
    decode_wall_ns: int


def generate(
    target: Target,
    drafter: Drafter,
    prompt: Sequence[int],
    *,
    gamma: int,
    n_predict: int,
    clock: Clock,
    watch: AbstractContextManager[object] = UNWATCHED,
) -> Generation:
    """Emit exactly `n_predict` greedy tokens after `prompt` (at least one token), drafting up to `gamma` a cycle.

    End-of-sequence tokens are emitted like any other, so that both arms do equal work. `watch` is entered after
    the prefill and left after the last cycle; what it takes is in no time of the run.
    """
    started = clock()
    target.begin(prompt[:-1])
    target_ready = clock()
    drafter.begin(prompt)
    draft_ready = clock()
    loop = _Loop(target, drafter, clock, last=prompt[-1])
    with watch:
        loop_started = clock()
        while (n_missing := n_predict - len(loop.tokens)) > 0:
            # A cycle yields one token more than it drafts, so the budget is met exactly and nothing is cut.
            loop.cycle(min(gamma, n_missing - 1))
        loop_ended = clock()
    return Generation(
        tokens=loop.tokens,
        margins=loop.margins,
        cycles=loop.cycles(),
        prefill_tokens=len(prompt) - 1,
        prefill_target_ns=target_ready - started,
        prefill_draft_ns=draft_ready - target_ready,
        decode_wall_ns=loop_ended - loop_started,
    )


class _Loop:
    """The confirmed tokens so far and what each cycle took."""

    def __init__(self, target: Target, drafter: Drafter, clock: Clock, *, last: int) -> None:
        self._target, self._drafter, self._clock = target, drafter, clock
        self._last = last
        self.tokens: list[int] = []
        self.margins: list[float] = []
        self._rows: list[tuple[int, int, int, int, int, int]] = []

    def cycle(self, limit: int) -> None:
        """Draft at most `limit` tokens, verify, choose, roll back."""
        target, drafter, clock = self._target, self._drafter, self._clock
        started = clock()
        proposal = drafter.propose(limit)
        drafted = clock()
        target.mark()
        marked = clock()
        target.verify([self._last, *proposal])
        verified = clock()
        choice = target.choose(len(proposal) + 1)
        n_accepted = count_accepted(proposal, choice.tokens)
        chosen = clock()
        target.keep(n_accepted + 1)
        self._last = choice.tokens[n_accepted]
        drafter.settle(n_accepted, self._last)
        rollback_ns = marked - drafted + clock() - chosen
        self.tokens += choice.tokens[: n_accepted + 1]
        self.margins += choice.margins[: n_accepted + 1]
        self._rows.append(
            (len(proposal), n_accepted, drafted - started, verified - marked, rollback_ns, chosen - verified)
        )

    def cycles(self) -> Cycles:
        """The cycles so far, column by column."""
        drafted, accepted, draft_ns, verify_ns, rollback_ns, sample_ns = (
            list(column) for column in zip(*self._rows, strict=True)
        )
        return Cycles(
            drafted=drafted,
            accepted=accepted,
            draft_ns=draft_ns,
            verify_ns=verify_ns,
            rollback_ns=rollback_ns,
            sample_ns=sample_ns,
        )


def count_accepted(proposal: Sequence[int], choice: Sequence[int]) -> int:
    """Length of the common prefix of what was proposed and what the target chose."""
    for index, (proposed, chosen) in enumerate(zip(proposal, choice, strict=False)):
        if proposed != chosen:
            return index
    return len(proposal)
