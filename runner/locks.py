"""One writer per study folder, one study per machine.

The operating system holds the locks, so a process that was killed leaves none behind. A small file beside each
says who holds it, for the message only.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import filelock

from runner.errors import StoreError
from runner.parsing import printable
from runner.paths import cache_dir


def machine_lock_path() -> Path:
    """Where this user's studies meet, whatever folder they write to."""
    return cache_dir() / "study.lock"


@contextmanager
def hold(path: Path, what: str) -> Iterator[None]:
    """Hold the lock at `path` for the length of a `with` block; its folder is made where it is missing.

    `what` begins the sentence of the refusal. Raises StoreError when another process holds it.
    """
    lock = filelock.FileLock(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise StoreError(f"{what} ({_said_by(path)}); wait until it has ended, or stop it") from None
    except OSError as error:
        raise StoreError(f"{path.parent} cannot be locked ({error.strerror}); make it writable") from None
    with suppress(OSError):
        _holder(path).write_text(f"process {os.getpid()}, since {_now()} UTC\n", encoding="ascii")
    try:
        yield
    finally:
        with suppress(OSError):
            _holder(path).unlink(missing_ok=True)
        lock.release()


def _holder(path: Path) -> Path:
    return path.with_name(path.name + ".holder")


def _said_by(path: Path) -> str:
    said = ""
    with suppress(OSError):
        said = printable(_holder(path).read_text(encoding="ascii", errors="replace")[:100])
    return said or "it does not say who"


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
