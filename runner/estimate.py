"""How long runs take before any was measured: for the plan's estimate and for noticing a worker that hangs.

The estimate only has to be of the right size; the progress bar corrects it by what is measured. Limits follow
from the bytes that decoding a token reads (facts/llamacpp.md, C) and a bandwidth no sensible machine is below.
"""

from __future__ import annotations

from runner.cells import Step, drafting_role
from runner.record import Cell, ModelFacts

PUBLISHED_MS = {
    "moe-q4": 18.1,
    "moe-q8": 20.0,
    "dense-0.8b": 7.2,
    "dense-2b": 9.1,
    "dense-4b": 14.9,
    "dense-9b": 29.9,
    "draft-0.8b": 7.2,
    "draft-2b": 9.1,
    "moe-64": 18.1,
    "draft-tiny": 7.2,
}
"""Milliseconds per token in the published study on an M2 Ultra (seed 003), where it has the role: what an
estimate starts from. One scale turns them into those of another machine or of the smaller built-in family."""

SYNTHETIC_SCALE = 0.2
"""The built-in family on one server core over the real one on an M2 Ultra; 0.09 (0.8B) to 0.23 (MoE) measured."""

PREFILL_SHARE = 0.2
"""Time of a prompt token over that of a decoded token: prompts are read in batches."""

ASSUMED_TOKENS_PER_CYCLE = 2.0
VERIFY_SHARE = 0.15
"""What each further token of a verification batch adds to one decode."""

SLOWEST_BYTES_PER_S = 10e9
SLOWEST_TOKEN_S = 0.05
GRACE_S = 60.0


def estimated_s(cell: Cell, prompt_tokens: int, scale: float = 1.0) -> float:
    """Seconds that a run may take, from assumed milliseconds per token times `scale`; loading is not counted."""
    target_ms = PUBLISHED_MS[cell.target] * scale
    prefill_ms = prompt_tokens * PREFILL_SHARE * target_ms
    if not cell.gamma:
        return (prefill_ms + cell.n_predict_tokens * target_ms) / 1000
    cycles = cell.n_predict_tokens / ASSUMED_TOKENS_PER_CYCLE
    role = drafting_role(cell)
    draft_ms = PUBLISHED_MS[role] * scale if role else 0.0
    cycle_ms = target_ms * (1 + VERIFY_SHARE * cell.gamma) + cell.gamma * draft_ms
    return (prefill_ms + cycles * cycle_ms) / 1000


def time_limit_s(step: Step, target: ModelFacts, draft: ModelFacts | None) -> float:
    """Seconds after which a run hangs: what a machine far slower than any sensible one would need."""
    read_bytes = target.bytes_per_token + (draft.bytes_per_token if draft else 0)
    token_s = max(SLOWEST_TOKEN_S, read_bytes / SLOWEST_BYTES_PER_S)
    passes = step.prompt.at_most_tokens / 8 + step.cell.n_predict_tokens * (1 + step.cell.gamma / 2)
    return round(GRACE_S + passes * token_s, 1)
