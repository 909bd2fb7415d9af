"""`python -m analysis claims`: the published findings, judged by the published figures or by a study."""

from __future__ import annotations

from pathlib import Path

import click

from analysis.claims import ledger
from analysis.claims_published import published_claims
from analysis.claims_study import study_claims
from analysis.load import load_study
from analysis.render import FORMATS, Format, render


@click.command()
@click.argument("source")
@click.option(
    "--format", "form", type=click.Choice(FORMATS), default="md", show_default=True, help="How to print."
)
def claims(source: str, form: Format) -> None:
    """Judge each published finding by the figures of SOURCE: `published`, or a study's folder."""
    published = source == "published"
    found = published_claims() if published else study_claims(load_study(Path(source)))
    click.echo(render(ledger(source if published else Path(source).name, found), form), nl=False)
