"""What the scheduler asks of whoever measures: load a pair once, then run planned runs on it one by one.

The real executor puts each pair into a worker process of its own; the tests' executor follows a script.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from runner.record import NO_DRAFT, Cell, Measurement, Strategy


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """Models that are loaded together, and the gammas that will be asked of them."""

    target: str
    draft: str
    """Role of the draft, or `none`: then only gamma 0 is ever run."""
    gammas: tuple[int, ...]
    """Every gamma of the plan whose rollback may be chosen, ascending; 0 is among them."""

    forced: tuple[tuple[int, Strategy], ...] = ()
    """Gammas with the target rollback that cells force on them, ascending."""

    unchecked: bool = False
    """Some of its runs go through the loop that checks nothing, which has a process of its own."""

    @property
    def drafted(self) -> tuple[int, ...]:
        """Every gamma above 0, forced or not, ascending."""
        return tuple(sorted({gamma for gamma in self.gammas if gamma} | {gamma for gamma, _ in self.forced}))

    def __str__(self) -> str:
        return self.target if self.draft == NO_DRAFT else f"{self.target} + {self.draft}"


class PlannedRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run as the plan fixes it, with everything that a worker needs to execute it."""

    order: int
    """Position in the plan, from 0."""
    run_id: str
    cell: Cell
    prompt_text: str
    prompt_tokens_wanted: int | None
    """Keep exactly this many tokens of the text; None keeps them all."""
    time_limit_s: float
    """A run that takes longer than this hangs: far above what the slowest sensible machine needs."""

    @property
    def loads(self) -> tuple[str, str]:
        """The roles that must be loaded for it: target and draft (`none` in a pure baseline)."""
        return (self.cell.target, self.cell.pair_draft)


class Session(Protocol):
    """A loaded pair."""

    def run(self, planned: PlannedRun) -> Measurement:
        """Execute one planned run.

        Raises EngineError when llama.cpp refused or failed: the run failed, the session can go on.
        Raises WorkerError when the worker died, hung past its time limit or answered nonsense: the session
        is lost.
        """

    def close(self) -> None:
        """Give the models' memory back, at once and without an error, whatever state the session is in."""


class Executor(Protocol):
    """Loads pairs, one at a time."""

    def open(self, pair: Pair) -> Session:
        """Load both models, prove their rollback and warm them up.

        Raises ModelError (RollbackError), EngineError or WorkerError when the pair cannot be had.
        """
