"""Measures memory bandwidth as the CPU sees it: how fast large blocks are copied by several threads at once.

It is a lower bound of what a GPU on the same memory attains, and the only figure for a chip that no table knows.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

TOTAL_BYTES = 512 * 2**20
"""All threads' sources and destinations together: several times any cache."""
REPEATS = 5


def measured_bandwidth_bytes_per_s(n_threads: int, total_bytes: int = TOTAL_BYTES) -> float:
    """Best of five: copying half of `total_bytes` onto the other half, each byte read and written once."""
    elements = total_bytes // (2 * 8 * n_threads)
    blocks = [(np.ones(elements), np.zeros(elements)) for _ in range(n_threads)]
    with ThreadPoolExecutor(n_threads) as pool:
        seconds = min(_copy_all(pool, blocks) for _ in range(REPEATS))
    return 2 * 8 * elements * n_threads / seconds


def _copy_all(pool: ThreadPoolExecutor, blocks: list[tuple[np.ndarray, np.ndarray]]) -> float:
    started = time.perf_counter()
    for _ in pool.map(lambda block: np.copyto(block[1], block[0]), blocks):
        pass
    return time.perf_counter() - started
