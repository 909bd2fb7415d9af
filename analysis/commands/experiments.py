"""`python -m analysis verify-cost|oracle|rollback|phantom`: the tables of the controlled suites."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from analysis.commands.options import with_format
from analysis.experiments.oracle import oracle_document
from analysis.experiments.phantom import phantom_document
from analysis.experiments.rollback import rollback_document
from analysis.experiments.verify_cost import verify_cost_document
from analysis.load import Study, load_study
from analysis.render import Document, Format, render


def _command(name: str, explain: Callable[[Study], Document], summary: str) -> click.Command:
    @click.command(name, help=f"{summary}\n\nSTUDY is the folder that the suite of this name wrote.")
    @click.argument("study", type=click.Path(path_type=Path))
    @with_format
    def command(study: Path, form: Format) -> None:
        click.echo(render(explain(load_study(study)), form), nl=False)

    return command


verify_cost = _command("verify-cost", verify_cost_document, "What a pass over n tokens costs.")
oracle = _command("oracle", oracle_document, "Speedup when acceptance is set by an oracle of known accuracy.")
rollback = _command("rollback", rollback_document, "What taking rejected tokens back costs per cycle.")
phantom = _command("phantom", phantom_document, "The unchecked loop's figures beside the honest run's.")
