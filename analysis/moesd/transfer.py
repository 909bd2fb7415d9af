"""A fit carried to another machine or other models, where nothing was measured: an assumption, not a fit.

Kept are the ratio of each time to its theoretical minimum, λ, and the shape of G in units of the ridge point
(ln s ∝ 1/RP). Rejection sampling keeps its time.
"""

from __future__ import annotations

from dataclasses import replace

from analysis.moesd.bootstrap import Refits
from analysis.moesd.facts import Facts
from analysis.moesd.times import Parameters


def transfer(p: Parameters, old: Facts, new: Facts) -> Parameters:
    """The parameters that `new` would have if it differed from `old` in its facts alone."""
    dense = new.bias_min_ms / old.bias_min_ms
    expert = new.expert_min_ms / old.expert_min_ms
    draft = new.draft_min_ms / old.draft_min_ms
    return p._replace(
        bias_ms=p.bias_ms * dense,
        k1_ms=p.k1_ms * dense,
        k2_ms=p.k2_ms * expert,
        k3_ms=p.k3_ms * expert,
        draft_bias_ms=p.draft_bias_ms * draft,
        draft_k_ms=p.draft_k_ms * draft,
        s=p.s ** (old.ridge_tokens / new.ridge_tokens),
    )


def transfer_refits(refits: Refits, old: Facts, new: Facts) -> Refits:
    """Every refit carried over; the residuals stay those of the old measurements."""
    moved = tuple(transfer(p, old, new) for p in refits.parameters)
    return replace(refits, parameters=moved, ridge_tokens=new.ridge_tokens)
