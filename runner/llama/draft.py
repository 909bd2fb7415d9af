"""A draft model as `runner.decode.Drafter`.

After each cycle its context is as good as one that never saw the rejected tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

from runner.llama.context import Context
from runner.llama.greedy import greedy_choice
from runner.llama.rollback import Rollback


class ModelDrafter:
    """Autoregressive greedy drafting with a second model.

    `_pending` holds confirmed tokens that the draft has not seen; they open the next cycle as one batch. The
    state is marked behind them: everything before is confirmed, everything after is a guess.
    """

    def __init__(self, context: Context, rollback: Rollback) -> None:
        self._context = context
        self._rollback = rollback
        self._pending: list[int] = []
        self._proposal: list[int] = []

    def begin(self, prompt: Sequence[int]) -> None:
        """Forget everything and prefill the prompt but its last token."""
        self._context.begin(prompt[:-1])
        self._pending = [prompt[-1]]

    def propose(self, limit: int) -> list[int]:
        """`limit` greedy tokens; the last one is proposed but not decoded."""
        self._proposal = []
        if limit == 0:
            return []
        self._context.decode(self._pending, n_outputs=1)
        self._pending = []
        if limit > 1:
            self._rollback.mark(self._context)
        token = greedy_choice(self._context.logits(1)).tokens[0]
        self._proposal.append(token)
        while len(self._proposal) < limit:
            self._context.decode([token], n_outputs=1)
            token = greedy_choice(self._context.logits(1)).tokens[0]
            self._proposal.append(token)
        return self._proposal

    def settle(self, n_accepted: int, bonus: int) -> None:
        """Take the rejected guesses out; confirmed tokens not in the context wait for the next cycle's batch."""
        decoded = self._proposal[:-1]
        n_keep = min(n_accepted, len(decoded))
        again = self._rollback.undo(self._context, decoded, n_keep) if decoded else ()
        self._pending += [*again, *self._proposal[n_keep:n_accepted], bonus]
