"""What a study's run log says already happened, and what a crash left at its end."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import TypeAlias

import msgspec

from runner.errors import DataError, StoreError
from runner.grid_record import Logged
from runner.lines import decode_line_as
from runner.parsing import printable
from runner.record import RunRecord, Status

LogEntry: TypeAlias = RunRecord | Logged


class Log(msgspec.Struct, frozen=True):
    """A file of records of one kind, beside the manifest."""

    name: str
    kind: type[LogEntry]


RUNS = Log("runs.jsonl", RunRecord)


class Past(msgspec.Struct, frozen=True):
    """The latest attempt at a run: its number, from 1, and how it ended."""

    attempt: int
    status: Status


class History(msgspec.Struct, frozen=True):
    """A run log as found: the latest attempt at every run, and how many of its bytes are whole lines."""

    past: dict[str, Past]
    whole_bytes: int
    torn: bytes
    """What follows the last whole line: a record that was being written when the process ended, or nothing."""


def read_history(path: Path, run_ids: Collection[str], kind: type[LogEntry] = RunRecord) -> History:
    """Read a log of `kind` that may end in the middle of a line; a missing file is an empty log.

    Raises StoreError when a whole line is no record of this study's schema, or of a run that is not among
    `run_ids`. Raises OSError.
    """
    past: dict[str, Past] = {}
    whole = 0
    if not path.exists():
        return History(past, 0, b"")
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return History(past, whole, line)
            where = f"{path.parent.name}/{path.name}:{number}"
            record = _record(kind, line, where)
            if record.run_id not in run_ids:
                raise StoreError(
                    f"{where}: holds run {printable(record.run_id)}, which is not in the plan; the line was"
                    " copied from elsewhere or edited. Use another --out"
                )
            note(past, record)
            whole += len(line)
    return History(past, whole, b"")


def note(past: dict[str, Past], record: LogEntry) -> None:
    """Enter one record: a higher attempt supersedes the lower ones."""
    known = past.get(record.run_id)
    if known is None or record.attempt > known.attempt:
        past[record.run_id] = _shared(record.attempt, record.status)


@cache
def _shared(attempt: int, status: Status) -> Past:
    # Few different ones, and a long study has a hundred thousand runs.
    return Past(attempt, status)


def _record(kind: type[LogEntry], line: bytes, where: str) -> LogEntry:
    try:
        return decode_line_as(kind, line, where)
    except DataError as error:
        raise StoreError(f"{error}. Nothing is added to a damaged study; use another --out") from None
