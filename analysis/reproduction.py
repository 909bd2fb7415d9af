"""What it takes to say that a row was reproduced.

A row is *reproduced* when the other's figure lies in this study's interval, widened by what two careful sessions
on one machine still differ by; *not reproduced* when it does not; *not comparable* when chip, model or
configuration differ, or the interval is too wide to tell. Across chips only ratios compare, never tok/s.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias, get_args

from analysis.render import Column, Document, Row, Table, Value, steady
from analysis.stats import Estimate
from analysis.tables import table

TOLERANCE = 0.05
"""Relative: what remains between two sessions after all that a study controls (chip lottery, ambient heat)."""
ACCEPTANCE_TOLERANCE = 0.02
"""Absolute: prompts of the same kind but other words move α by about so much."""
WIDEST = 1.5
"""An interval whose ends differ by more than this factor neither confirms nor refutes."""

Outcome = Literal["reproduced", "not reproduced", "not comparable"]


Rows: TypeAlias = tuple[Row, ...]


class Comparison(NamedTuple):
    """What to print, and whether no row failed to reproduce."""

    document: Document
    reproduced: bool


class Judged(NamedTuple):
    """Outcome of one row and the reason for it."""

    outcome: Outcome
    reason: str


_ROWS = (
    Column("suite", "Suite"), Column("target", "Target"), Column("draft", "Draft"), Column("gamma", "γ", "count"),
    Column("figure", "Figure"), Column("left", "There"), Column("right", "Here"),
    Column("ratio", "Here / there", "ratio"), Column("outcome", "Outcome"), Column("reason", "Reason"),
)  # fmt: skip


def comparison(source: str, rows: Rows, notes: Sequence[str], extra: Sequence[Table] = ()) -> Comparison:
    """The rows as a document that opens its notes with how many had which outcome."""
    counts = {outcome: sum(row["outcome"] == outcome for row in rows) for outcome in get_args(Outcome)}
    verdict = ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
    tables = (*extra, table("comparison", "Row by row", _ROWS, rows))
    return Comparison(Document(source, tables, (f"{verdict}.", *notes)), counts["not reproduced"] == 0)


def same(ratio: Estimate) -> Judged:
    """A figure measured twice, by the ratio of both: equal unless decidedly off 1 by more than the tolerance."""
    if not ratio.high / ratio.low <= WIDEST:
        return Judged("not comparable", "the interval is too wide to tell; measure more blocks")
    if not ratio.undecided and abs(ratio.point - 1) > TOLERANCE:
        return Judged("not reproduced", f"differs by {ratio.point - 1:+.1%}")
    return Judged("reproduced", "no difference beyond noise and tolerance")


def other_chip(there: str | None, here: str | None) -> str | None:
    """Why tokens per second of two chips do not compare; None when they are one and known."""
    if there is None or here is None or there.casefold() != here.casefold():
        return f"other chip ({here or 'unknown'} here, {there or 'unknown'} there): only ratios compare"
    return None


def shown(value: Value, spec: str) -> Value:
    """A figure as text, with its interval where it has one; None stays None."""
    if isinstance(value, Estimate):
        point, low, high = (f"{steady(end):{spec}}" for end in (value.point, value.low, value.high))
        return f"{point} [{low}, {high}]"
    return f"{steady(value):{spec}}" if isinstance(value, int | float) else None
