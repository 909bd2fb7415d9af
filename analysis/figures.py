"""Writes matplotlib figures, the format by the file's ending; equal figures, equal bytes; never half a file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Literal, get_args

import matplotlib as mpl
from matplotlib.figure import Figure

from runner.errors import UsageError

FigureFormat = Literal["pdf", "svg", "png"]
FORMATS: tuple[FigureFormat, ...] = get_args(FigureFormat)

# Dates would make every file differ, and the version of matplotlib every machine.
_METADATA: dict[FigureFormat, dict[str, Any]] = {
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


def check_figure_path(path: Path) -> None:
    """UsageError, before any work is done, when `path` is no file that a figure can be written to."""
    _format_of(path)
    if not path.parent.is_dir():
        raise UsageError(f"{path}: the folder {path.parent} does not exist; make it first")


def save_figure(figure: Figure, path: Path) -> None:
    """Write the figure. UsageError when the ending is unknown or the folder cannot be written to."""
    check_figure_path(path)
    write_whole(path, figure_bytes(figure, _format_of(path)))


def figure_bytes(figure: Figure, form: FigureFormat) -> bytes:
    """The figure as a file's content; text in SVG stays text."""
    content = io.BytesIO()
    # A fixed salt: else matplotlib draws the ids inside an SVG anew each time.
    with mpl.rc_context({"svg.hashsalt": "specstudy", "svg.fonttype": "none"}):
        figure.savefig(content, format=form, metadata=_METADATA[form])
    return content.getvalue()


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all. UsageError when it cannot be written."""
    partial = path.with_name(f".{path.name}.part")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise UsageError(f"{path}: cannot be written ({error.strerror})") from None


def _format_of(path: Path) -> FigureFormat:
    ending = path.suffix.lower().removeprefix(".")
    for form in FORMATS:
        if form == ending:
            return form
    known = f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]}"
    raise UsageError(f"{path}: a plot is written as {known}; give the file such an ending")
