"""Greedy choice on the device: llama.cpp hands over the two best logits of each output row instead of all.

A backend sampler `top_k(2)` becomes part of the pass itself, so that only two candidates a row come to the host:
the choice and its margin. It is attached after the rollback was proved, for a context that has one hands out no
logits any more, and it is used in both arms of a comparison or in none (`Settings.choose_on`).
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import llama_cpp
import numpy as np
from numpy.typing import NDArray

from runner.decode import Choice
from runner.errors import EngineError
from runner.llama.library import log_tail

MOST_ROWS = 65
"""Output rows of one pass at most: the largest gamma a suite may declare, and one."""
_KEPT = 2
_REMEDY = "leave --choose-on device out"


class DeviceChoice:
    """Chooses for sequence 0 of one llama.cpp context, whose batches have at most `MOST_ROWS` outputs.

    Raises EngineError when llama.cpp refuses the sampler.
    """

    def __init__(self, handle: Any, n_vocab: int) -> None:
        self._handle = handle
        self._n_vocab = n_vocab
        self._chain = llama_cpp.llama_sampler_chain_init(llama_cpp.llama_sampler_chain_default_params())
        llama_cpp.llama_sampler_chain_add(self._chain, llama_cpp.llama_sampler_init_top_k(_KEPT))
        if not llama_cpp.llama_set_sampler(handle, 0, self._chain):
            self.close()
            raise EngineError(
                f"llama.cpp cannot choose on this device: {_REMEDY}", log_tail=log_tail()
            )

    def choose(self, n_rows: int) -> Choice:
        """Top token and top-1 minus top-2 logit of the last pass's `n_rows` outputs.

        Equal logits go to the lower token, as numpy's argmax decides. Raises EngineError when the device kept
        another number of candidates: the sampler runs somewhere else.
        """
        ids = self._rows(llama_cpp.llama_get_sampled_candidates_ith, n_rows)
        logits = self._rows(llama_cpp.llama_get_sampled_logits_ith, n_rows)
        if ids is None or logits is None or self._n_kept(n_rows) != {_KEPT}:
            raise EngineError(f"this device keeps no candidates for a choice: {_REMEDY}", log_tail=log_tail())
        tokens: list[int] = []
        margins: list[float] = []
        for (one, other), (logit, rival) in zip(ids.tolist(), logits.tolist(), strict=True):
            first = logit > rival or (logit == rival and one < other)
            tokens.append(one if first else other)
            margins.append(abs(logit - rival))
        return Choice(tokens, margins)

    def close(self) -> None:
        """Free the sampler; the context must be freed before, for it keeps a pointer."""
        llama_cpp.llama_sampler_free(self._chain)

    def _rows(self, get: Callable[..., Any], n_rows: int) -> NDArray[Any] | None:
        # Rows lie n_vocab apart in one buffer; counted from the end, the first is -n_rows.
        address = get(self._handle, -n_rows)
        if not address:
            return None
        rows: NDArray[Any] = np.ctypeslib.as_array(address, shape=(n_rows, self._n_vocab))
        return rows[:, :_KEPT]

    def _n_kept(self, n_rows: int) -> set[int]:
        return {
            int(llama_cpp.llama_get_sampled_candidates_count_ith(self._handle, ctypes.c_int32(row - n_rows)))
            for row in range(n_rows)
        }
