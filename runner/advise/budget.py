"""Time as a measuring budget: how much is left, and whether another step fits."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable

Seconds = Callable[[], float]


class Budget:
    """Seconds from now on; `clock` is monotonic.

    >>> budget = Budget(10, clock=iter([0.0, 4.0, 4.0, 11.0]).__next__)
    >>> budget.left_s, budget.has_room(5.0), budget.is_spent
    (6.0, True, True)
    """

    def __init__(self, seconds: float, *, clock: Seconds = time.monotonic) -> None:
        self.seconds = seconds
        self.clock = clock
        self._start = clock()

    @property
    def left_s(self) -> float:
        """Seconds left, 0 when it is spent."""
        return max(self.seconds - self.spent_s, 0.0)

    @property
    def spent_s(self) -> float:
        """Seconds since it began; more than it has when it was overrun."""
        return self.clock() - self._start

    @property
    def is_spent(self) -> bool:
        """Whether nothing is left."""
        return self.left_s == 0

    def has_room(self, seconds: float) -> bool:
        """Whether a step of that length still fits."""
        return seconds <= self.left_s

    def share(self, part: float) -> Budget:
        """A budget of its own over `part` (0 to 1) of what is left."""
        return Budget(self.left_s * part, clock=self.clock)


class Durations:
    """What each kind of step took when it was last done; an unknown kind is taken to cost nothing."""

    def __init__(self, clock: Seconds) -> None:
        self._clock = clock
        self._took: defaultdict[str, float] = defaultdict(float)

    def of(self, *kinds: str) -> float:
        """Expected seconds of these steps together."""
        return sum(self._took[kind] for kind in kinds)

    def entered(self, kind: str, started: float) -> None:
        """A step of that kind ended now."""
        self._took[kind] = max(self._clock() - started, 0.8 * self._took[kind])
