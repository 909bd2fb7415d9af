"""When an attempt does not count against what was to be measured, and how often it is then made again."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Literal

import msgspec

from runner.record import Failure

Cause = Literal["worker lost", "clock jump"]
"""Why an attempt does not count: its process died or hung, or the machine slept."""

_MOST: dict[Cause, int] = {"worker lost": 2, "clock jump": 3}
_CLOCKS_AGREE_NS = 2_000_000_000
"""Wall clocks are nudged by milliseconds; a sleep or a set clock is seconds."""


class Clock(msgspec.Struct, frozen=True):
    """Nanoseconds of two clocks: one that stands still while the machine sleeps, and the one on the wall."""

    monotonic_ns: Callable[[], int]
    wall_ns: Callable[[], int]


THIS_MACHINE = Clock(time.monotonic_ns, time.time_ns)


class Span(msgspec.Struct, frozen=True):
    """How long an attempt took, and by how much the wall clock moved further."""

    elapsed_ns: int
    jump_ns: int

    @property
    def disturbance(self) -> Failure | None:
        """Why nothing measured meanwhile can be trusted, or None."""
        if abs(self.jump_ns) <= _CLOCKS_AGREE_NS:
            return None
        apart = f"wall clock and monotonic clock moved apart by {self.jump_ns / 1e9:.1f} s"
        return Failure(kind="ClockJump", message=f"{apart}: the machine slept, or a clock was set")


class Stopwatch:
    """Runs from its making, on both clocks."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.started_ns = clock.monotonic_ns()
        self._started_wall_ns = clock.wall_ns()

    def read(self) -> Span:
        """The time since."""
        elapsed_ns = self._clock.monotonic_ns() - self.started_ns
        return Span(elapsed_ns, self._clock.wall_ns() - self._started_wall_ns - elapsed_ns)


def until_it_counts(attempt: Callable[[], Cause | None]) -> None:
    """Attempt until one counts (None), or as often as its cause allows."""
    causes: Counter[Cause] = Counter()
    while (cause := attempt()) is not None:
        causes[cause] += 1
        if causes[cause] == _MOST[cause]:
            return
