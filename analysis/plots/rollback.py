"""What taking rejected tokens back costs per cycle, by γ, beside what kept snapshots cost inside the pass."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.experiments.rollback import rollback_document
from analysis.plots.style import finish, legend_below, look_of, panels, points, whole_numbers
from analysis.plots.subject import Subject
from analysis.render import Row
from analysis.stats import Estimate
from analysis.summary import label
from runner.errors import DataError

STRATEGIES = ("trim", "snapshots", "checkpoint")


def rollback_figure(subject: Subject) -> Figure | None:
    """A panel per target, a line per strategy; None where no rollback was forced."""
    try:
        rows = rollback_document(subject.study).tables[0].rows
    except DataError:
        return None
    targets = list(dict.fromkeys(str(row["target"]) for row in rows))
    figure, axes = panels(len(targets))
    for axis, target in zip(axes, targets, strict=True):
        _draw(axis, [row for row in rows if row["target"] == target])
        axis.set(title=label(target), xlabel="Drafted tokens γ", ylabel="Rollback per cycle, in t₁")
        finish(axis)
        whole_numbers(axis)
    axes[0].set_ylim(bottom=0)
    legend_below(figure, axes[0], columns=len(STRATEGIES))
    return figure


def _draw(axis: Axes, rows: Sequence[Row]) -> None:
    for place, strategy in enumerate(STRATEGIES):
        mine = [row for row in rows if row["rollback"] == strategy]
        known = [(row["gamma"], row["share"]) for row in mine]
        drawn = [(float(str(gamma)), share) for gamma, share in known if isinstance(share, Estimate)]
        if drawn:
            points(
                axis, [gamma for gamma, _ in drawn], [share for _, share in drawn], label=strategy,
                **look_of(place),
            )  # fmt: skip
