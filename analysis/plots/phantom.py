"""The phantom beside honest runs: what ignoring refused rollbacks makes of the same models."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.accounting import pairs
from analysis.audit.sources import only_marked
from analysis.plots.style import BLUE, QUIET, VERMILION, bars, legend_below, new_figure
from analysis.plots.subject import Subject
from analysis.stats import Estimate, quotient, ratios
from analysis.summary import label

SUITE = "phantom"


@dataclass(frozen=True)
class Beside:
    """One target and γ measured wrongly on purpose; `honest_*` is None where no honest run stands beside it."""

    target: str
    draft: str
    gamma: int
    phantom_speedup: Estimate
    phantom_alpha: Estimate
    n_runs: int
    n_same_output: int
    """Marked runs whose output was the baseline's all the same."""
    honest_speedup: Estimate | None
    honest_alpha: Estimate | None


def phantoms(subject: Subject) -> tuple[Beside, ...]:
    """Every marked configuration; empty where the study holds no marked run."""
    if subject.study.runs["mark"].isna().all():
        return ()
    marked = pairs(only_marked(subject.study))
    marked = marked[subject.study.runs["mark"].notna().loc[marked.index]]
    return tuple(
        _beside(subject, str(target), str(draft), int(str(gamma)), group)
        for (target, draft, gamma), group in marked.groupby(["target", "pair_draft", "gamma"], sort=True)
    )


def phantom_figure(subject: Subject) -> Figure | None:
    """Two points a row; None where the suite was not run."""
    rows = phantoms(subject)
    if not rows:
        return None
    figure = new_figure(1.2 + 0.4 * len(rows))
    axis = figure.subplots()
    bars(axis, [place + 0.12 for place in range(len(rows))], [row.phantom_speedup for row in rows],
         color=VERMILION, marker="s", label="phantom: nothing checked")  # fmt: skip
    honest = [(place - 0.12, row.honest_speedup) for place, row in enumerate(rows) if row.honest_speedup]
    bars(axis, [y for y, _ in honest], [one for _, one in honest], color=BLUE, marker="o", label="honest")
    axis.axvline(1.0, color=QUIET, linewidth=1.0, linestyle="--")
    axis.set_yticks(range(len(rows)), [f"{label(row.target)}, γ {row.gamma}" for row in rows])
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.set_xlabel("Speedup S")
    legend_below(figure, axis)
    return figure


def _beside(subject: Subject, target: str, draft: str, gamma: int, group: pd.DataFrame) -> Beside:
    prompts = list(group["prompt"])
    honest = [
        one
        for one in subject.found
        if (one.target, one.draft, one.gamma) == (target, draft, gamma) and len(one.pairs)
    ]
    same_suite = [one for one in honest if one.suite == SUITE] or honest
    return Beside(
        target=target, draft=draft, gamma=gamma,
        phantom_speedup=ratios(np.log(group["speedup"].to_numpy(float)), prompts),
        phantom_alpha=quotient(
            group["accepted_tokens"].to_numpy(float), group["drafted_tokens"].to_numpy(float), prompts
        ),
        n_runs=len(group), n_same_output=int((group["verdict"] == "identical").sum()),
        honest_speedup=same_suite[0].ratio("speedup") if same_suite else None,
        honest_alpha=same_suite[0].acceptance() if same_suite else None,
    )  # fmt: skip
