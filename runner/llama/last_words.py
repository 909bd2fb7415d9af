"""llama.cpp's last log lines in a file, where they outlive an abort of the process that logged them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress

MOST_BYTES = 1 << 18
"""Of the file: a study logs for hours, and only the last lines will be read."""


class LastWords:
    """Writes log lines to an open file and starts it anew when it has grown too large.

    Only a regular file is written to: neither a terminal nor a pipe is anybody's record. The file may be shared
    with whatever else writes to the descriptor, an assertion's message above all.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)

    def add(self, lines: Iterable[str], all_kept: Sequence[str]) -> None:
        """Write `lines`, or `all_kept` of the lines so far where the file starts anew."""
        if not self._is_file:
            return
        # A full disk is no reason to disturb what is being measured.
        with suppress(OSError):
            if os.fstat(self._descriptor).st_size > MOST_BYTES:
                os.ftruncate(self._descriptor, 0)
                os.lseek(self._descriptor, 0, os.SEEK_SET)
                lines = all_kept
            os.write(self._descriptor, "".join(f"{line}\n" for line in lines).encode("utf-8", "replace"))
