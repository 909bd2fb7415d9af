"""`python -m analysis compare`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from analysis.commands.options import FINDINGS_STATUS, PUBLISHED, with_format
from analysis.compare_published import compare_published
from analysis.compare_studies import compare_studies
from analysis.load import load_study
from analysis.render import Format, render
from analysis.reproduction import Comparison
from runner.errors import UsageError


@click.command()
@click.argument("left")
@click.argument("right")
@with_format
def compare(left: str, right: str, form: Format) -> None:
    """Does RIGHT reproduce LEFT? Row by row, with interval and reason; exit status 1 when a row does not.

    LEFT is `published` or a study's folder; RIGHT is a study's folder.
    """
    found = _comparison(left, right)
    click.echo(render(found.document, form), nl=False)
    if not found.reproduced:
        sys.exit(FINDINGS_STATUS)


def _comparison(left: str, right: str) -> Comparison:
    for source in (left, right):
        if Path(source).is_file():
            raise UsageError(f"{source}: a run log has no blocks to pair; `tables` and `audit` read it")
    if left == PUBLISHED:
        return compare_published(load_study(Path(right)))
    return compare_studies(load_study(Path(left)), load_study(Path(right)))
