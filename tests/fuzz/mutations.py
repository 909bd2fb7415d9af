"""Damage of a kind that disks, editors and other people's programs do; the same seed does the same damage."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from typing import Any

import msgspec

from runner.lines import encode_line

Mutator = Callable[[bytes, random.Random], bytes]

EXTREMES = (
    b"0", b"-0.0", b"-1", b"1e-320", b"1e308", b"1e999", b"-1e999", b"NaN", b"nan", b"inf", b"-Infinity", b"null",
    b"true", b"2147483648", b"9223372036854775808", b"9" * 400, b"9" * 5000, b'""', b'"x"', b'"a\\nb"', b"[]",
    b"{}", b"[[]]", b"0x10", b"1_000", b"2026-13-45", b"1979-05-27", b"'", b'"', b"\\", b",", b"=",
    b"\xef\xbb\xbf",
)  # fmt: skip
"""What may stand where a number or a name stood."""
ODD = (
    "\0", "\r", "\n", "\r\n", "\t", "\x0b", "\x0c", "\x1b[31m", "\x1c", "\x85", "\u2028", "\u202e", "\ufeff",
    "日本", "é", "𝟙", "٣", "\U0001f600", "\ufffe",
)  # fmt: skip
"""Characters that readers trip over; among them all that some library takes for the end of a line."""
_TOKEN = re.compile(rb'"(?:[^"\\\n]|\\.)*"|[-+]?\d[\w.+-]*|\b(?:true|false|null)\b|[A-Za-z_][\w-]*')


def binary(content: bytes, rng: random.Random) -> bytes:
    """Bytes changed, removed and put in, and lengths and counts made absurd."""
    data = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 8])):
        where = rng.randrange(len(data))
        kind = rng.randrange(4)
        if kind == 0:
            data[where] = rng.randrange(256)
        elif kind == 1:
            data[where : where + 8] = rng.choice([b"\xff" * 8, b"\x00" * 8, (2**40).to_bytes(8, "little")])
        elif kind == 2:
            del data[where : where + rng.randrange(1, 64)]
        else:
            data[where:where] = rng.randbytes(rng.randrange(1, 64))
        if not data:
            return b"G"
    return bytes(data)


def text(content: bytes, rng: random.Random) -> bytes:
    """One to three edits: a word replaced, odd characters put in, lines doubled, lost or swapped, the end cut."""
    for _ in range(rng.choice([1, 1, 2, 3])):
        content = rng.choice(_EDITS)(content, rng)
    return content


def json_value(content: bytes, rng: random.Random) -> bytes:
    """JSON with one to three of its values replaced, its keys lost, renamed or doubled."""
    value = json.loads(content)
    for _ in range(rng.choice([1, 1, 2, 3])):
        value = _edited(value, rng)
    return json.dumps(value, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")


def json_line(content: bytes, rng: random.Random) -> bytes:
    """A JSONL file with the JSON of one line damaged."""
    return _with_line(content, rng, lambda line: json_value(line, rng))


def checked_line(content: bytes, rng: random.Random) -> bytes:
    """A run log with the record of one line damaged and the checksum made to fit."""

    def change(line: bytes) -> bytes:
        run = json.dumps(json.loads(line)["run"]).encode()
        return encode_line(msgspec.Raw(json_value(run, rng)))

    return _with_line(content, rng, change)


def _with_line(content: bytes, rng: random.Random, change: Callable[[bytes], bytes]) -> bytes:
    lines = content.splitlines()
    which = rng.randrange(len(lines))
    lines[which] = change(lines[which]).rstrip(b"\n")
    return b"\n".join(lines) + b"\n"


def _replace_token(content: bytes, rng: random.Random) -> bytes:
    found = list(_TOKEN.finditer(content))
    if not found:
        return content
    token = rng.choice(found)
    return content[: token.start()] + rng.choice(EXTREMES) + content[token.end() :]


def _put_in(content: bytes, rng: random.Random) -> bytes:
    where = rng.randrange(len(content) + 1)
    return content[:where] + rng.choice(ODD).encode() * rng.choice([1, 1, 1, 200]) + content[where:]


def _move_line(content: bytes, rng: random.Random) -> bytes:
    lines = content.splitlines(keepends=True) or [b""]
    line = lines.pop(rng.randrange(len(lines)))
    for _ in range(rng.choice([0, 1, 2, 3])):
        lines.insert(rng.randrange(len(lines) + 1), line)
    return b"".join(lines)


def _repeat(content: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(content) + 1)
    piece = content[start : start + rng.choice([1, 5, 40])]
    return content[:start] + piece * rng.choice([2, 3, 3000]) + content[start:]


def _cut(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def _scramble(content: bytes, rng: random.Random) -> bytes:
    return binary(content or b"x", rng)


_EDITS: tuple[Mutator, ...] = (
    _replace_token, _replace_token, _replace_token, _put_in, _move_line, _repeat, _cut, _scramble
)  # fmt: skip


def _edited(value: Any, rng: random.Random) -> Any:
    """The value with one of its descendants damaged."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        return _edited_object(value, rng)
    if isinstance(value, list) and value and rng.random() < 0.8:
        where = rng.randrange(len(value))
        return [*value[:where], _edited(value[where], rng), *value[where + 1 :]]
    return rng.choice(_OTHERS)(value, rng)


def _edited_object(value: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    name = rng.choice(list(value))
    kind = rng.randrange(12)
    rest = {key: other for key, other in value.items() if key != name}
    if kind == 0:
        return rest
    if kind == 1:
        return {**rest, name + rng.choice(ODD): value[name]}
    return {**value, name: _edited(value[name], rng)}


_OTHERS: tuple[Callable[[Any, random.Random], Any], ...] = (
    lambda value, rng: rng.choice([0, -1, 1, 2**31, 2**53, 2**63, -(2**63), 10**30, 10**400]),
    lambda value, rng: rng.choice([0.0, -0.0, 0.5, -1.5, 1e-320, 1e308, 1e40]),
    lambda value, rng: rng.choice([None, True, False, "", [], {}, [[]]]),
    lambda value, rng: rng.choice(ODD) * rng.choice([1, 300]),
    lambda value, rng: f"{value}{rng.choice(ODD)}"[:200],
    lambda value, rng: [value, value],
    lambda value, rng: value[: len(value) // 2] if isinstance(value, list) else [],
    lambda value, rng: [value] * 3000 if isinstance(value, int) else "x" * 3000,
)
