"""A draft model as `runner.decode.Drafter`, and an oracle that is charged for one.

After each cycle its context is as good as one that never saw the rejected tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runner.drafters import OracleDrafter
from runner.llama.context import Context
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
        self._proposal.append(self._pick())
        while len(self._proposal) < limit:
            self._context.decode(self._proposal[-1:], n_outputs=1)
            self._proposal.append(self._pick())
        return self._proposal

    def settle(self, n_accepted: int, bonus: int) -> None:
        """Take the rejected guesses out; confirmed tokens not in the context wait for the next cycle's batch."""
        decoded = self._proposal[:-1]
        n_keep = min(n_accepted, len(decoded))
        again = self._rollback.undo(self._context, decoded, n_keep) if decoded else ()
        self._pending += [*again, *self._proposal[n_keep:n_accepted], bonus]

    def _pick(self) -> int:
        return self._context.choose(1).tokens[0]


class ChargedOracle(ModelDrafter):
    """An oracle's proposals at the price of a draft model, which decodes them as if they were its own."""

    def __init__(self, context: Context, rollback: Rollback, oracle: OracleDrafter) -> None:
        super().__init__(context, rollback)
        self._oracle = oracle
        self._forced: Iterator[int] = iter(())

    def begin(self, prompt: Sequence[int]) -> None:
        """Prefill the draft and set the oracle to the start."""
        super().begin(prompt)
        self._oracle.begin(prompt)

    def propose(self, limit: int) -> list[int]:
        """The oracle's tokens, each decoded by the draft but the last."""
        self._forced = iter(self._oracle.propose(limit))
        return super().propose(limit)

    def settle(self, n_accepted: int, bonus: int) -> None:
        """Roll the draft back and move the oracle on."""
        super().settle(n_accepted, bonus)
        self._oracle.settle(n_accepted, bonus)

    def _pick(self) -> int:
        super()._pick()
        return next(self._forced)
