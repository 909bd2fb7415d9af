"""Tables of the analysis as rows of HTML cells: what stands in a cell, what it sorts by, how it is aligned."""

from __future__ import annotations

import math
from dataclasses import dataclass

from analysis.render import MISSING, Column, Table, Value, number, spelled
from analysis.stats import Estimate

LONG_CHARACTERS = 32
LONG_LIST = 2
"""Separators in the rest of a list from which on it is folded."""


@dataclass(frozen=True)
class Cell:
    """`text` is translated where the catalogue knows it; `interval` stands small behind it."""

    text: str
    sort: str
    interval: str = ""
    numeric: bool = True
    mark: str = ""
    """Class of a verdict, such as `good` or `bad`; empty for most."""

    @property
    def long(self) -> bool:
        """Whether the text may break into lines."""
        return len(self.text) > LONG_CHARACTERS

    @property
    def listed(self) -> tuple[str, str] | None:
        """First item and the rest, where the text is a long list of runs or rows; else None."""
        first, separator, rest = self.text.partition("; ")
        return (first, rest) if separator and rest.count("; ") >= LONG_LIST else None


@dataclass(frozen=True)
class Grid:
    """A table ready for the page."""

    name: str
    title: str
    heads: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...]


MARKS = {
    "supported": "good", "reproduced": "good", "consistent": "good", "identical": "good", "ok": "good",
    "refuted": "bad", "not reproduced": "bad", "broken": "bad", "failed": "bad", "error": "bad",
    "undecided": "open", "not comparable": "open", "near-tie": "open", "warning": "open",
}  # fmt: skip
"""Words that carry a verdict, and how they are marked. The word itself always stands beside the colour."""


def grid(table: Table) -> Grid:
    """The table as cells."""
    return Grid(
        table.name, table.title, tuple(column.head for column in table.columns),
        tuple(column.form != "text" for column in table.columns),
        tuple(tuple(cell(row.get(column.key), column) for column in table.columns) for row in table.rows),
        table.notes,
    )  # fmt: skip


def cell(value: Value, column: Column) -> Cell:
    """One value as its column reads it."""
    if isinstance(value, Estimate):
        point, interval = spelled(value, column.form)
        return Cell(point, repr(value.point) if math.isfinite(value.point) else "", interval)
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return Cell(MISSING, "", numeric=column.form != "text")
    if isinstance(value, bool):
        return Cell("yes" if value else "no", str(int(value)), numeric=False)
    if isinstance(value, str):
        return Cell(value, value.casefold(), numeric=False, mark=MARKS.get(value, ""))
    return Cell(number(value, column.form), repr(value))
