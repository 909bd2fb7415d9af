"""SD and plain decoding of many sequences at once: the loops that the MoESD grid times (issue 5, point 4).

Both choose greedily with the same code and make the same host copies. All sequences draft, verify and roll back
together; each accepts its own number of tokens.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from runner.llama.greedy import greedy_choice
from runner.llama.parallel import ParallelContext


@dataclass(frozen=True)
class Step:
    """One step of plain decoding: a token for every sequence."""

    pass_ns: int
    choose_ns: int
    wall_ns: int


@dataclass(frozen=True)
class Cycle:
    """One cycle of all sequences."""

    draft_pass_ns: tuple[int, ...]
    """Draft passes with exactly one token per sequence; the cycle's first may have more."""
    verify_ns: int
    reject_ns: int
    """Choice, comparison and rollback of both models."""
    wall_ns: int
    accepted_tokens: int
    """Over all sequences."""


class ParallelBaseline:
    """Plain greedy decoding; `texts[i]` is what sequence i wrote after its prompt."""

    def __init__(self, context: ParallelContext) -> None:
        self._context = context
        self._last: list[int] = []
        self.texts: list[list[int]] = []

    def begin(self, prompts: Sequence[Sequence[int]]) -> None:
        """Prefill every prompt but its last token."""
        self._context.begin([prompt[:-1] for prompt in prompts])
        self._last = [prompt[-1] for prompt in prompts]
        self.texts = [[] for _ in prompts]

    def step(self) -> Step:
        """One token for every sequence."""
        started = time.monotonic_ns()
        pass_ns = self._context.decode([[token] for token in self._last], n_outputs=1)
        passed = time.monotonic_ns()
        self._last = greedy_choice(self._context.logits(len(self._last))).tokens
        for text, token in zip(self.texts, self._last, strict=True):
            text.append(token)
        ended = time.monotonic_ns()
        return Step(pass_ns, ended - passed, ended - started)


class ParallelDrafter:
    """Autoregressive drafting for all sequences with a model that is rolled back by trimming.

    `_pending[i]` holds confirmed tokens of text i that the draft has not seen; they open its next cycle.
    """

    def __init__(self, context: ParallelContext) -> None:
        self._context = context
        self._pending: list[list[int]] = []
        self._confirmed: list[int] = []
        self._proposals: list[list[int]] = []

    def begin(self, prompts: Sequence[Sequence[int]]) -> None:
        """Prefill every prompt but its last token."""
        self._context.begin([prompt[:-1] for prompt in prompts])
        self._pending = [[prompt[-1]] for prompt in prompts]

    def propose(self, n_tokens: int) -> tuple[list[list[int]], tuple[int, ...]]:
        """`n_tokens` (at least 1) for every sequence, and the times of the passes with one token for each."""
        alone = all(len(tokens) == 1 for tokens in self._pending)
        first_ns = self._context.decode(self._pending, n_outputs=1)
        self._confirmed = list(self._context.positions)
        self._proposals = [[token] for token in self._choose()]
        pass_ns = [first_ns] if alone else []
        for _ in range(n_tokens - 1):
            pass_ns.append(self._context.decode([tokens[-1:] for tokens in self._proposals], n_outputs=1))
            for tokens, token in zip(self._proposals, self._choose(), strict=True):
                tokens.append(token)
        return self._proposals, tuple(pass_ns)

    def settle(self, accepted: Sequence[int], bonus: Sequence[int]) -> None:
        """Take each sequence's rejected guesses out; the last proposed token was never decoded."""
        kept = [min(n, len(tokens) - 1) for n, tokens in zip(accepted, self._proposals, strict=True)]
        self._context.keep([start + n for start, n in zip(self._confirmed, kept, strict=True)])
        rows = zip(self._proposals, kept, accepted, bonus, strict=True)
        self._pending = [[*tokens[n:a], last] for tokens, n, a, last in rows]

    def _choose(self) -> list[int]:
        return greedy_choice(self._context.logits(self._context.n_sequences)).tokens


class ParallelSpeculation:
    """SD of all sequences; `texts[i]` is what sequence i wrote after its prompt."""

    def __init__(self, target: ParallelContext, drafter: ParallelDrafter) -> None:
        self._target = target
        self._drafter = drafter
        self._last: list[int] = []
        self.texts: list[list[int]] = []

    def begin(self, prompts: Sequence[Sequence[int]]) -> None:
        """Prefill every prompt but its last token in both models."""
        self._target.begin([prompt[:-1] for prompt in prompts])
        self._drafter.begin(prompts)
        self._last = [prompt[-1] for prompt in prompts]
        self.texts = [[] for _ in prompts]

    def cycle(self, gamma: int) -> Cycle:
        """Draft `gamma` tokens for every sequence, verify all in one batch, keep what each accepts."""
        started = time.monotonic_ns()
        proposals, draft_pass_ns = self._drafter.propose(gamma)
        before = list(self._target.positions)
        rows = [[last, *tokens] for last, tokens in zip(self._last, proposals, strict=True)]
        verify_ns = self._target.decode(rows, n_outputs=gamma + 1)
        verified = time.monotonic_ns()
        accepted = self._accept(proposals, gamma)
        self._target.keep([start + 1 + n for start, n in zip(before, accepted, strict=True)])
        self._drafter.settle(accepted, self._last)
        ended = time.monotonic_ns()
        return Cycle(draft_pass_ns, verify_ns, ended - verified, ended - started, sum(accepted))

    def _accept(self, proposals: Sequence[Sequence[int]], gamma: int) -> list[int]:
        """Accepted tokens of each sequence; its text and its last token move on."""
        choices = greedy_choice(self._target.logits(len(proposals) * (gamma + 1))).tokens
        accepted = []
        for index, tokens in enumerate(proposals):
            said = choices[index * (gamma + 1) : (index + 1) * (gamma + 1)]
            n_same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(tokens, said, strict=False)))
            accepted.append(n_same)
            self.texts[index] += said[: n_same + 1]
            self._last[index] = said[n_same]
        return accepted
