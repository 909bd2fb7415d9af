"""Greedy choice on the device: llama.cpp hands over the two best logits of each output row instead of all.

A backend sampler `top_k(2)` becomes part of the pass itself, so that only two candidates a row come to the host:
the choice and its margin. It is attached after the rollback was proved, for a context that has one hands out no
logits any more, and it is used in both arms of a comparison or in none (`Settings.choose_on`).
"""

from __future__ import annotations

import ctypes
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
        self._views: dict[tuple[int, int], NDArray[Any]] = {}
        self._chain = llama_cpp.llama_sampler_chain_init(llama_cpp.llama_sampler_chain_default_params())
        llama_cpp.llama_sampler_chain_add(self._chain, llama_cpp.llama_sampler_init_top_k(_KEPT))
        if not llama_cpp.llama_set_sampler(handle, 0, self._chain):
            self.close()
            raise EngineError(f"llama.cpp cannot choose on this device: {_REMEDY}", log_tail=log_tail())

    def choose(self, n_rows: int) -> Choice:
        """Top token and top-1 minus top-2 logit of the last pass's `n_rows` outputs.

        Equal logits go to the lower of the two tokens that were kept. Raises EngineError when the device kept
        another number of candidates: the sampler runs somewhere else.
        """
        if llama_cpp.llama_get_sampled_candidates_count_ith(self._handle, -n_rows) != _KEPT:
            raise EngineError(f"this device keeps no candidates for a choice: {_REMEDY}", log_tail=log_tail())
        ids = self._rows(llama_cpp.llama_get_sampled_candidates_ith(self._handle, -n_rows), n_rows)
        logits = self._rows(llama_cpp.llama_get_sampled_logits_ith(self._handle, -n_rows), n_rows)
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

    def _rows(self, address: Any, n_rows: int) -> NDArray[Any]:
        """The kept values of each row; rows lie n_vocab apart in one buffer, and wrapping it is what costs."""
        key = (ctypes.addressof(address.contents), n_rows)
        if key not in self._views:
            rows = np.ctypeslib.as_array(address, shape=(n_rows, self._n_vocab))
            self._views[key] = rows[:, :_KEPT]
        return self._views[key]
