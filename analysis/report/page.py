"""Puts a page together: every section's words, figures and tables into one template, one file, no network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from analysis.figures import write_whole
from analysis.plots.catalogue import PUBLISHED_PLOTS, STUDY_PLOTS, Plot, PublishedPlot, drawn, drawn_published
from analysis.plots.subject import Subject
from analysis.render import Table
from analysis.report.answer import Answer
from analysis.report.grid import Grid, grid
from analysis.report.language import Chinese, chinese
from analysis.report.svg import inline_svg
from analysis.report.trust import Trust

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Picture:
    """A figure ready for the page."""

    name: str
    title: str
    markup: Markup


@dataclass(frozen=True)
class Part:
    """A section ready for the page; `suite` is set where it has nothing to show."""

    name: str
    title: str
    intro: str
    pictures: tuple[Picture, ...]
    open_grids: tuple[Grid, ...]
    folded_grids: tuple[Grid, ...]
    suite: str | None


@dataclass(frozen=True)
class Page:
    """Everything that the template needs. `records`: see `analysis.report.runs`; empty without a study."""

    source: str
    subtitle: str
    headline: str
    level: str
    lead: str
    answers: tuple[Answer, ...]
    trust: Trust
    parts: tuple[Part, ...]
    runs: Grid | None = None
    record_of_row: tuple[int, ...] = ()
    records: str = ""
    records_whole: bool = True


def rendered(page: Page) -> str:
    """The page as HTML."""
    language = chinese()
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["tr"] = _translator(language)
    environment.filters["zh"] = language.or_same
    script = (_HERE / "page.js").read_text(encoding="utf-8")
    text = environment.get_template("page.html.j2").render(
        page=page, grids=grid, css=Markup((_HERE / "page.css").read_text(encoding="utf-8")),  # noqa: S704
        script=Markup(script), script_hash=_csp_hash(script),  # noqa: S704 - our own files
    )  # fmt: skip
    return text.rstrip("\n") + "\n"


def write_page(page: Page, out: Path) -> None:
    """Write the page as one HTML file, whole or not at all. Raises StudyError when it cannot be written."""
    write_whole(out, rendered(page).encode("utf-8"))


def part(
    name: str,
    title: str,
    intro: str,
    *,
    shown: Iterable[Picture] = (),
    tables: Sequence[Table] = (),
    n_open: int = 0,
    suite: str = "",
) -> Part:
    """A section with what it has to show; the first `n_open` of its filled tables stand open."""
    found, grids = tuple(shown), tuple(grid(table) for table in tables if table.rows)
    return Part(name, title, intro, found, grids[:n_open], grids[n_open:], None if found or grids else suite)


def pictures(names: Sequence[str], subject: Subject | None) -> tuple[Picture, ...]:
    """The named figures, without those whose runs are missing."""
    language = chinese()
    found = []
    for name in names:
        plot = _PLOTS[name]
        figure = _drawn(plot, subject)
        if figure is not None:
            found.append(Picture(name, plot.title, inline_svg(figure, name, plot.alt, language)))
    return tuple(found)


_ALL_PLOTS: tuple[Plot | PublishedPlot, ...] = (*STUDY_PLOTS, *PUBLISHED_PLOTS)
_PLOTS = {plot.name: plot for plot in _ALL_PLOTS}


def _drawn(plot: Plot | PublishedPlot, subject: Subject | None) -> Figure | None:
    if isinstance(plot, PublishedPlot):
        return drawn_published(plot)
    return drawn(plot, subject) if subject is not None else None


def _translator(language: Chinese) -> Callable[[object], Markup]:
    def translate(value: object) -> Markup:
        """Both languages where there are two, else the text alone; escaped either way."""
        english = str(value)
        other = language.of(english)
        if other is None or other == english:
            return Markup("{}").format(english)
        return Markup('<span lang="en">{}</span><span lang="zh">{}</span>').format(english, other)

    return translate


def _csp_hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
