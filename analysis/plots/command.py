"""`python -m analysis plots`: every figure that a study has the runs for, as files named by content."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
from matplotlib.figure import Figure

from analysis.figures import FORMATS, FigureFormat, figure_bytes, write_whole
from analysis.plots.catalogue import PUBLISHED_PLOTS, STUDY_PLOTS, drawn, drawn_published
from analysis.plots.subject import subject_of
from runner.errors import UsageError

PUBLISHED = "published"


@click.command()
@click.argument("source")
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="Folder; made if missing.")
@click.option(
    "--format", "form", type=click.Choice(FORMATS), default="svg", show_default=True, help="Kind of file."
)
def plots(source: str, out: Path, form: FigureFormat) -> None:
    """Write the figures of SOURCE, a study's folder or `published`, into a folder.

    Figures that need other suites are named at the end.
    """
    missing = []
    for name, figure in _figures(source):
        if figure is None:
            missing.append(name)
        else:
            _make(out)
            write_whole(out / f"{name}.{form}", figure_bytes(figure, form))
            click.echo(f"{out / name}.{form}")
    if missing:
        click.echo(f"not drawn, the study lacks the runs: {', '.join(missing)}", err=True)


def _figures(source: str) -> Iterator[tuple[str, Figure | None]]:
    if source == PUBLISHED:
        yield from ((plot.name, drawn_published(plot)) for plot in PUBLISHED_PLOTS)
        return
    subject = subject_of(Path(source))
    yield from ((plot.name, drawn(plot, subject)) for plot in STUDY_PLOTS)


def _make(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{out}: cannot be made a folder ({error.strerror}); name another with -o") from None
