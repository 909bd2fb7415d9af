"""`python -m analysis tables | decompose | compare`: thin wrappers over the functions that build documents."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import click

from analysis.compare_published import compare_published
from analysis.compare_studies import compare_studies
from analysis.decompose_tables import decompose_document, published_bounds
from analysis.foreign import load_foreign, parse_mapping
from analysis.load import load_study
from analysis.render import FORMATS, Document, Format, render
from analysis.tables import foreign_tables, published_tables, study_tables
from runner.errors import UsageError

PUBLISHED = "published"
FINDINGS_STATUS = 1


def _with_format(command: Callable[..., None]) -> Callable[..., None]:
    return click.option("--format", "form", type=click.Choice(FORMATS), default="md", show_default=True)(command)


_with_map = click.option(
    "--map",
    "mapping",
    multiple=True,
    metavar="THEIRS=OURS",
    help="A foreign CSV's column under our name; repeatable.",
)


@click.command()
@click.argument("source")
@_with_map
@_with_format
def tables(source: str, mapping: tuple[str, ...], form: Format) -> None:
    """Baseline, speculative, draft comparison and prompt sweep, as the published study prints them.

    SOURCE is a study's folder, `published`, or a run log: CSV, or llama-bench's JSON.
    """
    click.echo(render(_tables(source, mapping), form), nl=False)


@click.command()
@click.argument("source")
@_with_format
def decompose(source: str, form: Format) -> None:
    """Why each speedup is what it is: S = τ/(v+d+o), its causes, what-ifs, and the dense controls.

    SOURCE is a study's folder, or `published`: without timings that has bounds only.
    """
    document = published_bounds() if source == PUBLISHED else decompose_document(load_study(Path(source)))
    click.echo(render(document, form), nl=False)


@click.command()
@click.argument("left")
@click.argument("right")
@_with_format
def compare(left: str, right: str, form: Format) -> None:
    """Does RIGHT reproduce LEFT? Row by row, with interval and reason; exit status 1 when a row does not.

    LEFT is `published`, a study's folder or a run log; RIGHT is a study's folder.
    """
    study = load_study(Path(right))
    if left == PUBLISHED:
        document, reproduced = compare_published(study)
    elif Path(left).is_file():
        raise UsageError(f"{left}: a run log has no blocks to pair; `tables` and `audit` read it")
    else:
        document, reproduced = compare_studies(load_study(Path(left)), study)
    click.echo(render(document, form), nl=False)
    if not reproduced:
        sys.exit(FINDINGS_STATUS)


def _tables(source: str, mapping: tuple[str, ...]) -> Document:
    if source == PUBLISHED:
        return published_tables()
    if Path(source).is_file():
        return foreign_tables(load_foreign(Path(source), parse_mapping(mapping)))
    return study_tables(load_study(Path(source)))
