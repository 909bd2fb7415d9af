"""llama.cpp's calls on one context, each checked: a refusal or a position out of place is an EngineError.

What one sequence (`runner.llama.context`) and many sequences (`runner.llama.parallel`) have in common.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable

import llama_cpp
import numpy as np
from numpy.typing import NDArray

from runner.errors import EngineError
from runner.llama.device_choice import MOST_ROWS
from runner.llama.library import listening, log_tail
from runner.llama.log_facts import flash_attention
from runner.llama.model import Model
from runner.record import Settings

_ADVICE = {
    1: "no room in the KV cache: raise n_ctx or shorten the prompt",
    2: "the computation was aborted",
    -1: "llama.cpp calls the batch invalid: its memory is not where we believe it is",
    -2: "llama.cpp could not allocate memory: close other programs or use a smaller model",
    -3: "the computation itself failed",
}
_FLASH = {"auto": -1, "off": 0, "on": 1}

Watch = Callable[[int | None, bool, int | None], bool]
"""Called for every tensor of a pass (ggml's cb_eval); it slows decoding, so never in a timed run."""


class CheckedContext:
    """A context of `model`; `llama_ns` adds up the time inside llama.cpp calls, synchronisation included.

    `shared_cache`: all sequences in one KV cache, which a copy of a sequence needs; else each has its own.
    Raises EngineError when llama.cpp cannot make it.
    """

    def __init__(
        self,
        model: Model,
        settings: Settings,
        *,
        n_ctx_tokens: int,
        n_rs_seq: int,
        n_sequences: int,
        shared_cache: bool,
        watch: Watch | None,
    ) -> None:
        self.model = model
        self.llama_ns = 0
        self._n_batch = settings.n_batch_tokens
        params = _params(settings, n_rs_seq, n_sequences)
        params.n_ctx, params.kv_unified = n_ctx_tokens, shared_cache
        if watch is not None:
            # ctypes frees the trampoline with its last reference, and llama.cpp keeps calling it.
            self._watch = llama_cpp.ggml_backend_sched_eval_callback(watch)
            params.cb_eval = self._watch
        with listening() as log:
            handle = llama_cpp.llama_init_from_model(model.handle, params)
        if not handle:
            raise EngineError(
                f"{model.name}: llama.cpp cannot make a context of {n_ctx_tokens} tokens; "
                "lower n_ctx or free memory",
                log_tail=log_tail(),
            )
        self.handle = handle
        self._memory = llama_cpp.llama_get_memory(handle)
        self._batch = llama_cpp.llama_batch_init(settings.n_batch_tokens, 0, 1)
        self.n_ctx_tokens = int(llama_cpp.llama_n_ctx(handle))
        self.n_rs_seq = int(llama_cpp.llama_n_rs_seq(handle))
        self.flash_attention = flash_attention(log, settings.flash_attention)
        self._views: dict[tuple[int, int], NDArray[np.float32]] = {}

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

    def close(self) -> None:
        """Free the context."""
        if self.handle:
            llama_cpp.llama_batch_free(self._batch)
            llama_cpp.llama_free(self.handle)
            self.handle = None

    def _clear_memory(self) -> None:
        llama_cpp.llama_memory_clear(self._memory, True)  # noqa: FBT003

    def _end_of(self, sequence: int) -> int:
        """Position of the last token that llama.cpp holds of a sequence, -1 for none."""
        return int(llama_cpp.llama_memory_seq_pos_max(self._memory, sequence))

    def _decode_filled(self, where: str) -> int:
        """Decode the batch as it was filled; nanoseconds until llama.cpp had finished."""
        started = time.monotonic_ns()
        code = llama_cpp.llama_decode(self.handle, self._batch)
        llama_cpp.llama_synchronize(self.handle)
        elapsed = time.monotonic_ns() - started
        self.llama_ns += elapsed
        if code != 0:
            raise EngineError(
                f"llama_decode of {self._batch.n_tokens} tokens {where} returned {code}: "
                f"{_ADVICE.get(code, 'a fatal error inside llama.cpp')}",
                code=code,
                log_tail=log_tail(),
            )
        return elapsed

    def _drop(self, sequence: int, start: int, end: int) -> None:
        """Drop positions `start` to `end` - 1, the last that a sequence holds."""
        started = time.monotonic_ns()
        removed = llama_cpp.llama_memory_seq_rm(self._memory, sequence, start, -1)
        self.llama_ns += time.monotonic_ns() - started
        if not removed:
            raise EngineError(
                f"llama_memory_seq_rm refused to drop positions {start} to {end - 1}: this memory "
                f"cannot be rolled back so far (n_rs_seq is {self.n_rs_seq})",
                log_tail=log_tail(),
            )

    def _expect_last(self, sequence: int, last: int) -> None:
        started = time.monotonic_ns()
        found = self._end_of(sequence)
        self.llama_ns += time.monotonic_ns() - started
        if found != last:
            raise EngineError(
                f"llama.cpp's memory ends at position {found}, not {last}: rollback is broken here",
                log_tail=log_tail(),
            )


def _params(settings: Settings, n_rs_seq: int, n_sequences: int) -> llama_cpp.llama_context_params:
    params = llama_cpp.llama_context_default_params()
    params.n_batch = settings.n_batch_tokens
    params.n_ubatch = settings.n_ubatch_tokens
    params.n_threads = params.n_threads_batch = settings.n_threads
    params.n_rs_seq = n_rs_seq
    params.n_seq_max = n_sequences
    params.flash_attn_type = _FLASH[settings.flash_attention]
    params.type_k = params.type_v = _kv_type(settings.kv_type)
    params.no_perf = True
    if settings.chooses_on_device:
        params.n_outputs_max = params.n_outputs_max_per_seq = MOST_ROWS
    return params


def _kv_type(name: str) -> int:
    types = {"f16": llama_cpp.GGML_TYPE_F16, "f32": llama_cpp.GGML_TYPE_F32, "q8_0": llama_cpp.GGML_TYPE_Q8_0}
    if name not in types:
        raise EngineError(f"kv_type {name!r} is unknown; use one of {', '.join(types)}")
    return int(types[name])
