"""`python -m analysis decompose`."""

from __future__ import annotations

from pathlib import Path

import click

from analysis.commands.options import PUBLISHED, with_format
from analysis.decompose_tables import decompose_document, published_bounds
from analysis.load import load_study
from analysis.render import Format, render


@click.command()
@click.argument("source")
@with_format
def decompose(source: str, form: Format) -> None:
    """Why each speedup is what it is: S = τ/(v+d+o), its causes, what-ifs, and the dense controls.

    SOURCE is a study's folder, or `published`: without timings that has bounds only.
    """
    document = published_bounds() if source == PUBLISHED else decompose_document(load_study(Path(source)))
    click.echo(render(document, form), nl=False)
