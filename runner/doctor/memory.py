"""How much memory each pair takes, against what the machine and its GPU have.

A measuring process holds, for a pair with gammas g₁…gₙ: both models' weights; n + 1 target contexts (one is the
baseline's, without snapshots) and one draft context. A context takes its KV cache, its recurrent states (1 + γ of
them with snapshots, 2 with checkpoints) and a compute buffer that holds the logits of a whole micro-batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from runner.doctor.line import Line, fail, ok, warn
from runner.executor import Pair
from runner.gguf_facts import GgufCard
from runner.record import NO_DRAFT, Settings
from runner.units import scaled

LOGIT_BYTES = 4
_KV_SCALE = {"f16": 1.0, "f32": 2.0, "q8_0": 34 / 64}
"""Size of a cached value over that of f16, in which `GgufCard` counts."""
CONTEXT_BYTES = 25 * 10**6
PROCESS_BYTES = 50 * 10**6
"""What measuring processes of the built-in family took beyond the parts above, per context and once. With these
the estimate came within 30 % of their resident memory (0.55, 0.30 and 0.07 GB); real models hardly notice.
"""
_LARGE_MEMORY_BYTES = 64 * 10**9
_GPU_SHARES = (2 / 3, 3 / 4)
"""Share of memory that macOS lets the GPU wire by default, below and from 64 GB; newer systems allow more."""


class Capacity(NamedTuple):
    """What there is. None: unknown, or for the GPU's limit: there is no GPU of its own or nobody has set one."""

    memory_bytes: int | None
    available_bytes: int | None
    gpu_limit_bytes: int | None
    shares_memory_with_gpu: bool


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
    """What a measuring process takes for `pair`."""
    target = cards[pair.target]
    gammas = [gamma for gamma in pair.gammas if gamma > 0]
    states = 1 + sum(1 + max(gamma, 1) for gamma in gammas)
    needs = [_side(target, contexts=1 + len(gammas), states=states, settings=settings)]
    if pair.draft != NO_DRAFT and pair.draft in cards:
        needs.append(_side(cards[pair.draft], contexts=1, states=2, settings=settings))
    need = Need(*(sum(parts) for parts in zip(*needs, strict=True)))
    return need._replace(compute_bytes=need.compute_bytes + PROCESS_BYTES)


def memory_lines(needs: Mapping[str, Need], capacity: Capacity) -> list[Line]:
    """One line for the largest pair that fits, and one for each that does not."""
    lines = [_too_large(name, need, capacity) for name, need in needs.items()]
    problems = [line for line in lines if line is not None]
    fitting = {name: need for (name, need), line in zip(needs.items(), lines, strict=True) if line is None}
    if not fitting:
        return problems
    name, need = max(fitting.items(), key=lambda item: item[1].total_bytes)
    return [ok("memory", f"{_told(name, need)}, of {_known(capacity)}"), *problems]


def _side(card: GgufCard, *, contexts: int, states: int, settings: Settings) -> Need:
    return Need(
        weights_bytes=card.size_bytes,
        kv_bytes=int(contexts * settings.n_ctx_tokens * card.kv_bytes_per_token * _KV_SCALE[settings.kv_type]),
        recurrent_bytes=states * card.recurrent_state_bytes,
        compute_bytes=contexts * (settings.n_ubatch_tokens * card.n_vocab * LOGIT_BYTES + CONTEXT_BYTES),
    )


def _too_large(name: str, need: Need, capacity: Capacity) -> Line | None:
    told = f"{_told(name, need)}, of {_known(capacity)}"
    if capacity.memory_bytes is not None and need.total_bytes > capacity.memory_bytes:
        return fail(
            "memory", told, "leave this pair out, use smaller files, or give fewer gammas or a shorter --n-ctx"
        )
    limit = capacity.gpu_limit_bytes
    if limit is not None and need.total_bytes > limit:
        remedy = f"sudo sysctl iogpu.wired_limit_mb={need.total_bytes // 2**20 + 1024}, or leave this pair out"
        return fail("memory", f"{told}; the GPU may wire {scaled(limit, 'B')}", remedy)
    if limit is None and capacity.shares_memory_with_gpu and need.total_bytes > _default_limit(capacity):
        remedy = f"if loading fails: sudo sysctl iogpu.wired_limit_mb={need.total_bytes // 2**20 + 1024}"
        return warn("memory", f"{told}; macOS may not let the GPU wire that much", remedy)
    if capacity.available_bytes is not None and need.total_bytes > capacity.available_bytes:
        return warn(
            "memory", f"{told}; only {scaled(capacity.available_bytes, 'B')} are free", "close other programs"
        )
    return None


def _default_limit(capacity: Capacity) -> float:
    total = capacity.memory_bytes or 0
    return total * _GPU_SHARES[total >= _LARGE_MEMORY_BYTES]


def _told(name: str, need: Need) -> str:
    return (
        f"{name} takes {scaled(need.total_bytes, 'B')} ({scaled(need.weights_bytes, 'B')} weights, "
        f"{scaled(need.kv_bytes, 'B')} KV, {scaled(need.recurrent_bytes, 'B')} recurrent states, "
        f"{scaled(need.compute_bytes, 'B')} compute)"
    )


def _known(capacity: Capacity) -> str:
    return "an unknown amount" if capacity.memory_bytes is None else scaled(capacity.memory_bytes, "B")
