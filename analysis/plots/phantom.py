"""The phantom beside honest runs: what ignoring refused rollbacks makes of the same models."""

from __future__ import annotations

from matplotlib.figure import Figure

from analysis.experiments.phantom import phantom_document, phantom_runs
from analysis.plots.style import BLUE, QUIET, VERMILION, bars, legend_below, new_figure
from analysis.plots.subject import Subject
from analysis.stats import Estimate
from analysis.summary import label


def phantom_figure(subject: Subject) -> Figure | None:
    """Two points a row; None where the suite was not run."""
    if phantom_runs(subject.study).empty:
        return None
    rows = phantom_document(subject.study).tables[0].rows
    figure = new_figure(1.2 + 0.4 * len(rows))
    axis = figure.subplots()
    looks = (
        ("phantom_speedup", 0.12, "phantom: nothing checked", VERMILION, "s"),
        ("honest_speedup", -0.12, "honest", BLUE, "o"),
    )
    for key, offset, name, colour, marker in looks:
        drawn = [(place + offset, row[key]) for place, row in enumerate(rows)]
        known = [(place, one) for place, one in drawn if isinstance(one, Estimate)]
        bars(
            axis,
            [place for place, _ in known],
            [one for _, one in known],
            color=colour,
            marker=marker,
            label=name,
        )
    axis.axvline(1.0, color=QUIET, linewidth=1.0, linestyle="--")
    axis.set_yticks(range(len(rows)), [f"{label(str(row['target']))}, γ {row['gamma']}" for row in rows])
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.set_xlabel("Speedup S")
    legend_below(figure, axis)
    return figure
