"""Time per output token (TPOT) under SD as seed 001 models it: γ draft tokens and one target pass give AL tokens.

    T_s = (γ·T_d + T_t) / AL

The seed's K is our γ, its AL our τ, its ITL (inter-token latency of SD) the time of one cycle. All times are
milliseconds, lengths tokens. The model takes one pass over γ + 1 tokens to cost as much as one over 1 (v = 1) and
everything but drafting and that pass to cost nothing. Both are wrong to some degree, and what they leave out ends
up in the implied draft time.

>>> round(sd_tpot_ms(4, 2.27, 23.65, 3.28), 2)
9.98
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


def cycle_ms(gamma: float, draft_ms: float, target_ms: float) -> float:
    """One cycle: γ·T_d + T_t."""
    return gamma * draft_ms + target_ms


def sd_tpot_ms(gamma: float, draft_ms: float, target_ms: float, acceptance_length: float) -> float:
    """T_s: the cycle's time over the tokens it yields."""
    return cycle_ms(gamma, draft_ms, target_ms) / acceptance_length


def implied_draft_ms(tpot_ms: float, gamma: float, target_ms: float, acceptance_length: float) -> float:
    """T_d that would explain an observed T_s, were everything else as modelled: (T_s·AL − T_t)/γ."""
    return (tpot_ms * acceptance_length - target_ms) / gamma


@dataclass(frozen=True)
class Pair:
    """A target with a draft whose acceptance length is known for several γ; entries correspond."""

    target_ms: float
    gammas: tuple[int, ...]
    acceptance_lengths: tuple[float, ...]

    def tpots_ms(self, draft_ms: float) -> tuple[float, ...]:
        """T_s at each γ for a draft of that speed."""
        lengths = zip(self.gammas, self.acceptance_lengths, strict=True)
        return tuple(sd_tpot_ms(gamma, draft_ms, self.target_ms, length) for gamma, length in lengths)

    def length_at(self, gamma: int) -> float:
        """Acceptance length at that γ. ValueError when it is not known."""
        return self.acceptance_lengths[self.gammas.index(gamma)]

    def best(self, draft_ms: float) -> Best:
        """The γ with the least T_s for a draft of that speed."""
        return best_of(self.gammas, self.tpots_ms(draft_ms))


class Best(NamedTuple):
    """A best γ and its time per output token."""

    gamma: int
    tpot_ms: float


def best_of(gammas: Sequence[int], tpots_ms: Sequence[float]) -> Best:
    """The γ with the least time per output token; the smaller one on a tie."""
    tpot, gamma = min(zip(tpots_ms, gammas, strict=True))
    return Best(gamma, tpot)
