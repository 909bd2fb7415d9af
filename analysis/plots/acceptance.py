"""Where drafts fail: the chance that the i-th drafted token is accepted once all before it were."""

from __future__ import annotations

from matplotlib.figure import Figure

from analysis.decompose import Decomposition
from analysis.plots.style import finish, legend_below, look_of, panels, points, whole_numbers
from analysis.plots.subject import Subject
from analysis.summary import label


def longest(subject: Subject) -> list[Decomposition]:
    """Of each suite, target and draft the configuration with the largest γ: it shows the most positions."""
    best: dict[tuple[str, str, str], Decomposition] = {}
    for one in sorted(subject.explained, key=lambda one: one.configuration.gamma):
        configuration = one.configuration
        best[configuration.suite, configuration.target, configuration.draft] = one
    return [one for one in subject.explained if one in best.values()]


def positions_figure(subject: Subject) -> Figure | None:
    """A panel per target, a line per draft; None without SD runs."""
    shown = [one for one in longest(subject) if one.acceptance.positions]
    targets = list(dict.fromkeys(one.configuration.target for one in shown))
    if not targets:
        return None
    figure, axes = panels(len(targets), height_inches=2.6)
    for axis, target in zip(axes, targets, strict=True):
        for one in (one for one in shown if one.configuration.target == target):
            places = one.acceptance.positions
            draft = one.configuration.draft
            points(
                axis, [place.position for place in places], [place.rate for place in places],
                label=label(draft), **look_of(subject.drafts.index(draft)),
            )  # fmt: skip
        axis.set(title=label(target), xlabel="Position in the draft", ylabel="Accepted, given all before")
        finish(axis)
        whole_numbers(axis)
    axes[0].set_ylim(0, 1.02)
    legend_below(figure, axes[0])
    return figure
