"""Rollback strategies: how rejected tokens leave a context.

trim        pure attention: drop positions from the KV cache.
snapshots   recurrent state with n_rs_seq kept snapshots: the same call, legal only within the last batch
            (ggml-org/llama.cpp#26695: beyond it llama.cpp says True and leaves a wrong state).
checkpoint  a copy of the state before the batch; restored, and the accepted tokens decoded again.

None is trusted by its name: `runner.llama.preflight` proves each on the very model before anything is timed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from runner.errors import RollbackError
from runner.llama.context import Context
from runner.llama.model import Model
from runner.record import Settings, Strategy


class Rollback(Protocol):
    """Marks a state in a context, lets tokens in after it, and takes some of them out again."""

    name: Strategy

    def mark(self, context: Context) -> None:
        """Remember the present state."""

    def undo(self, context: Context, since_mark: Sequence[int], n_keep: int) -> Sequence[int]:
        """Take out all but the first `n_keep` tokens decoded since the mark.

        Returns those of the kept tokens that went out with them and have to be decoded again.
        """


class Trim:
    """Drops positions; right for attention, and for recurrent state when snapshots of the last batch exist."""

    def __init__(self, name: Strategy) -> None:
        self.name = name
        self._marked = 0

    def mark(self, context: Context) -> None:
        """Remember the position."""
        self._marked = context.position

    def undo(self, context: Context, since_mark: Sequence[int], n_keep: int) -> Sequence[int]:
        """Drop everything after the first `n_keep` tokens; nothing has to be decoded again."""
        context.forget_from(self._marked + n_keep)
        return ()


class Checkpoint:
    """Restores the marked state, so that the kept tokens have to be decoded again."""

    name: Strategy = "checkpoint"

    def mark(self, context: Context) -> None:
        """Copy the state (on write)."""
        context.save_snapshot()

    def undo(self, context: Context, since_mark: Sequence[int], n_keep: int) -> Sequence[int]:
        """Nothing to do when all tokens stay."""
        if n_keep == len(since_mark):
            return ()
        context.restore_snapshot()
        return since_mark[:n_keep]


def make_rollback(name: Strategy) -> Rollback:
    """The strategy of that name."""
    return Checkpoint() if name == "checkpoint" else Trim(name)


def make_context(model: Model, settings: Settings, strategy: Strategy, *, gamma: int) -> Context:
    """A context that can do what `strategy` needs for `gamma` drafted tokens; n_rs_seq only for snapshots."""
    return Context(
        model,
        settings,
        n_rs_seq=gamma if strategy == "snapshots" else 0,
        n_sequences=2 if strategy == "checkpoint" else 1,
    )


def target_strategies(model: Model) -> tuple[Strategy, ...]:
    """Strategies to try on a target, cheapest first."""
    return ("snapshots", "checkpoint") if model.has_recurrent_state else ("trim", "checkpoint")


def draft_strategies(model: Model) -> tuple[Strategy, ...]:
    """Strategies to try on a draft, cheapest first.

    A draft decodes one token a batch, which snapshots of the last batch cannot undo.
    """
    return ("checkpoint",) if model.has_recurrent_state else ("trim", "checkpoint")


def no_strategy(model: Model, tried: Sequence[str]) -> RollbackError:
    """The refusal, with what each strategy failed at."""
    return RollbackError(
        f"{model.name}: rejected tokens cannot be taken back on this model ({'; '.join(tried)}); "
        "speculative decoding would give wrong text, so it is refused: use another GGUF or a newer llama.cpp"
    )
