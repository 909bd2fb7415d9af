"""Tables of the suites that set one cause at a time; none where a suite was not run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from analysis.load import Study
from analysis.plots.subject import Subject
from analysis.render import Document, Table
from runner.errors import DataError


def tables_of(document: Document) -> Sequence[Table]:
    """The document's tables; what it says about all of them stands below the last."""
    *first, last = document.tables
    return (*first, replace(last, notes=(*last.notes, *document.notes)))


def logged_by(document: Callable[[Path], Document]) -> Callable[[Subject], Sequence[Table]]:
    """As `found_by`, for an experiment that keeps a log of its own in the study's folder."""

    def tables(subject: Subject) -> Sequence[Table]:
        try:
            return tables_of(document(subject.folder))
        except DataError:
            return ()

    return tables


def found_by(document: Callable[[Study], Document]) -> Callable[[Subject], Sequence[Table]]:
    """The tables of an experiment's document; none where the study lacks its runs."""

    def tables(subject: Subject) -> Sequence[Table]:
        try:
            return tables_of(document(subject.study))
        except DataError:
            return ()

    return tables
