"""Time per output token over γ: what drafting should have brought, and what it brought."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.plots.style import BLUE, VERMILION, finish, legend_below, panels
from analysis.plots.subject import Subject, pair_label
from analysis.published import tpot_notebook
from analysis.tpot.model import best_of
from analysis.tpot.notebook import implied, pair_of
from analysis.tpot.plots import Curves, notebook_curves
from analysis.tpot.study import by_pair, configurations


def tpot_figure(subject: Subject) -> Figure | None:
    """A panel per pair of the main matrix; None without SD runs."""
    suites = {one.suite for one in subject.main}
    if not suites:
        return None
    groups = by_pair(tuple(row for row in configurations(subject.study) if row.suite in suites))
    return _figure(
        [
            Curves(
                pair_label(group[0].target, group[0].draft), tuple(row.gamma for row in group),
                tuple(row.expected_tpot_ms for row in group), tuple(row.tpot_ms.point for row in group),
            )
            for group in groups
        ]
    )  # fmt: skip


def notebook_tpot_figure() -> Figure:
    """Seed 001's own figure, recomputed."""
    notes = tpot_notebook()
    return _figure([notebook_curves(pair_of(notes), notes.constants.draft_tpot_ms, implied(notes))])


def _figure(curves: Sequence[Curves]) -> Figure:
    figure, axes = panels(len(curves), height_inches=2.5)
    for axis, one in zip(axes, curves, strict=True):
        _draw(axis, one)
    axes[0].set_ylim(0, 1.1 * max(max(one.expected_ms + one.current_ms) for one in curves))
    legend_below(figure, axes[0])
    return figure


def _draw(axis: Axes, curves: Curves) -> None:
    looks = (
        ("expected, no overhead", curves.expected_ms, BLUE, "o"),
        ("observed", curves.current_ms, VERMILION, "s"),
    )
    for name, times, colour, marker in looks:
        best = best_of(curves.gammas, times)
        axis.plot(curves.gammas, times, marker=marker, color=colour, label=name)
        axis.plot(best.gamma, min(times), "o", markersize=12, markerfacecolor="none", markeredgecolor=colour)
    axis.set(title=curves.title, xlabel="Tokens drafted per cycle (γ, K)", ylabel="ms per output token")
    axis.set_xticks(curves.gammas)
    finish(axis)
