"""How a record stands in `runs.jsonl` and its likes: one line, its own checksum first, readable by any JSON tool.

    {"sha256":"0f3c…16 hex…","run":{…}}

A line whose checksum does not fit was edited or torn; it is refused, never silently repaired.
"""

from __future__ import annotations

import hashlib
from typing import TypeVar

import msgspec

from runner.errors import DataError
from runner.parsing import MalformedError, parse_json
from runner.record import RunRecord


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    sha256: str
    run: msgspec.Raw


_encoder = msgspec.json.Encoder()
T = TypeVar("T", bound=msgspec.Struct)


def encode_line(record: msgspec.Struct) -> bytes:
    """One line, newline included."""
    run = _encoder.encode(record)
    return _encoder.encode(_Line(_digest(run), msgspec.Raw(run))) + b"\n"


def decode_line(line: bytes, where: str) -> RunRecord:
    """The run of one line of `runs.jsonl`; see `decode_line_as`."""
    return decode_line_as(RunRecord, line, where)


def decode_line_as(kind: type[T], line: bytes, where: str) -> T:
    """The record of one line; `where` names file and line number in the error.

    Raises DataError when the line is torn, edited, or not a record of this schema.
    """
    try:
        envelope = parse_json(line, _Line)
    except MalformedError as error:
        raise DataError(f"{where}: not a run record ({error}); the line was torn or is of another tool") from None
    if _digest(bytes(envelope.run)) != envelope.sha256:
        raise DataError(f"{where}: the checksum does not fit; the line was edited after it was measured")
    try:
        return parse_json(envelope.run, kind)
    except MalformedError as error:
        raise DataError(f"{where}: not a record of this schema ({error})") from None


def _digest(run: bytes) -> str:
    return hashlib.sha256(run).hexdigest()[:16]
