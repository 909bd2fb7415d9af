"""The published speedups: beside what their own figures allow, and beside what a study measured."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.audit.evidence import Row
from analysis.audit.from_published import published_evidence
from analysis.audit.physics import least_cycle_ms
from analysis.configurations import Configuration
from analysis.plots.style import BLUE, GREEN, QUIET, VERMILION, bars, legend_below, new_figure
from analysis.plots.subject import Subject, pair_label
from analysis.published import SpeculativeRow, published_study

ROW_INCHES = 0.27


def bounds_figure() -> Figure:
    """Claimed speedup, and the most that printed acceptance and draft speed leave room for."""
    rows = published_evidence().rows
    figure = new_figure(1.2 + ROW_INCHES * len(rows))
    axis = figure.subplots()
    places = range(len(rows))
    axis.plot([row.speedup.value for row in rows], places, "s", color=VERMILION, label="claimed")
    axis.plot([row.tau.value for row in rows], places, "|", color=BLUE, markersize=11, markeredgewidth=2,
              label="at most, if drafting were free")  # fmt: skip
    axis.plot([_ceiling(row) for row in rows], places, "o", color=GREEN, label="at most, with its draft passes")
    _label_rows(axis, [pair_label(row.target, row.draft) + f", γ {row.gamma}" for row in rows])
    legend_below(figure, axis)
    return figure


def beside_figure(subject: Subject) -> Figure | None:
    """Published and measured speedup of the configurations that both have; None where they share none."""
    here: dict[tuple[str, str, int], Configuration] = {
        (one.target, one.draft, one.gamma): one for one in subject.main
    }
    shared = [row for row in published_study().distinct_rows() if row.configuration in here]
    if not shared:
        return None
    figure = new_figure(1.2 + ROW_INCHES * len(shared))
    axis = figure.subplots()
    places = list(range(len(shared)))
    axis.plot([row.speedup for row in shared], places, "s", color=VERMILION, label="published")
    speeds = [here[row.configuration].ratio("speedup") for row in shared]
    bars(axis, places, [speed for speed in speeds if speed], color=BLUE, marker="o", label="this study")
    _label_rows(axis, [_name(row) for row in shared])
    legend_below(figure, axis)
    return figure


def _ceiling(row: Row) -> float:
    """S if every cycle took no longer than one target pass and its draft passes."""
    return row.tau.value * row.t1_ms.value / least_cycle_ms(row)[1]


def _name(row: SpeculativeRow) -> str:
    return f"{pair_label(row.target, row.draft)}, γ {row.gamma}"


def _label_rows(axis: Axes, names: Sequence[str]) -> None:
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.axvline(1.0, color=QUIET, linewidth=1.0, linestyle="--", zorder=1)
    axis.set_xlim(left=0)
    axis.set_xlabel("Speedup S")
