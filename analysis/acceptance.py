"""Where drafts fail: acceptance by position, accepted tokens per cycle, and whether one number tells it all.

The i.i.d. model of the literature says that each drafted token is right with the same chance p, so the number
accepted in a cycle is geometric, cut off at the number drafted, and τ(γ) = (1 - p^(γ+1)) / (1 - p).

>>> expected_tau(0.5, 1)
1.5
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc, rel_entr

from analysis.configurations import Configuration
from analysis.load import FloatArray, RunArrays, Study
from analysis.stats import Estimate, quotient, quotients

MIN_EXPECTED = 5.0
"""Bins of a goodness-of-fit test expect at least so many counts (Cochran's rule); smaller ones are merged."""


@dataclass(frozen=True)
class Position:
    """The draft's `position`-th token: how often it was reached, all before it accepted, and then accepted."""

    position: int
    reached: int
    accepted: int
    rate: Estimate


@dataclass(frozen=True)
class GeometricFit:
    """How well one chance per token explains the cycles that drafted all γ.

    `agreement`: p by maximum likelihood, all cycles. `tau`: what p predicts where every cycle drafts γ;
    `measured_tau`: what those cycles yielded. `total_variation`: half the summed distance of the distributions, 0
    (same) to 1. `p_value`: G-test; None when too few cycles leave no degree of freedom.
    """

    agreement: Estimate
    n_cycles: int
    tau: float
    measured_tau: float
    total_variation: float
    p_value: float | None


@dataclass(frozen=True)
class AcceptanceProfile:
    """`histogram[k]`: cycles in which k tokens were accepted, k = 0..γ."""

    positions: tuple[Position, ...]
    histogram: tuple[int, ...]
    geometric: GeometricFit | None


def profile(study: Study, configuration: Configuration) -> AcceptanceProfile:
    """Acceptance of one configuration; positions and fit are missing where no run is left."""
    runs = [study.arrays[row] for row in configuration.pairs.index]
    gamma = configuration.gamma
    histogram = np.sum([accepted_counts(run.accepted, gamma) for run in runs], axis=0, dtype=int)
    if not runs:
        return AcceptanceProfile((), (0,) * (gamma + 1), None)
    return AcceptanceProfile(
        _positions(runs, gamma, configuration.prompts),
        tuple(histogram.tolist()),
        _geometric(runs, gamma, configuration.prompts),
    )


def expected_tau(agreement: float, gamma: int) -> float:
    """τ of the i.i.d. model: the sum of p^k for k = 0..γ."""
    return float(np.sum(agreement ** np.arange(gamma + 1)))


def expected_shares(agreement: float, gamma: int) -> FloatArray:
    """Chance of k accepted tokens for k = 0..γ; shape (γ+1,)."""
    shares = agreement ** np.arange(gamma + 1)
    shares[:-1] *= 1 - agreement
    return np.asarray(shares, dtype=float)


def accepted_counts(accepted: np.ndarray, gamma: int) -> FloatArray:
    """Cycles with k accepted tokens, k = 0..γ; shape (γ+1,). Counts beyond γ are impossible and left out."""
    return np.asarray((accepted[:, None] == np.arange(gamma + 1)).sum(axis=0), dtype=float)


def goodness_of_fit(observed: FloatArray, shares: FloatArray) -> float | None:
    """p-value of the G-test of counts against shares with one fitted parameter; both shape (n_bins,).

    Bins too thin to test are merged into the next thinner tail. None when no degree of freedom is left.
    """
    seen, expected = _merged(observed, shares * observed.sum())
    if len(seen) < 3:
        return None
    return float(chdtrc(len(seen) - 2, 2 * rel_entr(seen, expected).sum()))


def _merged(observed: FloatArray, expected: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Neighbouring bins joined until each expects `MIN_EXPECTED`; what remains joins the last."""
    seen, wanted = [0.0], [0.0]
    for count, mean in zip(observed, expected, strict=True):
        if wanted[-1] >= MIN_EXPECTED:
            seen.append(0.0)
            wanted.append(0.0)
        seen[-1] += count
        wanted[-1] += mean
    if len(wanted) > 1 and wanted[-1] < MIN_EXPECTED:
        last_seen, last_wanted = seen.pop(), wanted.pop()
        seen[-1] += last_seen
        wanted[-1] += last_wanted
    return np.array(seen), np.array(wanted)


def _positions(runs: list[RunArrays], gamma: int, prompts: list[str]) -> tuple[Position, ...]:
    """Conditional acceptance; positions that no cycle reached are left out."""
    place = np.arange(1, gamma + 1)
    reached = np.array(
        [((run.drafted[:, None] >= place) & (run.accepted[:, None] >= place - 1)).sum(0) for run in runs]
    )
    accepted = np.array([(run.accepted[:, None] >= place).sum(0) for run in runs])
    rates = quotients(accepted, reached, prompts)
    return tuple(
        Position(i + 1, int(reached[:, i].sum()), int(accepted[:, i].sum()), rates[i])
        for i in range(gamma)
        if reached[:, i].any()
    )


def _geometric(runs: list[RunArrays], gamma: int, prompts: list[str]) -> GeometricFit:
    accepted = np.array([run.accepted.sum() for run in runs], dtype=float)
    rejected = np.array([(run.accepted < run.drafted).sum() for run in runs], dtype=float)
    agreement = quotient(accepted, accepted + rejected, prompts)
    full = np.sum([accepted_counts(run.accepted[run.drafted == gamma], gamma) for run in runs], axis=0)
    n_cycles = int(full.sum())
    tries = accepted.sum() + rejected.sum()
    p = float(accepted.sum() / tries) if tries else float("nan")
    shares = expected_shares(p, gamma)
    return GeometricFit(
        agreement=agreement,
        n_cycles=n_cycles,
        tau=expected_tau(p, gamma),
        measured_tau=float(full @ np.arange(gamma + 1) / n_cycles) + 1 if n_cycles else float("nan"),
        total_variation=float(np.abs(full / n_cycles - shares).sum() / 2) if n_cycles else float("nan"),
        p_value=goodness_of_fit(full, shares) if n_cycles else None,
    )
