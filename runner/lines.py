"""How a record stands in `runs.jsonl`: one line, its own checksum first, readable by any JSON tool.

    {"sha256":"0f3c…16 hex…","run":{…}}

A line whose checksum does not fit was edited or torn; it is refused, never silently repaired.
"""

from __future__ import annotations

import hashlib

import msgspec

from runner.errors import DataError
from runner.record import RunRecord


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    sha256: str
    run: msgspec.Raw


_encoder = msgspec.json.Encoder()
_line_decoder = msgspec.json.Decoder(_Line)
_run_decoder = msgspec.json.Decoder(RunRecord)


def encode_line(record: RunRecord) -> bytes:
    """One line, newline included."""
    run = _encoder.encode(record)
    return _encoder.encode(_Line(_digest(run), msgspec.Raw(run))) + b"\n"


def decode_line(line: bytes, where: str) -> RunRecord:
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
        return _run_decoder.decode(envelope.run)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"{where}: not a record of this schema ({error})") from None


def _digest(run: bytes) -> str:
    return hashlib.sha256(run).hexdigest()[:16]
