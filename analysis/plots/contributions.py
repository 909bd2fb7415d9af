"""What each cause contributes to ln S: stacked to both sides of zero, the sum marked with its interval."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.decompose import Decomposition
from analysis.plots.style import BLUE, GREEN, INK, ORANGE, QUIET, VERMILION, bars, legend_below, new_figure
from analysis.plots.subject import Subject, pair_label
from analysis.stats import Estimate, means

PARTS = (
    ("width", "Width -ln(γ+1)", VERMILION),
    ("amortization", "Amortization", BLUE),
    ("acceptance", "Acceptance", GREEN),
    ("drafting", "Drafting + overhead", ORANGE),
)
ROW_INCHES = 0.27


def contributions_figure(subject: Subject) -> Figure | None:
    """One bar per configuration, MoE above the dense controls; None where nothing can be explained."""
    rows = [one for one in subject.explained if one.contributions]
    if not rows:
        return None
    figure = new_figure(1.1 + ROW_INCHES * len(rows))
    axis = figure.subplots()
    for place, one in enumerate(rows):
        _stack(axis, place, one)
    bars(axis, list(range(len(rows))), [_sum(one) for one in rows], color=INK, marker="D", markersize=4.5,
         markeredgecolor="white", markeredgewidth=0.6,
         label="Sum = ln S")  # fmt: skip
    axis.axvline(0, color=QUIET, linewidth=1.0)
    axis.set_yticks(range(len(rows)), [_name(one) for one in rows])
    axis.invert_yaxis()
    axis.grid(visible=False, axis="y")
    axis.set_xlabel("Contribution to ln S (above 0: faster)")
    legend_below(figure, axis)
    return figure


def _stack(axis: Axes, place: int, one: Decomposition) -> None:
    ends = {True: 0.0, False: 0.0}
    for key, name, colour in PARTS:
        value = one.contributions[key].point
        axis.barh(
            place, value, left=ends[value > 0], height=0.62, color=colour, label=name if place == 0 else None
        )
        ends[value > 0] += value


def _sum(one: Decomposition) -> Estimate:
    """ln S with its interval: the mean that the parts sum to."""
    return means(np.log(one.configuration.column("identity")), one.configuration.prompts)


def _name(one: Decomposition) -> str:
    configuration = one.configuration
    return f"{pair_label(configuration.target, configuration.draft)}, γ {configuration.gamma}"
