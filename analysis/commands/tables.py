"""`python -m analysis tables`."""

from __future__ import annotations

from pathlib import Path

import click

from analysis.commands.options import PUBLISHED, with_format, with_map
from analysis.foreign import load_foreign, parse_mapping
from analysis.load import load_study
from analysis.render import Document, Format, render
from analysis.tables import foreign_tables, published_tables, study_tables


@click.command()
@click.argument("source")
@with_map
@with_format
def tables(source: str, mapping: tuple[str, ...], form: Format) -> None:
    """Baseline, speculative, draft comparison and prompt sweep, as the published study prints them.

    SOURCE is a study's folder, `published`, or a run log: CSV, or llama-bench's JSON.
    """
    click.echo(render(_document(source, mapping), form), nl=False)


def _document(source: str, mapping: tuple[str, ...]) -> Document:
    if source == PUBLISHED:
        return published_tables()
    if Path(source).is_file():
        return foreign_tables(load_foreign(Path(source), parse_mapping(mapping)))
    return study_tables(load_study(Path(source)))
