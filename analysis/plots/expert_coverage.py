"""Distinct experts that n tokens touch, beside what independent, uniform routing would give."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.experiments.routing import SOURCES, routing_document
from analysis.plots.style import QUIET, finish, legend_below, look_of, panels
from analysis.plots.subject import Subject
from analysis.render import Row
from runner.errors import DataError


def coverage_figure(subject: Subject) -> Figure | None:
    """A panel per target, a line per source of tokens; None where no routing was recorded."""
    try:
        rows = routing_document(subject.folder).tables[0].rows
    except DataError:
        return None
    targets = list(dict.fromkeys(str(row["target"]) for row in rows))
    if not targets:
        return None
    figure, axes = panels(len(targets))
    for axis, target in zip(axes, targets, strict=True):
        _draw(axis, [row for row in rows if row["target"] == target])
        axis.set(title=target, xlabel="Tokens in one pass (n)", ylabel="Distinct experts per layer")
        finish(axis)
    legend_below(figure, axes[0], columns=4)
    return figure


def _draw(axis: Axes, rows: list[Row]) -> None:
    uniform = _line(rows, "uniform")
    axis.plot(*uniform, color=QUIET, linestyle="--", label="N(t), uniform routing")
    for place, source in enumerate(SOURCES):
        tokens, distinct = _line(rows, source)
        if tokens:
            axis.plot(tokens, distinct, label=f"{source} tokens", **look_of(place))


def _line(rows: list[Row], key: str) -> tuple[list[float], list[float]]:
    known = [(row["n_tokens"], row[key]) for row in rows if key in row]
    pairs = [(float(x), float(y)) for x, y in known if isinstance(x, int | float) and isinstance(y, int | float)]
    return [x for x, _ in pairs], [y for _, y in pairs]
