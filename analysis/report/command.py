"""`python -m analysis report`: one self-contained page."""

from __future__ import annotations

from pathlib import Path

import click

from analysis.report.build import published_page, study_page
from analysis.report.page import write_page
from runner.errors import UsageError

PUBLISHED = "published"


@click.command()
@click.argument("source")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), required=True, help="The page to write, an .html file."
)
def report(source: str, out: Path) -> None:
    """Write one page about SOURCE, a study's folder or `published`: the verdict, figures, tables, every run.

    The page needs no network and no server; it speaks English and Chinese.
    """
    if not out.parent.is_dir():
        raise UsageError(f"{out}: the folder {out.parent} does not exist; make it first")
    write_page(published_page() if source == PUBLISHED else study_page(Path(source)), out)
    click.echo(str(out))
