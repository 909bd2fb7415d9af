"""`python -m analysis compare`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from analysis.commands.options import FINDINGS_STATUS, PUBLISHED, with_format, with_map
from analysis.compare_figures import figure_rows
from analysis.compare_studies import compare_studies
from analysis.configurations import configurations
from analysis.figures_of import Figures, log_figures, published_figures, study_figures
from analysis.foreign import ForeignLog, load_foreign, parse_mapping
from analysis.load import Study, load_study
from analysis.render import Format, render
from analysis.reproduction import Comparison, comparison
from analysis.tables import study_notes


@click.command()
@click.argument("left")
@click.argument("right")
@with_map
@with_format
def compare(left: str, right: str, mapping: tuple[str, ...], form: Format) -> None:
    """Does RIGHT reproduce LEFT? Row by row, with interval and reason; exit status 1 when a row does not.

    Each is a study's folder, `published`, or a run log (CSV, llama-bench's JSON). Two studies are paired by run.
    """
    there, here = (_source(name, mapping) for name in (left, right))
    if isinstance(there, Study) and isinstance(here, Study):
        found = compare_studies(there, here)
    else:
        found = _compare_figures(_figures(there), _figures(here))
    click.echo(render(found.document, form), nl=False)
    if not found.reproduced:
        sys.exit(FINDINGS_STATUS)


def _source(name: str, mapping: tuple[str, ...]) -> Study | ForeignLog | None:
    """A study, a log, or None for the published figures."""
    if name == PUBLISHED:
        return None
    return load_foreign(Path(name), parse_mapping(mapping)) if Path(name).is_file() else load_study(Path(name))


def _figures(source: Study | ForeignLog | None) -> Figures:
    if isinstance(source, Study):
        found = configurations(source)
        return study_figures(source, found, study_notes(source, found))
    return published_figures() if source is None else log_figures(source)


def _compare_figures(there: Figures, here: Figures) -> Comparison:
    notes = (*there.notes, *here.notes)
    return comparison(f"{there.name} and {here.name}", figure_rows(there, here), notes)
