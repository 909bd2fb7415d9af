"""A CSV file as its header and its rows, each with its line; what is no table is refused with file and line."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from runner.errors import DataError
from runner.parsing import printable

if TYPE_CHECKING:
    from _csv import Reader as _Reader

MAX_BYTES = 256 * 1024**2


class CsvTable(NamedTuple):
    """`rows` are read as they are asked for; each has as many cells as the header, blank ones are left out."""

    header: list[str]
    rows: Iterator[tuple[int, list[str]]]
    """Line and cells."""


def read_text(path: Path) -> str:
    """The text of a file; a byte order mark is no part of it. Raises DataError."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"{path.name}: larger than {MAX_BYTES // 1024**2} MiB; split it or use a part of it")
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path.name}:{line}: not UTF-8 text (byte {error.start}); save it as UTF-8") from None


def csv_table(text: str, name: str) -> CsvTable:
    """The table in a text, separated by whatever its header has most of: commas, semicolons or tabs.

    `name` is the file's, for errors. Raises DataError, also while the rows are read.
    """
    first = text.partition("\n")[0]
    # Not splitlines: it also breaks lines where a cell holds one of eight rarer characters.
    lines = io.StringIO(text, newline="")
    reader = csv.reader(lines, delimiter=max(",;\t", key=first.count), strict=True)
    rows = _numbered(reader, name)
    _, header = next(rows, (1, []))
    header = [cell.strip() for cell in header]
    twice = sorted(cell for cell, times in Counter(header).items() if times > 1)
    if twice:
        raise DataError(f"{name}:1: column {printable(repr(twice[0]))} stands twice in the header")
    return CsvTable(header, _fitting(rows, len(header), name))


def _numbered(reader: _Reader, name: str) -> Iterator[tuple[int, list[str]]]:
    try:
        for cells in reader:
            yield reader.line_num, cells
    except csv.Error as error:
        raise DataError(f"{name}:{reader.line_num}: not CSV ({error})") from None


def _fitting(rows: Iterator[tuple[int, list[str]]], n_cells: int, name: str) -> Iterator[tuple[int, list[str]]]:
    for line, cells in rows:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != n_cells:
            raise DataError(
                f"{name}:{line}: has {len(cells)} cells, the header {n_cells}; "
                "the row was torn or a comma is not quoted"
            )
        yield line, [cell.strip() for cell in cells]
