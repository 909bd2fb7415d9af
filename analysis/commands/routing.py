"""`python -m analysis routing`: measured coverage of experts beside the formula."""

from __future__ import annotations

from pathlib import Path

import click

from analysis.commands.options import with_format
from analysis.experiments.routing import routing_document
from analysis.render import Format, render


@click.command()
@click.argument("study", type=click.Path(path_type=Path))
@with_format
def routing(study: Path, form: Format) -> None:
    """Distinct experts that tokens touch, against N(t) of MoESD.

    STUDY is the folder that the suite of this name wrote.
    """
    click.echo(render(routing_document(study), form), nl=False)
