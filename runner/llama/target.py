"""A llama.cpp context in the role of the target."""

from __future__ import annotations

from collections.abc import Sequence

from runner.decode import Choice
from runner.llama.context import Context
from runner.llama.rollback import Rollback


class LlamaTarget:
    """`runner.decode.Target` over one context and the rollback that was proved for it."""

    def __init__(self, context: Context, rollback: Rollback) -> None:
        self._context = context
        self._rollback = rollback
        self._batch: Sequence[int] = ()

    def begin(self, tokens: Sequence[int]) -> None:
        """Forget everything and prefill."""
        self._context.begin(tokens)

    def mark(self) -> None:
        """Let the rollback remember the state before the batch."""
        self._rollback.mark(self._context)

    def verify(self, tokens: Sequence[int]) -> None:
        """One pass over `tokens`, which must fit one batch."""
        self._batch = tokens
        self._context.decode(tokens, n_outputs=len(tokens))

    def choose(self, n_rows: int) -> Choice:
        """Greedy choice at each token of the batch."""
        return self._context.choose(n_rows)

    def keep(self, n_tokens: int) -> None:
        """Roll back, and decode again at once what the rollback took out too much."""
        again = self._rollback.undo(self._context, self._batch, n_tokens)
        if again:
            self._context.decode(again, n_outputs=0)
