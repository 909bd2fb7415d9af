"""Whether what each pair takes (`runner.memory_need`) is there, on the machine and on its GPU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from runner.doctor.line import Line, fail, ok, warn
from runner.memory_need import Need
from runner.units import scaled

_LARGE_MEMORY_BYTES = 64 * 10**9
_GPU_SHARES = (2 / 3, 3 / 4)
"""Share of memory that macOS lets the GPU wire by default, below and from 64 GB; newer systems allow more."""


class Capacity(NamedTuple):
    """What there is. None: unknown, or for the GPU's limit: there is no GPU of its own or nobody has set one."""

    memory_bytes: int | None
    available_bytes: int | None
    gpu_limit_bytes: int | None
    shares_memory_with_gpu: bool


def memory_lines(needs: Mapping[str, Need], capacity: Capacity) -> list[Line]:
    """One line for the largest pair that fits, and one for each that does not."""
    lines = [_too_large(name, need, capacity) for name, need in needs.items()]
    problems = [line for line in lines if line is not None]
    fitting = {name: need for (name, need), line in zip(needs.items(), lines, strict=True) if line is None}
    if not fitting:
        return problems
    name, need = max(fitting.items(), key=lambda item: item[1].total_bytes)
    return [ok("memory", f"{_told(name, need)}, of {_known(capacity)}"), *problems]


def _too_large(name: str, need: Need, capacity: Capacity) -> Line | None:
    told = f"{_told(name, need)}, of {_known(capacity)}"
    if capacity.memory_bytes is not None and need.total_bytes > capacity.memory_bytes:
        return fail(
            "memory", told, "leave this pair out, or use smaller files, fewer or smaller gammas or less context"
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
