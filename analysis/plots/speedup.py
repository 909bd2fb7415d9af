"""Speedup over γ, a panel per target, a line per draft, intervals as whiskers."""

from __future__ import annotations

from matplotlib.figure import Figure

from analysis.plots.style import finish, legend_below, look_of, no_effect, panels, points
from analysis.plots.subject import Subject, lines
from analysis.summary import label


def speedup_figure(subject: Subject) -> Figure | None:
    """None without SD runs."""
    if not subject.main:
        return None
    figure, axes = panels(len(subject.targets), height_inches=2.7)
    by_target = dict(zip(subject.targets, axes, strict=True))
    for target, draft, found in lines(subject.main):
        speedups = [estimate for one in found if (estimate := one.ratio("speedup"))]
        points(
            by_target[target], [one.gamma for one in found], speedups, label=label(draft),
            **look_of(subject.drafts.index(draft)),
        )  # fmt: skip
    gammas = sorted({one.gamma for one in subject.main})
    for target, axis in by_target.items():
        no_effect(axis)
        axis.set(title=label(target), xlabel="Tokens drafted per cycle (γ)", ylabel="Speedup S")
        axis.set_xticks(gammas)
        finish(axis)
    legend_below(figure, axes[0])
    return figure
