"""Throughput over the prompt's length, with and without speculation."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.plots.style import BLUE, VERMILION, legend_below, new_figure, no_effect, points
from analysis.plots.subject import Subject
from analysis.render import Row
from analysis.stats import Estimate
from analysis.summary import sweep_rows


def prompt_length_figure(subject: Subject) -> Figure | None:
    """Tokens per second on the left, speedup on the right; None where the sweep was not run."""
    rows = [row for row in sweep_rows(subject.study, subject.found) if isinstance(row["speedup"], Estimate)]
    if not rows:
        return None
    figure = new_figure()
    left, right = figure.subplots(1, 2)
    _line(left, rows, "baseline_tok_s", color=BLUE, marker="o", label="plain decoding")
    _line(left, rows, "tok_s", color=VERMILION, marker="s", label=f"speculative, γ {rows[0]['gamma']}")
    left.set(ylabel="Tokens per second", title="Throughput", ylim=(0, None))
    _line(right, rows, "speedup", color=VERMILION, marker="s")
    no_effect(right)
    right.set(ylabel="Speedup S", title="Speedup")
    lengths = sorted({row["n_prompt_tokens"] for row in rows if isinstance(row["n_prompt_tokens"], int)})
    for axis in (left, right):
        axis.set_xscale("log", base=2)
        axis.set_xticks(lengths, [str(length) for length in lengths])
        axis.minorticks_off()
        axis.set_xlabel("Prompt length, tokens")
    legend_below(figure, left)
    return figure


def _line(axis: Axes, rows: list[Row], key: str, **look: object) -> None:
    drawn = [
        (float(length), estimate)
        for row in rows
        if isinstance(estimate := row.get(key), Estimate) and isinstance(length := row["n_prompt_tokens"], int)
    ]
    points(axis, [length for length, _ in drawn], [estimate for _, estimate in drawn], **look)
