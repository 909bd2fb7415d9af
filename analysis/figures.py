"""Writes matplotlib figures: SVG or PNG by the file's ending; equal figures, equal bytes; never half a file."""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from runner.errors import UsageError

FORMATS = ("svg", "png")


def check_figure_path(path: Path) -> None:
    """UsageError, before any work is done, when `path` is no file that a figure can be written to."""
    if path.suffix.lower().removeprefix(".") not in FORMATS:
        raise UsageError(f"{path}: a plot is written as {' or '.join(FORMATS)}; give the file such an ending")
    if not path.parent.is_dir():
        raise UsageError(f"{path}: the folder {path.parent} does not exist; make it first")


def save_figure(figure: Figure, path: Path) -> None:
    """Write the figure. UsageError when the ending is unknown or the folder cannot be written to."""
    check_figure_path(path)
    form = path.suffix.lower().removeprefix(".")
    content = io.BytesIO()
    # Dates and random ids would make every SVG differ.
    with mpl.rc_context({"svg.hashsalt": "specstudy", "svg.fonttype": "none"}):
        figure.savefig(content, format=form, metadata={"Date": None} if form == "svg" else {})
    partial = path.with_name(f".{path.name}.part")
    try:
        partial.write_bytes(content.getvalue())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise UsageError(f"{path}: cannot be written ({error.strerror})") from None
