"""One document, three spellings: Markdown for people, CSV for spreadsheets, JSON for programs.

Cells hold values, never formatted text; a column says how its values read. The same document always renders to
the same bytes.

>>> speeds = Table("speeds", "Speeds", (Column("model", "Model"), Column("tok_s", "tok/s", "speed")),
...                ({"model": "MoE Q4", "tok_s": 55.31},))
>>> print(render(Document("demo", (speeds,)), "csv"), end="")
table,model,tok_s
speeds,MoE Q4,55.31
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, TypeAlias

from analysis.stats import Caveat, Estimate

Format = Literal["md", "csv", "json"]
FORMATS: tuple[Format, ...] = ("md", "csv", "json")
Form = Literal[
    "text", "count", "speed", "ratio", "factor", "share", "brief", "difference", "ms", "mj", "parameters", "rate",
    "p",
]  # fmt: skip
"""`brief` is a share of which Markdown shows the point only, for tables with many columns."""
Value: TypeAlias = str | int | float | bool | Estimate | None
Row: TypeAlias = Mapping[str, Value]
Scalar: TypeAlias = str | int | float | bool | None

SIGNIFICANT_DIGITS = 6
"""Of numbers in CSV and JSON: more than any measurement holds, fewer than where processors round differently."""
STEADY_DIGITS = 10
UNDECIDED = "~"
MISSING = "–"


@dataclass(frozen=True)
class Column:
    """`key` finds the value in a row, `head` stands above it, `form` says how it reads."""

    key: str
    head: str
    form: Form = "text"


@dataclass(frozen=True)
class Table:
    """A table. Rows lack a key where the value is not known."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    """What the reader must know to read it; Markdown and JSON carry them."""


@dataclass(frozen=True)
class Document:
    """What one command says. `source`: the study or file that it speaks about."""

    source: str
    tables: tuple[Table, ...]
    notes: tuple[str, ...] = ()


def render(document: Document, form: Format) -> str:
    """The document as text that ends in a newline."""
    writers: dict[Format, Callable[[Document], str]] = {"md": _markdown, "csv": _csv, "json": _json}
    return writers[form](document)


def caveats_of(tables: Iterable[Table]) -> tuple[str, ...]:
    """What the estimates of the tables leave in doubt: of each kind the worst, once, in a fixed order."""
    found: set[Caveat] = set()
    for table in tables:
        for row in table.rows:
            found.update(*(value.caveats for value in row.values() if isinstance(value, Estimate)))
    return tuple(max(same).text for _, same in groupby(sorted(found), key=lambda caveat: caveat.kind))


# --- Markdown


def _markdown(document: Document) -> str:
    parts = [f"# {plain(document.source)}", *(_markdown_table(table) for table in document.tables)]
    notes = (*document.notes, *caveats_of(document.tables))
    if notes:
        parts.append("\n".join(f"- {plain(note)}" for note in notes))
    return "\n\n".join(parts) + "\n"


def _markdown_table(table: Table) -> str:
    head = [plain(column.head) for column in table.columns]
    rule = ["---" if column.form == "text" else "---:" for column in table.columns]
    body = [[_cell(row.get(column.key), column.form) for column in table.columns] for row in table.rows]
    lines = [f"| {' | '.join(cells)} |" for cells in (head, rule, *body)]
    return "\n".join([f"## {plain(table.title)}", "", *lines, *(f"\n{plain(note)}" for note in table.notes)])


def _cell(value: Value, form: Form) -> str:
    if isinstance(value, Estimate):
        return _estimate(value, form)
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    return plain(value) if isinstance(value, str) else number(value, form)


def _estimate(estimate: Estimate, form: Form) -> str:
    return " ".join(filter(None, spelled(estimate, form)))


def spelled(estimate: Estimate, form: Form) -> tuple[str, str]:
    """Point and interval as a column of that form reads them; the interval is empty where none is shown."""
    if not math.isfinite(estimate.point):
        return MISSING, ""
    if form == "brief":
        return number(estimate.point, "share"), ""
    judged = form in _JUDGED
    mark = f"{UNDECIDED} " if judged and estimate.undecided else ""
    low, high = (number(value, form).rstrip("×%") for value in (estimate.low, estimate.high))
    more = f" (+{estimate.more_blocks} blocks)" if judged and estimate.more_blocks else ""
    return f"{mark}{number(estimate.point, form)}", f"[{low}, {high}]{more}"


_JUDGED: tuple[Form, ...] = ("ratio", "difference")
"""Forms whose neutral value means "no effect"; a share or a cost has none."""

_FORMS: dict[Form, Callable[[float], str]] = {
    "text": lambda value: f"{value:g}",
    "count": lambda value: f"{value:,.0f}",
    "speed": lambda value: f"{value:.1f}",
    "ratio": lambda value: f"{value:.2f}×",
    "factor": lambda value: f"{value:.2f}",
    "share": lambda value: f"{100 * value:.1f}%",
    "difference": lambda value: f"{value:+.3f}",
    "ms": lambda value: f"{value:.2f}",
    "mj": lambda value: f"{value:.1f}",
    "parameters": lambda value: f"{value / 1e9:.3g}B" if value >= 5e8 else f"{value / 1e6:.3g}M",
    "rate": lambda value: f"{value / 1e9:.1f} GB/s",
    "brief": lambda value: f"{100 * value:.1f}%",
    "p": lambda value: "<0.001" if value < 0.001 else f"{value:.3f}",
}


def number(value: float, form: Form) -> str:
    """A number as its column reads it."""
    return _FORMS[form](steady(value))


def steady(value: float) -> float:
    """The value without its last digits, in which processors differ: else a tie would round either way."""
    return float(f"{value:.{STEADY_DIGITS}g}")


def plain(text: str) -> str:
    """Text that cannot break a table or a terminal: control characters out, `|` escaped, `<` harmless."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", text).replace("|", "\\|").replace("<", "&lt;")


# --- CSV


def _csv(document: Document) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    for position, table in enumerate(document.tables):
        if position:
            stream.write("\n")
        rows = [dict(_flat(table, row)) for row in table.rows]
        keys = list(dict.fromkeys(key for row in rows for key in row)) or [column.key for column in table.columns]
        writer.writerow(["table", *keys])
        writer.writerows([neutral(table.name), *(neutral(row.get(key)) for key in keys)] for row in rows)
    return stream.getvalue()


def neutral(value: Scalar) -> str:
    """A cell no spreadsheet will run: text that starts like a formula gets an apostrophe, numbers stay."""
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if value[:1] in tuple("=+-@\t\r") and not _is_number(value) else value
    return str(value).lower() if isinstance(value, bool) else str(value)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


# --- JSON


def _json(document: Document) -> str:
    content = {
        "source": document.source,
        "tables": [
            {
                "name": table.name,
                "title": table.title,
                "rows": [dict(_flat(table, row)) for row in table.rows],
                "notes": list(table.notes),
            }
            for table in document.tables
        ],
        "notes": [*document.notes, *caveats_of(document.tables)],
    }
    return json.dumps(content, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def _flat(table: Table, row: Row) -> Iterator[tuple[str, Scalar]]:
    """Key and value of each cell; an estimate takes its key for the point and three more for the rest."""
    for column in table.columns:
        value = row.get(column.key)
        if isinstance(value, Estimate):
            yield column.key, _rounded(value.point)
            yield f"{column.key}_low", _rounded(value.low)
            yield f"{column.key}_high", _rounded(value.high)
            if column.form in _JUDGED:
                yield f"{column.key}_undecided", value.undecided
                yield f"{column.key}_more_blocks", value.more_blocks
        else:
            yield column.key, _rounded(value)


def _rounded(value: Scalar) -> Scalar:
    if isinstance(value, bool) or not isinstance(value, float):
        return value
    return float(f"{steady(value):.{SIGNIFICANT_DIGITS}g}") if math.isfinite(value) else None
