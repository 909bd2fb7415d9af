"""Why a speedup is what it is: S = τ/(v+d+o) taken apart, exactly, with an interval on every part.

Start from a machine on which verifying γ+1 tokens costs γ+1 passes, nothing is accepted and drafting is free:
S = 1/(γ+1), the *width* of a cycle. Three things lead from there to the S that was measured: one pass over many
tokens costs v instead of γ+1 (amortization), τ tokens come out of it instead of one (acceptance), and drafting
and all the rest cost d+o (drafting). Their Shapley values and the width sum to ln S without remainder.

>>> parts = contributions(tau=3.0, v=1.5, d=0.4, o=0.1, gamma=4)
>>> math.isclose(sum(parts), math.log(3.0 / 2.0))
True
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np

from analysis.acceptance import AcceptanceProfile, profile
from analysis.configurations import Configuration, configurations
from analysis.load import FloatArray, Study
from analysis.stats import Estimate, means, ratios

Number = TypeVar("Number", float, FloatArray)


class Contributions(NamedTuple):
    """Parts of ln S; a negative one slows down. Floats, or arrays of equal shape."""

    width: FloatArray | float
    amortization: FloatArray | float
    acceptance: FloatArray | float
    drafting: FloatArray | float


class Counterfactuals(NamedTuple):
    """S if one thing were otherwise. Floats, or arrays of equal shape."""

    nothing_accepted: FloatArray | float
    everything_accepted: FloatArray | float
    free_drafting: FloatArray | float
    no_amortization: FloatArray | float


@dataclass(frozen=True)
class Decomposition:
    """One configuration explained. The estimates are None where no run is left to average."""

    configuration: Configuration
    speedup: Estimate | None
    tau: Estimate | None
    alpha: Estimate | None
    v: Estimate | None
    d: Estimate | None
    o: Estimate | None
    contributions: dict[str, Estimate]
    """Keys: fields of `Contributions`, in that order; means of ln, so that they sum to ln(speedup) exactly."""
    counterfactuals: dict[str, Estimate]
    """Keys: fields of `Counterfactuals`; geometric means."""
    acceptance: AcceptanceProfile


def contributions(*, tau: Number, v: Number, d: Number, o: Number, gamma: int) -> Contributions:
    """Shapley values over {acceptance 1→τ, amortization (γ+1)→v, drafting 0→d+o}, after the width 1→1/(γ+1).

    Acceptance multiplies, so its share is ln τ in every order; the other two share the cost of a cycle, and each
    gets the mean of coming first and coming last.
    """
    everything, width = d + o, gamma + 1.0
    amortization = (np.log(width / v) + np.log((width + everything) / (v + everything))) / 2
    drafting = -(np.log((width + everything) / width) + np.log((v + everything) / v)) / 2
    return Contributions(-math.log(width) + 0 * np.log(tau), amortization, np.log(tau), drafting)


def counterfactuals(*, tau: Number, v: Number, d: Number, o: Number, gamma: int) -> Counterfactuals:
    """S if nothing or everything were accepted, drafting were free, or verifying n tokens cost n passes."""
    cost = v + d + o
    return Counterfactuals(1 / cost, (gamma + 1) / cost, tau / (v + o), tau / (gamma + 1 + d + o))


def decompose(study: Study) -> tuple[Decomposition, ...]:
    """Every configuration of the study, explained. Raises DataError when runs must not be averaged."""
    return tuple(decompose_one(study, one) for one in configurations(study))


def decompose_one(study: Study, one: Configuration) -> Decomposition:
    """One configuration explained, all parts from the same resamples."""
    tau, v, d, o = (one.column(name) for name in ("tau", "v", "d", "o"))
    parts = contributions(tau=tau, v=v, d=d, o=o, gamma=one.gamma)._asdict()
    otherwise = counterfactuals(tau=tau, v=v, d=d, o=o, gamma=one.gamma)._asdict()
    filled = len(one.pairs) > 0
    return Decomposition(
        configuration=one,
        speedup=one.ratio("identity"),
        tau=one.ratio("tau"),
        alpha=one.acceptance(),
        v=one.mean("v"),
        d=one.mean("d"),
        o=one.mean("o"),
        contributions={name: means(part, one.prompts) for name, part in parts.items() if filled},
        counterfactuals={name: ratios(np.log(value), one.prompts) for name, value in otherwise.items() if filled},
        acceptance=profile(study, one),
    )
