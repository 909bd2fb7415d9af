"""Tokens per second: plain decoding, and the best that speculation reached beside it."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from analysis.configurations import Configuration
from analysis.plots.style import BLUE, VERMILION, bars, legend_below, new_figure
from analysis.plots.subject import Subject
from analysis.stats import Estimate, ratios
from analysis.summary import baseline_rows, label


def throughput_figure(subject: Subject) -> Figure | None:
    """A row per target: its paired baseline and its best configuration; targets without SD show the baseline."""
    plain = _plain(subject)
    if not plain:
        return None
    best = {target: _best(subject, target) for target in subject.targets}
    figure = new_figure(1.2 + 0.42 * len(plain))
    axis = figure.subplots()
    rows = range(len(plain))
    bars(axis, [row - 0.12 for row in rows], list(plain.values()), color=BLUE, marker="o", label="plain decoding")
    drawn = [(row + 0.12, best[target]) for row, target in enumerate(plain) if target in best]
    speeds = [one.ratio("tok_s") for _, one in drawn]
    bars(axis, [row for row, _ in drawn], [speed for speed in speeds if speed], color=VERMILION, marker="s",
         label="speculative, best γ and draft")  # fmt: skip
    axis.set_yticks(rows, [label(target) for target in plain])
    axis.set_ylim(len(plain) - 0.5, -0.5)
    axis.set_xlim(left=0)
    axis.set_xlabel("Tokens per second (higher is better)")
    legend_below(figure, axis)
    return figure


def _plain(subject: Subject) -> dict[str, Estimate]:
    """Plain tok/s by target: of the same comparisons where there are any, else of the baseline suites."""
    found = {
        str(row["role"]): row["tok_s"]
        for row in baseline_rows(subject.study)
        if isinstance(row["tok_s"], Estimate)
    }
    for target in subject.targets:
        best = _best(subject, target)
        found[target] = ratios(np.log(1e3 / best.column("t1_ms")), best.prompts)
    return found


def _best(subject: Subject, target: str) -> Configuration:
    mine = [one for one in subject.main if one.target == target]
    return max(mine, key=lambda one: estimate.point if (estimate := one.ratio("speedup")) else 0.0)
