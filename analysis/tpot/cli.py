"""`python -m analysis tpot`."""

from __future__ import annotations

from pathlib import Path

import click

from analysis.figures import check_figure_path, save_figure
from analysis.load import load_study
from analysis.published import tpot_notebook
from analysis.render import FORMATS, Format, render
from analysis.tpot.notebook import implied, pair_of
from analysis.tpot.plots import Curves, notebook_curves, study_curves, tpot_figure
from analysis.tpot.study import configurations
from analysis.tpot.tables import notebook_document, study_document

PUBLISHED = "published"


@click.command()
@click.argument("study")
@click.option(
    "--plot", type=click.Path(path_type=Path), help="Write expected and current time over γ: .svg, .png or .pdf."
)
@click.option(
    "--format", "form", type=click.Choice(FORMATS), default="md", show_default=True, help="How to print."
)
def tpot(study: str, plot: Path | None, form: Format) -> None:
    """Time per output token: expected, observed, implied draft time, best γ.

    STUDY is a study's folder, or `published` for the notes of seed 001, recomputed figure by figure.
    """
    if plot is not None:
        check_figure_path(plot)
    text, panels = _published(form) if study == PUBLISHED else _study(Path(study), form)
    if plot is not None:
        save_figure(tpot_figure(panels), plot)
    click.echo(text, nl=False)


def _published(form: Format) -> tuple[str, tuple[Curves, ...]]:
    notes = tpot_notebook()
    curves = notebook_curves(pair_of(notes), notes.constants.draft_tpot_ms, implied(notes))
    return render(notebook_document(notes), form), (curves,)


def _study(path: Path, form: Format) -> tuple[str, tuple[Curves, ...]]:
    study = load_study(path)
    rows = configurations(study)
    return render(study_document(study, rows), form), study_curves(rows)
