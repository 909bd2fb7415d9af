"""Measures memory bandwidth as the CPU sees it: how fast large blocks are copied by several threads at once.

It is a lower bound of what a GPU on the same memory attains, and the only figure for a chip that no table knows.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

BLOCK_BYTES = 64 * 2**20
"""Per thread, well over any cache."""
REPEATS = 5


def measured_bandwidth_bytes_per_s(n_threads: int, block_bytes: int = BLOCK_BYTES) -> float:
    """Best of five copies of `block_bytes` in each of `n_threads`, reading and writing each counted once."""
    blocks = [(np.ones(block_bytes // 8), np.zeros(block_bytes // 8)) for _ in range(n_threads)]
    with ThreadPoolExecutor(n_threads) as pool:
        seconds = min(_copy_all(pool, blocks) for _ in range(REPEATS))
    return 2 * block_bytes * n_threads / seconds


def _copy_all(pool: ThreadPoolExecutor, blocks: list[tuple[np.ndarray, np.ndarray]]) -> float:
    started = time.perf_counter()
    for _ in pool.map(lambda block: np.copyto(block[1], block[0]), blocks):
        pass
    return time.perf_counter() - started
