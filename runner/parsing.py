"""Bytes that somebody else may have written, as a value of a type; what is wrong with them is one printable line.

Parsers fail in more ways than their manuals say: by nesting too deep, by numbers of thousands of digits, by bytes
that are no text. Who reads a file asks here, and adds to the one error file, line and remedy.

>>> parse_json(b"[1, 2]", list[int])
[1, 2]
>>> parse_toml(b"a = x", dict[str, int])
Traceback (most recent call last):
runner.parsing.MalformedError: not TOML (Invalid value (at line 1, column 5))
"""

from __future__ import annotations

from functools import cache
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

_LONGEST_REASON = 300


class MalformedError(Exception):
    """Why bytes are not what they were taken for."""


def parse_json(content: bytes | str | msgspec.Raw, kind: type[T]) -> T:
    """The JSON as `kind`. Raises MalformedError."""
    try:
        value: T = _json_decoder(kind).decode(content)  # type: ignore[arg-type]  # a type can be hashed
    except msgspec.ValidationError as error:
        raise MalformedError(printable(str(error))) from None
    except (msgspec.DecodeError, ValueError, RecursionError, OverflowError) as error:
        raise MalformedError(f"not JSON ({printable(str(error))})") from None
    return value


def parse_toml(content: bytes, kind: type[T]) -> T:
    """The TOML as `kind`. Raises MalformedError."""
    try:
        return msgspec.toml.decode(content, type=kind)
    except msgspec.ValidationError as error:
        raise MalformedError(printable(str(error))) from None
    except (msgspec.DecodeError, ValueError, RecursionError, OverflowError) as error:
        raise MalformedError(f"not TOML ({printable(str(error))})") from None


def printable(text: str) -> str:
    """The text as a part of a message: one line, without characters that a terminal obeys, not endless."""
    shown = "".join(character if character.isprintable() else " " for character in text)
    shown = " ".join(shown.split())
    return shown if len(shown) <= _LONGEST_REASON else f"{shown[: _LONGEST_REASON - 1]}…"


@cache
def _json_decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)
