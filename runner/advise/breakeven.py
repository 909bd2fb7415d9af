"""Why speculation does not pay, and what would have to change: S = τ / (v + d + o) solved for one part at a time.

>>> at_break_even(Prediction(drafter="draft", gamma=4, speedup=Interval(point=0.8, low=0.7, high=0.9),
...                          drafted=4.0, tau=2.4, alpha=0.35, v=2.0, d=0.9, o=0.1)).draft_step
0.075
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

import msgspec

from runner.advise.predict import Interval, Prediction

Cause = Literal["draft too slow", "verification too dear", "acceptance too low"]
CAUSES: tuple[Cause, ...] = ("draft too slow", "verification too dear", "acceptance too low")

__all__ = ["CAUSES", "BreakEven", "Cause", "Interval", "Remedy", "at_break_even", "remedies"]


class BreakEven(msgspec.Struct, frozen=True, kw_only=True):
    """What S = 1 takes at one gamma, each part alone; None: out of reach even at the part's best."""

    gamma: int
    draft_step: float | None
    """T_D / t₁ at most, overheads as they are."""
    passes: float | None
    """v(γ+1) at most; None when even a pass that costs as much as a single token's would not do."""
    alpha: float | None
    """Acceptance rate at least."""


class Remedy(msgspec.Struct, frozen=True, kw_only=True):
    """The best S over all gammas were one cause gone and the rest as it is."""

    cause: Cause
    gamma: int
    speedup: float


def at_break_even(found: Prediction) -> BreakEven:
    """The break-even value of each part of `found`."""
    room_for_draft = found.tau - found.v - found.o
    room_for_pass = found.tau - found.d - found.o
    needed = (found.v + found.d + found.o - 1) / found.drafted if found.drafted else math.inf
    return BreakEven(
        gamma=found.gamma,
        draft_step=round(room_for_draft / found.drafted, 9) if room_for_draft > 0 and found.drafted else None,
        passes=room_for_pass if room_for_pass >= 1 else None,
        alpha=max(needed, 0.0) if needed <= 1 else None,
    )


def remedies(predictions: Iterable[Prediction]) -> list[Remedy]:
    """What the end of each cause alone would bring, the most helpful first.

    Free drafting τ/(v+o); a pass as cheap as one token's τ/(1+d+o); everything accepted (γ+1)/(v+d+o), with
    what was really drafted for γ.
    """
    every = list(predictions)
    best = [
        max(
            (Remedy(cause=cause, gamma=each.gamma, speedup=_without(cause, each)) for each in every), key=_speedup
        )
        for cause in CAUSES
    ]
    return sorted(best, key=_speedup, reverse=True)


def _speedup(remedy: Remedy) -> float:
    return remedy.speedup


def _without(cause: Cause, found: Prediction) -> float:
    match cause:
        case "draft too slow":
            return found.tau / (found.v + found.o)
        case "verification too dear":
            return found.tau / (min(found.v, 1.0) + found.d + found.o)
        case "acceptance too low":
            return (found.drafted + 1) / (found.v + found.d + found.o)
