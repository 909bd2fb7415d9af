"""The first Ctrl-C (or SIGTERM) asks for a stop after the current run, the second stops at once."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """Whether a stop was asked for."""

    def __init__(self) -> None:
        self.requested = False


@contextmanager
def stop_on_signals(announce: Callable[[], None]) -> Iterator[Stop]:
    """A `Stop` that signals set for the length of a `with` block; `announce` is called at the first one.

    At the second signal KeyboardInterrupt is raised wherever the program is; further ones are ignored, so that
    cleaning up is not disturbed.
    """
    stop = Stop()

    def receive(_number: int, _frame: FrameType | None) -> None:
        if stop.requested:
            for each in SIGNALS:
                signal.signal(each, signal.SIG_IGN)
            raise KeyboardInterrupt
        stop.requested = True
        announce()

    before = {each: signal.signal(each, receive) for each in SIGNALS}
    try:
        yield stop
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
