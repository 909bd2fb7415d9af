"""How much memory models, contexts and their states take, from what the GGUFs say.

A context takes its KV cache, its recurrent states (1 + γ of them with snapshots, 2 with checkpoints) and a
compute buffer that holds the logits of a whole micro-batch, or of few rows where the device chooses.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from runner.executor import Pair
from runner.gguf_facts import GgufCard
from runner.record import NO_DRAFT, Settings, Strategy

LOGIT_BYTES = 4
_KV_SCALE = {"f16": 1.0, "f32": 2.0, "q8_0": 34 / 64}
"""Size of a cached value over that of f16, in which `GgufCard` counts."""
CONTEXT_BYTES = 25 * 10**6
PROCESS_BYTES = 50 * 10**6
"""What measuring processes of the built-in family took beyond the parts above, per context and once. With these
the estimate came within 30 % of their resident memory (0.55, 0.30 and 0.07 GB); real models hardly notice.
"""
_DRAFT_STATES = 2
"""The draft's own state and the copy that a rollback returns to."""
_FORCED_STATES: dict[Strategy, int] = {"trim": 1, "checkpoint": 2}
"""States that a context with a forced rollback keeps; with snapshots 1 + γ."""
_CHOSEN_ROWS = 65
"""Rows of a pass that chooses on the device: `runner.llama.device_choice.MOST_ROWS`, which loads llama.cpp."""


class Need(NamedTuple):
    """What one pair takes."""

    weights_bytes: int
    kv_bytes: int
    recurrent_bytes: int
    compute_bytes: int

    @property
    def total_bytes(self) -> int:
        """Everything together."""
        return sum(self)


def need_of(pair: Pair, cards: Mapping[str, GgufCard], settings: Settings) -> Need:
    """What a measuring process takes for `pair` with gammas g₁…gₙ whose rollback may be chosen.

    Both models' weights, n + 1 target contexts (one is the baseline's, without snapshots), one more for each
    forced rollback, and one draft context.
    """
    # Proofs look at logits: where the baseline's context has none to give, another one beside it has.
    # The loop that checks nothing makes a context of its own on each side, without snapshots.
    plain = (2 if settings.chooses_on_device else 1) + pair.unchecked
    kept = [1 + max(gamma, 1) for gamma in pair.gammas if gamma]
    kept += [_FORCED_STATES.get(strategy, 1 + gamma) for gamma, strategy in pair.forced]
    target = _model(cards[pair.target], contexts=plain + len(kept), states=plain + sum(kept), settings=settings)
    needs = [target]
    if pair.draft != NO_DRAFT and pair.draft in cards:
        contexts, states = 1 + pair.unchecked, _DRAFT_STATES + pair.unchecked
        needs.append(_model(cards[pair.draft], contexts=contexts, states=states, settings=settings))
    need = Need(*(sum(parts) for parts in zip(*needs, strict=True)))
    return need._replace(compute_bytes=need.compute_bytes + PROCESS_BYTES)


def added_bytes(
    target: GgufCard, draft: GgufCard | None, settings: Settings, *, gamma: int, keeps_snapshots: bool
) -> int:
    """What speculation at `gamma` takes beyond the target with its one context.

    `draft` is None for a drafter that is no model.
    """
    snapshots = gamma * target.recurrent_state_bytes if keeps_snapshots else 0
    if draft is None:
        return snapshots
    return snapshots + _model(draft, contexts=1, states=_DRAFT_STATES, settings=settings).total_bytes


def _model(card: GgufCard, *, contexts: int, states: int, settings: Settings) -> Need:
    rows = min(settings.n_ubatch_tokens, _CHOSEN_ROWS if settings.chooses_on_device else settings.n_ubatch_tokens)
    return Need(
        weights_bytes=card.size_bytes,
        kv_bytes=int(contexts * settings.n_ctx_tokens * card.kv_bytes_per_token * _KV_SCALE[settings.kv_type]),
        recurrent_bytes=states * card.recurrent_state_bytes,
        compute_bytes=contexts * (rows * card.n_vocab * LOGIT_BYTES + CONTEXT_BYTES),
    )
