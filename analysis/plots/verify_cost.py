"""What one pass over n tokens costs, beside what its memory traffic alone would cost.

Coverage: a pass over n tokens of a mixture reads its shared weights once and N(n) experts per layer (MoESD,
arXiv 2505.19645, Eq. 6-8; independent and uniform routing, so an upper bound for real routers). The expert bytes
follow from two facts of the file: with s the shared and x the expert bytes, s + x = file and s + x·K/E = bytes
that one token reads. Bandwidth limit: the same bytes at the machine's bandwidth, in units of t₁.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.configurations import Configuration
from analysis.experiments.verify_cost import cost_curves_by_gamma, fitting_curve
from analysis.load import FloatArray, Study
from analysis.moesd.theory import experts_loaded
from analysis.plots.style import MARKERS, QUIET, SERIES, finish, legend_below, panels, points, whole_numbers
from analysis.plots.subject import Subject
from analysis.stats import Estimate, means
from analysis.summary import label
from runner.record import ModelFacts


def verify_cost_figure(subject: Subject) -> Figure | None:
    """A panel per target: v measured, what reading predicts, and the bandwidth limit. None without SD runs."""
    costs = list(_costs(subject))
    if not costs:
        return None
    figure, axes = panels(len(costs))
    for place, (axis, cost) in enumerate(zip(axes, costs, strict=True)):
        _draw(axis, cost, subject.study, place)
        axis.set(xlabel="Tokens verified in one pass (n)", ylabel="Verify ratio v(n), in t₁")
        finish(axis)
        whole_numbers(axis)
    axes[0].set_ylim(bottom=0)
    legend_below(figure, axes[0], columns=2)
    return figure


@dataclass(frozen=True)
class _Cost:
    """v of one target by tokens verified in one pass."""

    target: str
    t1_ms: float
    v: dict[float, Estimate]


def _costs(subject: Subject) -> Iterator[_Cost]:
    """Every size of the targets that were swept, each in the smallest context that verifies it.

    Without a sweep, one point per main configuration.
    """
    curves = cost_curves_by_gamma(subject.study)
    for target in dict.fromkeys(target for target, _ in curves):
        longest = max(gamma for swept, gamma in curves if swept == target)
        found = ((size, fitting_curve(curves, target, size)) for size in range(1, longest + 2))
        sizes = {float(size): curve.estimate(size) for size, curve in found if curve and size in curve.samples}
        yield _Cost(target, curves[target, longest].t1_ms, sizes)
    for target in () if curves else subject.targets:
        mine = [one for one in subject.main if one.target == target]
        t1_ms = float(np.mean(np.concatenate([one.column("t1_ms") for one in mine])))
        yield _Cost(target, t1_ms, {_mean_size(one): means(one.column("v"), one.prompts) for one in mine})


def _mean_size(one: Configuration) -> float:
    return float(np.mean(1 + one.column("drafted_tokens") / one.column("n_cycles")))


def _draw(axis: Axes, cost: _Cost, study: Study, place: int) -> None:
    facts, machine = study.model(cost.target), study.manifest.machine
    n = np.arange(1.0, max(cost.v) + 1.5)
    read = bytes_read(facts, n)
    points(axis, list(cost.v), list(cost.v.values()), color=SERIES[place % len(SERIES)],
           marker=MARKERS[place % len(MARKERS)], linestyle="none", label="measured")  # fmt: skip
    axis.plot(n, read / read[0], color=QUIET, linestyle="--", label="bytes read, n tokens over one")
    bandwidth = machine.nominal_bandwidth_bytes_per_s or machine.measured_bandwidth_bytes_per_s
    if bandwidth is not None:
        limit = read / bandwidth * 1e3 / cost.t1_ms
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
