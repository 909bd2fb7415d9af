"""What the doctor says: one line a check, with what to do where something is wrong."""

from __future__ import annotations

from typing import Literal

import msgspec

Level = Literal["ok", "warn", "fail"]


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One check. `fail` makes a study worthless, `warn` makes it worth less than it could be."""

    check: str
    level: Level
    finding: str
    remedy: str | None = None
    """What to do; None where nothing needs doing."""


def ok(check: str, finding: str) -> Line:
    """Nothing to do."""
    return Line(check=check, level="ok", finding=finding)


def warn(check: str, finding: str, remedy: str) -> Line:
    """Numbers will be worse or noisier than they could be."""
    return Line(check=check, level="warn", finding=finding, remedy=remedy)


def fail(check: str, finding: str, remedy: str) -> Line:
    """Numbers would mean nothing, or there would be none."""
    return Line(check=check, level="fail", finding=finding, remedy=remedy)
