"""S of every gamma, predicted from a replay and the measured costs: S = t₁ per token over SD's time per token.

The interval says where a measurement on such prompts is to be expected: prompts are resampled, costs are drawn
from their resampled fits, and the noise of the verifying runs themselves is added. The same draws tell how likely
each configuration is the best of all: what all of them share, an unlucky prompt say, does not count there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from runner.advise.costs import Costs, FloatArray, work
from runner.advise.replay import Played
from runner.record import Strategy

LEVEL = 0.95
WORTHWHILE = 1.03
"""A smaller gain is not worth a second model's memory, and no larger than advice may miss."""
MODEL_ERROR = 0.02
"""Relative error that the form of the costs makes: the one part of the interval that is assumed, not measured."""

Candidate = tuple[str, int]
"""Drafter and gamma."""

_IDLE_TOKENS = 0.05
"""Drafted per cycle."""


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """A figure and the interval of `LEVEL` around it."""

    point: float
    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Whether `value` lies inside."""
        return self.low <= value <= self.high


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """One drafter at one gamma. v, d and o are means per cycle in units of t₁; they are over all prompts."""

    drafter: str
    gamma: int
    speedup: Interval
    drafted: float
    """Tokens drafted per cycle: less than gamma where the drafter had no more to say or the text ended."""
    tau: float
    alpha: float
    v: float
    d: float
    o: float
    chance: float = 0.0
    """That this is the best of all that were predicted with it, 0 to 1."""

    @property
    def candidate(self) -> Candidate:
        """Which configuration this is about."""
        return self.drafter, self.gamma

    @property
    def may_pay(self) -> bool:
        """Whether a worthwhile gain is within the interval."""
        return self.speedup.high >= WORTHWHILE and not self.is_idle

    @property
    def is_idle(self) -> bool:
        """Whether the drafter found next to nothing to propose, so that this is the baseline by another name."""
        return self.drafted < _IDLE_TOKENS


class Arm(msgspec.Struct, frozen=True, kw_only=True):
    """A drafter's replays and what they cost beyond `Costs`."""

    drafter: str
    played: Mapping[int, Sequence[Played]]
    """Gamma -> one replay per prompt, all gammas with the same prompts."""
    draft_rollback: Strategy
    """`none`: the drafter is no model."""
    own_time: Mapping[int, Sequence[float]]
    """Gamma -> time of the drafter's proposals over the whole text of each prompt, in t₁; zeros for a model."""


@dataclass(frozen=True)
class Outlook:
    """A prediction with the draws behind it."""

    prediction: Prediction
    logs: FloatArray
    """ln S, shape (n_draws,); with the same costs and seed, draw i has the same prompts and costs everywhere."""


def predict(arm: Arm, gamma: int, costs: Costs, *, keeps_snapshots: bool, run_noise: float, seed: int) -> Outlook:
    """S of `arm` at `gamma`; geometric mean over prompts.

    `run_noise`: standard deviation of ln S that a verification over the same prompts has by itself.
    """
    played = arm.played[gamma]
    rows = np.array(
        [
            work(each, costs.longest, n_rs_seq=gamma if keeps_snapshots else 0, draft_rollback=arm.draft_rollback)
            for each in played
        ]
    )
    own = np.array(arm.own_time[gamma])
    tokens = np.array([sum(each.accepted) + len(each.accepted) for each in played])
    logs = np.log(tokens / (rows @ costs.column + own))
    drawn = _drawn(rows, own, tokens, costs, seed)
    noise = np.random.default_rng([seed, 1]).normal(0.0, math.hypot(run_noise, MODEL_ERROR), len(drawn))
    v, d, o = _shares(rows.sum(axis=0), costs, float(own.sum()))
    prediction = Prediction(
        drafter=arm.drafter,
        gamma=gamma,
        speedup=_interval(float(logs.mean()), drawn + noise),
        drafted=_per_cycle(played),
        tau=float(tokens.sum() / sum(len(each.accepted) for each in played)),
        alpha=_alpha(played),
        v=v,
        d=d,
        o=o,
    )
    return Outlook(prediction, drawn)


def with_chances(outlooks: Sequence[Outlook], seed: int) -> list[Prediction]:
    """The predictions, each with the share of draws in which it is the best.

    Every one errs by `MODEL_ERROR` on its own, so neighbours that predict nearly the same share their chance. One
    that drafts next to nothing has none.
    """
    rivals = [place for place, each in enumerate(outlooks) if not each.prediction.is_idle]
    chances = np.zeros(len(outlooks))
    if rivals:
        logs = np.array([outlooks[place].logs for place in rivals])
        logs += np.random.default_rng([seed, 2]).normal(0.0, MODEL_ERROR, logs.shape)
        winners = np.argmax(logs, axis=0)
        chances[rivals] = np.bincount(winners, minlength=len(rivals)) / len(winners)
    return [
        msgspec.structs.replace(each.prediction, chance=float(chance))
        for each, chance in zip(outlooks, chances, strict=True)
    ]


def _shares(row: FloatArray, costs: Costs, own: float) -> tuple[float, float, float]:
    """v, d and o per cycle."""
    parts = row * costs.column
    n_cycles = row[-1]
    v, d = parts[: costs.n_target].sum(), parts[costs.n_target : costs.n_model].sum() + own
    return float(v / n_cycles), float(d / n_cycles), float(parts[costs.n_model :].sum() / n_cycles)


def _drawn(rows: FloatArray, own: FloatArray, tokens: FloatArray, costs: Costs, seed: int) -> FloatArray:
    """ln S of resampled prompts at drawn costs, shape (n_draws,)."""
    n_draws, n_prompts = len(costs.draws), len(rows)
    logs = np.log(tokens / (costs.draws @ rows.T + own))
    picks = np.random.default_rng(seed).integers(n_prompts, size=(n_draws, n_prompts))
    return np.asarray(np.take_along_axis(logs, picks, axis=1).mean(axis=1), dtype=float)


def _interval(point: float, draws: FloatArray) -> Interval:
    """From the quantiles of the draws; it always holds the point, from which resampling may shift."""
    spread = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    low, high = np.exp([min(spread[0], point), max(spread[1], point)])
    return Interval(point=float(np.exp(point)), low=float(low), high=float(high))


def _per_cycle(played: Sequence[Played]) -> float:
    return sum(sum(each.drafted) for each in played) / sum(len(each.drafted) for each in played)


def _alpha(played: Sequence[Played]) -> float:
    drafted = sum(sum(each.drafted) for each in played)
    return sum(sum(each.accepted) for each in played) / drafted if drafted else 0.0
