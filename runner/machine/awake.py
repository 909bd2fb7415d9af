"""Keeps the machine from sleeping while a study runs: a Mac that sleeps in the middle of a run ruins it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

Start = Callable[[Sequence[str]], "subprocess.Popen[bytes]"]


def inhibitor(system: str = sys.platform) -> list[str] | None:
    """The command that holds sleep off for as long as it runs, or None where there is none.

    Both end by themselves when this process dies, however it dies: `caffeinate -w` and `tail --pid` watch it.
    """
    me = os.getpid()
    if system == "darwin" and shutil.which("caffeinate"):
        return ["caffeinate", "-i", "-m", "-s", "-w", str(me)]
    if system == "linux" and shutil.which("systemd-inhibit") and os.path.isdir("/run/systemd/system"):  # noqa: PTH112
        lasting = ["tail", f"--pid={me}", "-f", "/dev/null"]
        return ["systemd-inhibit", "--what=idle:sleep", "--who=specstudy", "--why=measuring", *lasting]
    return None


@contextmanager
def kept_awake(command: Sequence[str] | None = None, start: Start | None = None) -> Iterator[bool]:
    """Hold sleep off inside the block; yields whether it is held. Never fails: a study is worth more."""
    argv = command if command is not None else inhibitor()
    process = _started(argv, start or _start) if argv else None
    try:
        yield process is not None
    finally:
        if process is not None:
            process.terminate()
            process.wait()


def _started(argv: Sequence[str], start: Start) -> subprocess.Popen[bytes] | None:
    try:
        return start(argv)
    except OSError:
        return None


def _start(argv: Sequence[str]) -> subprocess.Popen[bytes]:
    quiet = subprocess.DEVNULL
    # A session of its own: the first Ctrl-C reaches all of the terminal's group, and the run goes on after it.
    return subprocess.Popen(argv, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)
