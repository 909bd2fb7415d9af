"""The oracle plane: speedup against acceptance, with drafts whose accuracy was set and not found."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.configurations import Configuration
from analysis.plots.style import finish, legend_below, look_of, no_effect, panels, points
from analysis.plots.subject import Subject
from analysis.summary import label

SUITE = "oracle"
CHARGED = "-charged"
"""Oracles of that ending pay what a draft model would have cost."""


def oracle_figure(subject: Subject) -> Figure | None:
    """A panel per target, a line per γ and kind of oracle; None where the suite was not run."""
    shown = oracles(subject)
    targets = list(dict.fromkeys(one.target for one in shown))
    if not targets:
        return None
    figure, axes = panels(len(targets))
    for axis, target in zip(axes, targets, strict=True):
        _draw(axis, [one for one in shown if one.target == target])
        no_effect(axis)
        axis.set(title=label(target), xlabel="Acceptance α", ylabel="Speedup S")
        finish(axis)
    legend_below(figure, axes[0])
    return figure


def oracles(subject: Subject) -> list[Configuration]:
    """Configurations that an oracle drafted, with runs to average."""
    return [one for one in subject.found if one.draft.startswith(SUITE) and len(one.pairs)]


def _draw(axis: Axes, shown: Sequence[Configuration]) -> None:
    kinds = sorted({(one.draft.endswith(CHARGED), one.gamma) for one in shown})
    for place, (charged, gamma) in enumerate(kinds):
        same = [one for one in shown if (one.draft.endswith(CHARGED), one.gamma) == (charged, gamma)]
        drawn = [
            (alpha.point, speedup)
            for one in same
            if (alpha := one.acceptance()) is not None and (speedup := one.ratio("speedup")) is not None
        ]
        drawn.sort(key=lambda pair: pair[0])
        kind = "drafting charged" if charged else "drafting free"
        points(
            axis, [alpha for alpha, _ in drawn], [speedup for _, speedup in drawn],
            label=f"γ {gamma}, {kind}", linestyle="--" if charged else "-", **look_of(place),
        )  # fmt: skip
