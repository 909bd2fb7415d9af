"""Monotonic nanoseconds that can stand still while something untimed happens inside a timed loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class PausableClock:
    """Called, it tells nanoseconds; what passes inside `paused()` does not count afterwards."""

    def __init__(self, now_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._now_ns = now_ns
        self._paused_ns = 0

    def __call__(self) -> int:
        """Nanoseconds, pauses left out."""
        return self._now_ns() - self._paused_ns

    @property
    def paused_ns(self) -> int:
        """What was left out so far."""
        return self._paused_ns

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave out what happens inside."""
        started = self._now_ns()
        try:
            yield
        finally:
            self._paused_ns += self._now_ns() - started
