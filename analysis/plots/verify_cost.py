"""What one pass over n tokens costs, beside what its memory traffic alone would cost.

Coverage: a pass over n tokens of a mixture reads its shared weights once and N(n) experts per layer (MoESD,
arXiv 2505.19645, Eq. 6-8; independent and uniform routing, so an upper bound for real routers). The expert bytes
follow from two facts of the file: with s the shared and x the expert bytes, s + x = file and s + x·K/E = bytes
that one token reads. Bandwidth limit: the same bytes at the machine's bandwidth, in units of t₁.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.configurations import Configuration
from analysis.experiments.verify_cost import CostCurve, cost_curves
from analysis.load import FloatArray, Study
from analysis.moesd.theory import experts_loaded
from analysis.plots.style import MARKERS, QUIET, SERIES, finish, legend_below, panels, points, whole_numbers
from analysis.plots.subject import Subject
from analysis.stats import Estimate, means
from analysis.summary import label
from runner.drafter_names import SWEEP
from runner.record import MachineFacts, ModelFacts


def verify_cost_figure(subject: Subject) -> Figure | None:
    """A panel per target: v measured, what reading predicts, and the bandwidth limit. None without SD runs."""
    curves = cost_curves(subject.study)
    shown = [one for one in subject.found if one.draft == SWEEP and len(one.pairs)] or subject.main
    targets = list(dict.fromkeys(one.target for one in shown))
    if not targets:
        return None
    figure, axes = panels(len(targets))
    for place, (axis, target) in enumerate(zip(axes, targets, strict=True)):
        _draw(axis, subject.study, [one for one in shown if one.target == target], curves.get(target), place)
    for axis in axes:
        axis.set(xlabel="Tokens verified in one pass (n)", ylabel="Verify ratio v(n), in t₁")
        finish(axis)
        whole_numbers(axis)
    axes[0].set_ylim(bottom=0)
    legend_below(figure, axes[0], columns=2)
    return figure


def _costs(curve: CostCurve | None, mine: Sequence[Configuration]) -> dict[float, Estimate]:
    """v by tokens verified in one pass: every size that was swept, else one point per configuration."""
    if curve is not None:
        return {float(size): curve.estimate(size) for size in sorted(curve.samples)}
    return {_mean_size(one): means(one.column("v"), one.prompts) for one in mine}


def _mean_size(one: Configuration) -> float:
    return float(np.mean(1 + one.column("drafted_tokens") / one.column("n_cycles")))


def _draw(axis: Axes, study: Study, mine: Sequence[Configuration], curve: CostCurve | None, place: int) -> None:
    facts, machine = study.model(mine[0].target), study.manifest.machine
    measured = _costs(curve, mine)
    n = np.arange(1.0, max(measured, default=1) + 1.5)
    read = bytes_read(facts, n)
    points(axis, list(measured), list(measured.values()), color=SERIES[place % len(SERIES)],
           marker=MARKERS[place % len(MARKERS)], linestyle="none", label="measured")  # fmt: skip
    axis.plot(n, read / read[0], color=QUIET, linestyle="--", label="bytes read, n tokens over one")
    limit = _limit(mine, machine, read)
    if limit is not None:
        axis.plot(n, limit, color=QUIET, linestyle=":", label="bandwidth limit")
    axis.set_title(label(facts.role))


def bytes_read(facts: ModelFacts, tokens: FloatArray) -> FloatArray:
    """Weight bytes that one pass over each number of tokens reads; shape (n,)."""
    if not facts.n_experts or facts.n_experts_used >= facts.n_experts:
        return np.full(len(tokens), float(facts.bytes_per_token))
    unused = 1 - facts.n_experts_used / facts.n_experts
    experts = max(0.0, facts.size_bytes - facts.bytes_per_token) / unused
    shared = facts.bytes_per_token - experts * (1 - unused)
    loaded = experts_loaded(tokens, facts.n_experts, facts.n_experts_used) / facts.n_experts
    return np.asarray(shared + experts * loaded, dtype=np.float64)


def _limit(mine: Sequence[Configuration], machine: MachineFacts, read: FloatArray) -> FloatArray | None:
    bandwidth = machine.nominal_bandwidth_bytes_per_s or machine.measured_bandwidth_bytes_per_s
    if bandwidth is None:
        return None
    t1_ms = float(np.mean(np.concatenate([one.column("t1_ms") for one in mine])))
    return np.asarray(read / bandwidth * 1e3 / t1_ms, dtype=np.float64)
