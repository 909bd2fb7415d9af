"""How many tokens a cycle accepts, beside what one chance per token would give."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.acceptance import expected_shares
from analysis.decompose import Decomposition
from analysis.plots.acceptance import longest
from analysis.plots.style import BLUE, VERMILION, finish, legend_below, panels, whole_numbers
from analysis.plots.subject import Subject, pair_label


def histogram_figure(subject: Subject) -> Figure | None:
    """A panel per pair, at its largest γ; None without SD runs."""
    shown = [one for one in longest(subject) if sum(one.acceptance.histogram)]
    if not shown:
        return None
    figure, axes = panels(len(shown), height_inches=2.3)
    for axis, one in zip(axes, shown, strict=True):
        _draw(axis, one)
    legend_below(figure, axes[0])
    return figure


def _draw(axis: Axes, one: Decomposition) -> None:
    counts = np.array(one.acceptance.histogram, dtype=float)
    accepted = np.arange(len(counts))
    axis.bar(accepted, counts / counts.sum(), color=BLUE, width=0.8, label="measured")
    fit = one.acceptance.geometric
    if fit is not None and np.isfinite(fit.agreement.point):
        shares = expected_shares(fit.agreement.point, one.configuration.gamma)
        axis.plot(accepted, shares, "o", color=VERMILION, markersize=3.5, label="one chance per token")
    configuration = one.configuration
    axis.set(
        title=f"{pair_label(configuration.target, configuration.draft)}, γ {configuration.gamma}",
        xlabel="Tokens accepted in a cycle", ylabel="Share of cycles",
    )  # fmt: skip
    finish(axis)
    whole_numbers(axis)
