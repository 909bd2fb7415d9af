"""Every figure by name: what it shows, what it says to who cannot see it, and how it is drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.figure import Figure

from analysis.plots.acceptance import positions_figure
from analysis.plots.contributions import contributions_figure
from analysis.plots.expert_coverage import coverage_figure
from analysis.plots.histogram import histogram_figure
from analysis.plots.moesd import moesd_figure
from analysis.plots.oracle import oracle_figure
from analysis.plots.phantom import phantom_figure
from analysis.plots.prompt_length import prompt_length_figure
from analysis.plots.published import beside_figure, bounds_figure
from analysis.plots.rollback import rollback_figure
from analysis.plots.speedup import speedup_figure
from analysis.plots.style import styled
from analysis.plots.subject import Subject
from analysis.plots.throughput import throughput_figure
from analysis.plots.tpot import notebook_tpot_figure, tpot_figure
from analysis.plots.verify_cost import verify_cost_figure


@dataclass(frozen=True)
class Plot:
    """One figure. `draw` returns None where its runs are missing; `name` is also the file's name."""

    name: str
    title: str
    alt: str
    draw: Callable[[Subject], Figure | None]


@dataclass(frozen=True)
class PublishedPlot:
    """A figure of published numbers: it needs no study."""

    name: str
    title: str
    alt: str
    draw: Callable[[], Figure]


STUDY_PLOTS: tuple[Plot, ...] = (
    Plot(
        "contributions", "What each cause contributes to ln S",
        "Stacked bars, one per configuration: the width of a cycle and drafting pull below zero, amortization "
        "and acceptance push above; a diamond with its interval marks the sum, ln S. The table below has the "
        "figures.", contributions_figure,
    ),
    Plot(
        "verify-cost", "What verifying n tokens in one pass costs",
        "One panel per target: the measured verify ratio over the number of tokens verified, with intervals, "
        "a dashed line for the bytes that the pass reads, and a dotted line for the bandwidth limit.",
        verify_cost_figure,
    ),
    Plot(
        "expert-coverage", "Distinct experts that n tokens touch",
        "One panel per target: mean distinct experts per layer over the number of tokens, for real, drafted and "
        "shuffled tokens, and a dashed line for uniform routing.", coverage_figure,
    ),
    Plot(
        "acceptance-by-position", "Acceptance by position in the draft",
        "One panel per target: the chance that the i-th drafted token is accepted given that all before it "
        "were, a line per draft, with intervals.", positions_figure,
    ),
    Plot(
        "accepted-per-cycle", "Tokens accepted in a cycle",
        "One panel per pair: bars for the share of cycles by accepted tokens, dots for what one chance per "
        "token would give.", histogram_figure,
    ),
    Plot(
        "speedup-over-gamma", "Speedup over γ",
        "One panel per target: speedup over the number of drafted tokens, a line per draft, with intervals; "
        "a dashed line at 1 marks no effect.", speedup_figure,
    ),
    Plot(
        "throughput", "Throughput, plain and speculative",
        "One row per target: tokens per second of plain decoding and of the best speculative configuration, "
        "with intervals.", throughput_figure,
    ),
    Plot(
        "prompt-length", "Throughput and speedup over prompt length",
        "Two panels: tokens per second with and without speculation, and the speedup, over the length of the "
        "prompt, with intervals.", prompt_length_figure,
    ),
    Plot(
        "time-per-output-token", "Time per output token over K",
        "One panel per pair: expected and observed milliseconds per output token over the number of drafted "
        "tokens; a ring marks the least of each.", tpot_figure,
    ),
    Plot(
        "oracle-plane", "Speedup against acceptance that was set, not found",
        "One panel per target: speedup over the acceptance of oracle drafts, a line per γ, drafting free and "
        "charged.", oracle_figure,
    ),
    Plot(
        "rollback-cost", "What taking rejected tokens back costs",
        "One panel per target: time per cycle for marking and rolling back, in units of the baseline's time per "
        "token, over the number of drafted tokens, a line per rollback strategy, with intervals.",
        rollback_figure,
    ),
    Plot(
        "phantom-beside-honest", "Runs that check nothing beside honest ones",
        "One row per target and γ: the speedup that an unchecked loop shows, and the honest one, with intervals.",
        phantom_figure,
    ),
    Plot(
        "published-beside-study", "Published speedups beside this study",
        "One row per configuration: the published speedup and the one measured here with its interval.",
        beside_figure,
    ),
)  # fmt: skip

PUBLISHED_PLOTS: tuple[PublishedPlot, ...] = (
    PublishedPlot(
        "published-bounds", "Published speedups and what their own figures allow",
        "One row per published configuration: the claimed speedup, the most that its acceptance allows with "
        "free drafting, and the most with the draft passes that the same source timed. Every claim "
        "lies far right of the last of these.", bounds_figure,
    ),
    PublishedPlot(
        "time-per-output-token-notebook", "Time per output token over K: the published notes recomputed",
        "Expected and observed milliseconds per output token over the number of drafted tokens; a ring marks "
        "the least of each.", notebook_tpot_figure,
    ),
    PublishedPlot(
        "moesd", "MoESD: speedup over batch size, measured points and fitted model",
        "A grid of panels, experts per token downwards and γ across: digitised points of the paper and the "
        "fitted curve with its interval.", moesd_figure,
    ),
)  # fmt: skip


def drawn(plot: Plot, subject: Subject) -> Figure | None:
    """The figure in the common style; None where its runs are missing."""
    with styled():
        return plot.draw(subject)


def drawn_published(plot: PublishedPlot) -> Figure:
    """The figure in the common style."""
    with styled():
        return plot.draw()
