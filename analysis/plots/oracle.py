"""The oracle plane: speedup against acceptance, with drafts whose accuracy was set and not found."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.experiments.oracle import oracle_document
from analysis.plots.style import finish, legend_below, look_of, no_effect, panels, points
from analysis.plots.subject import Subject
from analysis.render import Row
from analysis.stats import Estimate
from analysis.summary import label
from runner.drafter_names import drafter_spec
from runner.errors import DataError


def oracle_figure(subject: Subject) -> Figure | None:
    """A panel per target, a line per γ and kind of oracle; None where the suite was not run."""
    try:
        rows = [row for row in oracle_document(subject.study).tables[0].rows if "expected_tau" in row]
    except DataError:
        return None
    targets = list(dict.fromkeys(str(row["target"]) for row in rows))
    if not targets:
        return None
    figure, axes = panels(len(targets))
    for axis, target in zip(axes, targets, strict=True):
        _draw(axis, [row for row in rows if row["target"] == target])
        no_effect(axis)
        axis.set(title=label(target), xlabel="Acceptance α", ylabel="Speedup S")
        finish(axis)
    legend_below(figure, axes[0])
    return figure


def _draw(axis: Axes, rows: Sequence[Row]) -> None:
    kinds = sorted({(_charged(row), int(str(row["gamma"]))) for row in rows})
    for place, (charged, gamma) in enumerate(kinds):
        same = [row for row in rows if (_charged(row), row["gamma"]) == (charged, gamma)]
        drawn = sorted(_points(same), key=lambda pair: pair[0])
        kind = "drafting charged" if charged else "drafting free"
        points(
            axis, [alpha for alpha, _ in drawn], [speedup for _, speedup in drawn],
            label=f"γ {gamma}, {kind}", linestyle="--" if charged else "-", **look_of(place),
        )  # fmt: skip


def _charged(row: Row) -> bool:
    spec = drafter_spec(str(row["draft"]))
    return spec is not None and spec.charged


def _points(rows: Sequence[Row]) -> list[tuple[float, Estimate]]:
    return [
        (float(alpha), speedup)
        for row in rows
        if isinstance(alpha := row["alpha"], float) and isinstance(speedup := row["speedup"], Estimate)
    ]
