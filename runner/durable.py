"""Writing that survives a crash: bytes are on the disk when these functions return.

`fsync` on a Mac only hands the data to the drive, which may lose it with the power; F_FULLFSYNC waits for it
(man 2 fsync on macOS).
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

_FULL_SYNC: int | None = getattr(fcntl, "F_FULLFSYNC", None)


def flush_to_disk(descriptor: int) -> None:
    """Wait until the file's data is on the disk. Raises OSError."""
    if _FULL_SYNC is not None:
        try:
            fcntl.fcntl(descriptor, _FULL_SYNC)
        except OSError:
            # Network and some foreign file systems know no full sync.
            os.fsync(descriptor)
    else:
        os.fsync(descriptor)


def write_all(descriptor: int, data: bytes) -> None:
    """Write every byte; a short write is continued. Raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def write_new(path: Path, data: bytes) -> None:
    """Write a file that must not exist yet. Raises OSError (FileExistsError when it does)."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        write_all(descriptor, data)
        flush_to_disk(descriptor)
    finally:
        os.close(descriptor)
    flush_folder(path.parent)


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file as a whole or not at all: nobody ever sees a part of it. Raises OSError."""
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)
    try:
        write_new(partial, data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    flush_folder(path.parent)


def flush_folder(folder: Path) -> None:
    """Make names that were created in a folder durable: a file's own flush does not. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
