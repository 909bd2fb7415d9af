"""What speculation keeps in memory beyond the target's own weights and context."""

from __future__ import annotations

import msgspec

from runner.drafter_names import NGRAM
from runner.record import NO_DRAFT

_CHECKPOINT_STATES = 2
"""The draft's own state and the copy that a rollback returns to."""


class Footprint(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes of one model, per sequence where they are memory (`runner.gguf_facts`)."""

    size_bytes: int
    kv_bytes_per_token: int
    recurrent_state_bytes: int


def extra_bytes(
    target: Footprint, draft: Footprint | None, *, gamma: int, n_ctx_tokens: int, keeps_snapshots: bool
) -> int:
    """Bytes that speculation at `gamma` adds; `draft` is None for a drafter that is no model."""
    snapshots = gamma * target.recurrent_state_bytes if keeps_snapshots else 0
    if draft is None:
        return snapshots
    states = _CHECKPOINT_STATES * draft.recurrent_state_bytes
    return snapshots + draft.size_bytes + draft.kv_bytes_per_token * n_ctx_tokens + states


def is_model(drafter: str) -> bool:
    """Whether a drafter is a draft model of its own."""
    return drafter not in {NGRAM, NO_DRAFT}
