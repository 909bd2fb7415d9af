"""One llama.cpp context that cannot lie: every return code checked, every position compared.

The published study's phantom came from a loop that ignored a refused `llama_memory_seq_rm` and every failed
`llama_decode` after it, and sampled stale logits. Here each of these raises EngineError.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Sequence

import llama_cpp
import numpy as np
from numpy.typing import NDArray

from runner.errors import EngineError
from runner.llama.library import log_tail
from runner.llama.model import Model
from runner.record import Settings

_MAIN = 0
_SNAPSHOT = 1

_ADVICE = {
    1: "no room in the KV cache: raise n_ctx or shorten the prompt",
    2: "the computation was aborted",
    -1: "llama.cpp calls the batch invalid: its memory is not where we believe it is",
    -2: "llama.cpp could not allocate memory: close other programs or use a smaller model",
    -3: "the computation itself failed",
}
_FLASH = {"auto": -1, "off": 0, "on": 1}


class Context:
    """A sequence of tokens in one context of `model`; `position` is how many the memory holds.

    `watch` is called for every tensor of a pass (ggml's cb_eval); it slows decoding, so never in a timed run.
    `llama_ns` adds up the time inside llama.cpp calls since `begin`, synchronisation included.
    """

    def __init__(
        self,
        model: Model,
        settings: Settings,
        *,
        n_rs_seq: int = 0,
        n_sequences: int = 1,
        watch: Callable[[int | None, bool, int | None], bool] | None = None,
    ) -> None:
        self.model = model
        self.position = 0
        self.llama_ns = 0
        self._n_batch = settings.n_batch_tokens
        params = _params(settings, n_rs_seq, n_sequences)
        if watch is not None:
            # ctypes frees the trampoline with its last reference, and llama.cpp keeps calling it.
            self._watch = llama_cpp.ggml_backend_sched_eval_callback(watch)
            params.cb_eval = self._watch
        handle = llama_cpp.llama_init_from_model(model.handle, params)
        if not handle:
            raise EngineError(
                f"{model.name}: llama.cpp cannot make a context of {settings.n_ctx_tokens} tokens; "
                "lower n_ctx or free memory",
                log_tail=log_tail(),
            )
        self.handle = handle
        self._memory = llama_cpp.llama_get_memory(handle)
        self._batch = llama_cpp.llama_batch_init(settings.n_batch_tokens, 0, 1)
        self.n_ctx_tokens = int(llama_cpp.llama_n_ctx(handle))
        self.n_rs_seq = int(llama_cpp.llama_n_rs_seq(handle))
        self._views: dict[tuple[int, int], NDArray[np.float32]] = {}
        self._fill_constants()

    def _fill_constants(self) -> None:
        """Sequence ids never change; writing them once keeps the loop short."""
        for index in range(self._n_batch):
            self._batch.n_seq_id[index] = 1
            self._batch.seq_id[index][0] = _MAIN

    def clear(self) -> None:
        """Forget everything, snapshots included."""
        llama_cpp.llama_memory_clear(self._memory, True)  # noqa: FBT003
        self.position = 0

    def begin(self, tokens: Sequence[int]) -> None:
        """Forget everything, prefill `tokens` without outputs, and start `llama_ns` anew."""
        self.clear()
        self.decode(tokens, n_outputs=0)
        self.llama_ns = 0

    def decode(self, tokens: Sequence[int], *, n_outputs: int) -> None:
        """Decode `tokens` after those held; logits of the last `n_outputs` of them become available.

        Longer inputs go in batches of n_batch. Raises EngineError with llama.cpp's code when a batch fails or
        when the memory does not end where it must.
        """
        first_output = len(tokens) - n_outputs
        for start in range(0, len(tokens), self._n_batch):
            self._decode_batch(tokens[start : start + self._n_batch], first_output - start)

    def _decode_batch(self, tokens: Sequence[int], first_output: int) -> None:
        batch, position = self._batch, self.position
        batch.n_tokens = len(tokens)
        ids, positions, outputs = batch.token, batch.pos, batch.logits
        for index, token in enumerate(tokens):
            ids[index] = token
            positions[index] = position + index
            outputs[index] = index >= first_output
        started = time.monotonic_ns()
        code = llama_cpp.llama_decode(self.handle, batch)
        llama_cpp.llama_synchronize(self.handle)
        last = llama_cpp.llama_memory_seq_pos_max(self._memory, _MAIN)
        self.llama_ns += time.monotonic_ns() - started
        if code != 0:
            raise EngineError(
                f"llama_decode of {len(tokens)} tokens at position {position} returned {code}: "
                f"{_ADVICE.get(code, 'a fatal error inside llama.cpp')}",
                code=code,
                log_tail=log_tail(),
            )
        self.position = position + len(tokens)
        self._expect_end(last)

    def logits(self, n_rows: int) -> NDArray[np.float32]:
        """Logits of the last decode's outputs, (n_rows, n_vocab): a view that the next decode overwrites."""
        started = time.monotonic_ns()
        address = llama_cpp.llama_get_logits(self.handle)
        self.llama_ns += time.monotonic_ns() - started
        if not address:
            raise EngineError("llama_get_logits returned nothing: no output was asked for", log_tail=log_tail())
        # llama.cpp keeps one output buffer, and wrapping it costs more than choosing from it.
        key = (ctypes.addressof(address.contents), n_rows)
        if key not in self._views:
            self._views[key] = np.ctypeslib.as_array(address, shape=(n_rows, self.model.n_vocab))
        return self._views[key]

    def forget_from(self, position: int) -> None:
        """Drop all tokens at `position` and after it; raises EngineError when llama.cpp refuses."""
        if position == self.position:
            return
        started = time.monotonic_ns()
        removed = llama_cpp.llama_memory_seq_rm(self._memory, _MAIN, position, -1)
        last = llama_cpp.llama_memory_seq_pos_max(self._memory, _MAIN)
        self.llama_ns += time.monotonic_ns() - started
        if not removed:
            raise EngineError(
                f"llama_memory_seq_rm refused to drop positions {position} to {self.position - 1}: this memory "
                f"cannot be rolled back so far (n_rs_seq is {self.n_rs_seq})",
                log_tail=log_tail(),
            )
        self.position = position
        self._expect_end(last)

    def save_snapshot(self) -> None:
        """Remember the present state in the second sequence (copy on write); needs `n_sequences=2`."""
        started = time.monotonic_ns()
        llama_cpp.llama_memory_seq_rm(self._memory, _SNAPSHOT, -1, -1)
        llama_cpp.llama_memory_seq_cp(self._memory, _MAIN, _SNAPSHOT, -1, -1)
        self.llama_ns += time.monotonic_ns() - started
        self._snapshot_position = self.position

    def restore_snapshot(self) -> None:
        """Return to the remembered state; raises EngineError when the memory does not end there."""
        started = time.monotonic_ns()
        llama_cpp.llama_memory_seq_rm(self._memory, _MAIN, -1, -1)
        llama_cpp.llama_memory_seq_cp(self._memory, _SNAPSHOT, _MAIN, -1, -1)
        last = llama_cpp.llama_memory_seq_pos_max(self._memory, _MAIN)
        self.llama_ns += time.monotonic_ns() - started
        self.position = self._snapshot_position
        self._expect_end(last)

    def _expect_end(self, last: int) -> None:
        if last != self.position - 1:
            raise EngineError(
                f"llama.cpp's memory ends at position {last}, not {self.position - 1}: rollback is broken here",
                log_tail=log_tail(),
            )

    def close(self) -> None:
        """Free the context."""
        if self.handle:
            llama_cpp.llama_batch_free(self._batch)
            llama_cpp.llama_free(self.handle)
            self.handle = None


def _params(settings: Settings, n_rs_seq: int, n_sequences: int) -> llama_cpp.llama_context_params:
    params = llama_cpp.llama_context_default_params()
    params.n_ctx = settings.n_ctx_tokens
    params.n_batch = settings.n_batch_tokens
    params.n_ubatch = settings.n_ubatch_tokens
    params.n_threads = params.n_threads_batch = settings.n_threads
    params.n_rs_seq = n_rs_seq
    params.n_seq_max = n_sequences
    # A snapshot shares the KV cells of the sequence it was taken from, which only a unified cache allows.
    params.kv_unified = True
    params.flash_attn_type = _FLASH[settings.flash_attention]
    params.type_k = params.type_v = _kv_type(settings.kv_type)
    params.no_perf = True
    return params


def _kv_type(name: str) -> int:
    types = {"f16": llama_cpp.GGML_TYPE_F16, "f32": llama_cpp.GGML_TYPE_F32, "q8_0": llama_cpp.GGML_TYPE_Q8_0}
    if name not in types:
        raise EngineError(f"kv_type {name!r} is unknown; use one of {', '.join(types)}")
    return int(types[name])
