"""How every figure looks: colours that colour-blind readers tell apart, a width that fits a column, quiet axes.

Colours: Okabe and Ito's palette. A page may swap each for its own (dark mode), so they are named here once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.stats import Estimate

INK, QUIET, GRID = "#1b1f24", "#6a737d", "#dde1e6"
BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9"
SERIES = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
MARKERS = ("o", "s", "^", "D", "v", "P")
COLUMN_INCHES = 6.6
PANEL_HEIGHT_INCHES = 2.9

_RC: Any = {
    "font.family": "DejaVu Sans", "font.size": 9.0, "axes.titlesize": 9.5, "axes.titlelocation": "left",
    "axes.titleweight": "bold", "axes.labelsize": 9.0, "axes.labelcolor": INK, "axes.edgecolor": QUIET,
    "axes.linewidth": 0.8, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
    "axes.axisbelow": True, "grid.color": GRID, "grid.linewidth": 0.7, "text.color": INK, "xtick.color": QUIET,
    "ytick.color": QUIET, "xtick.labelcolor": INK, "ytick.labelcolor": INK, "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5, "legend.frameon": False, "legend.fontsize": 8.5, "lines.linewidth": 1.6,
    "lines.markersize": 5.0, "figure.facecolor": "white", "text.parse_math": False,
    "axes.unicode_minus": True,
}  # fmt: skip


@contextmanager
def styled() -> Iterator[None]:
    """All figures are drawn within it. Names from data never count as mathematics."""
    with mpl.rc_context(_RC):
        yield


def new_figure(height_inches: float = PANEL_HEIGHT_INCHES) -> Figure:
    """An empty figure of a column's width."""
    return Figure(figsize=(COLUMN_INCHES, height_inches), layout="constrained")


def panels(
    n_panels: int, across: int = 2, *, height_inches: float = PANEL_HEIGHT_INCHES
) -> tuple[Figure, list[Axes]]:
    """A figure with `n_panels` axes that share both scales, at most `across` side by side."""
    across = min(across, n_panels)
    down = -(-n_panels // across)
    figure = new_figure(height_inches * down)
    axes = list(figure.subplots(down, across, squeeze=False, sharex=True, sharey=True).flat)
    for spare in axes[n_panels:]:
        spare.set_visible(False)
    for axis in axes[:n_panels]:
        axis.tick_params(labelbottom=True)
    return figure, axes[:n_panels]


def points(axis: Axes, x: Sequence[float], estimates: Sequence[Estimate], **look: Any) -> None:
    """Points with their intervals as whiskers."""
    y = [one.point for one in estimates]
    axis.errorbar(x, y, yerr=_whiskers(estimates), capsize=2.5, elinewidth=1.1, **look)


def bars(axis: Axes, y: Sequence[float], estimates: Sequence[Estimate], **look: Any) -> None:
    """Horizontal points with their intervals as whiskers."""
    x = [one.point for one in estimates]
    axis.errorbar(x, y, xerr=_whiskers(estimates), capsize=2.5, elinewidth=1.1, linestyle="none", **look)


def look_of(place: int) -> dict[str, Any]:
    """Colour and marker of the series at `place`: never colour alone."""
    return {"color": SERIES[place % len(SERIES)], "marker": MARKERS[place % len(MARKERS)]}


def whole_numbers(axis: Axes) -> None:
    """Ticks of a horizontal axis that counts."""
    axis.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))


def finish(axis: Axes) -> None:
    """Labels on the outer panels only, but numbers under every one."""
    axis.label_outer()
    axis.tick_params(labelbottom=True)


def no_effect(axis: Axes, value: float = 1.0) -> None:
    """The line at which speculation changes nothing."""
    axis.axhline(value, color=QUIET, linewidth=1.0, linestyle="--", zorder=1)


def legend_below(figure: Figure, axis: Axes, columns: int = 3) -> None:
    """One legend for all panels, under them."""
    handles, labels = axis.get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=columns)


def _whiskers(estimates: Sequence[Estimate]) -> list[list[float]]:
    """Distances below and above the points; none where an interval could not be had."""
    below = [max(0.0, one.point - one.low) if one.low == one.low else 0.0 for one in estimates]
    above = [max(0.0, one.high - one.point) if one.high == one.high else 0.0 for one in estimates]
    return [below, above]
