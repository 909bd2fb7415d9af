"""How a record stands in `runs.jsonl` and its likes: one line, its own checksum first, readable by any JSON tool.

    {"sha256":"0f3c…16 hex…","run":{…}}

A line whose checksum does not fit was edited or torn; it is refused, never silently repaired.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import TypeVar

import msgspec

from runner.errors import DataError
from runner.record import RunRecord


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    sha256: str
    run: msgspec.Raw


_encoder = msgspec.json.Encoder()
_line_decoder = msgspec.json.Decoder(_Line)
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
        envelope = _line_decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"{where}: not a run record ({error}); the line was torn or is of another tool") from None
    if _digest(bytes(envelope.run)) != envelope.sha256:
        raise DataError(f"{where}: the checksum does not fit; the line was edited after it was measured")
    try:
        record: T = _decoder(kind).decode(envelope.run)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"{where}: not a record of this schema ({error})") from None
    return record


@cache
def _decoder(kind: type[T]) -> msgspec.json.Decoder[T]:
    return msgspec.json.Decoder(kind)


def _digest(run: bytes) -> str:
    return hashlib.sha256(run).hexdigest()[:16]
