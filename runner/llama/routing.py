"""Which experts a pass touched, read from llama.cpp's `ffn_moe_topk-<layer>` tensors while it computes.

Looking costs graph splits and synchronisation, so this is never part of a timed run.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Sequence

import numpy as np
from llama_cpp import _ggml
from numpy.typing import NDArray

from runner.errors import EngineError, ModelError
from runner.llama.context import Context
from runner.llama.greedy import greedy_choice
from runner.llama.library import log_tail
from runner.llama.model import Model
from runner.record import Settings

_NAME = re.compile(rb"ffn_moe_topk-(\d+)")
_INT32_BYTES = 4
_PROBE = "the quick brown fox jumps over the lazy dog"
_PROBE_TOKENS = 8

Experts = NDArray[np.int32]
"""Expert ids, shape (tokens, layers, experts used)."""


class RoutingContext:
    """A context of a mixture-of-experts model that remembers which experts its last decode used."""

    def __init__(self, model: Model, settings: Settings) -> None:
        self.n_experts = expert_count(model)
        self._ggml = _typed_ggml()
        self._seen: dict[int, list[Experts]] = {}
        self._context = Context(model, settings, n_sequences=2, watch=self._on_tensor)

    def begin(self) -> None:
        """Forget all tokens."""
        self._context.clear()

    def experts_of(self, tokens: Sequence[int]) -> Experts:
        """Decode `tokens` after those held; shape (tokens, layers, experts used)."""
        self._seen = {}
        self._context.decode(tokens, n_outputs=len(tokens))
        return np.stack([np.concatenate(self._seen[layer]) for layer in sorted(self._seen)], axis=1)

    def experts_of_guess(self, tokens: Sequence[int]) -> Experts:
        """Like `experts_of`, and then take the tokens out again."""
        self._context.save_snapshot()
        experts = self.experts_of(tokens)
        self._context.restore_snapshot()
        return experts

    def next_token(self) -> int:
        """Greedy token after the last one decoded."""
        return greedy_choice(self._context.logits(1)).tokens[0]

    def close(self) -> None:
        """Free the context."""
        self._context.close()

    def _on_tensor(self, tensor: int | None, ask: bool, _user_data: int | None) -> bool:  # noqa: FBT001
        match = _NAME.fullmatch(self._ggml.ggml_get_name(tensor))
        if ask or match is None:
            return match is not None
        self._seen.setdefault(int(match[1]), []).append(self._read(tensor))
        return True

    def _read(self, tensor: int | None) -> Experts:
        """The tensor is a view of a full argsort: rows of `k` ids, but `n_experts` apart."""
        buffer = (ctypes.c_int32 * (self._ggml.ggml_nbytes(tensor) // _INT32_BYTES))()
        self._ggml.ggml_backend_tensor_get(tensor, buffer, 0, ctypes.sizeof(buffer))
        ids = np.frombuffer(buffer, dtype=np.int32)
        n_rows = 1 + (len(ids) - 1) // self.n_experts
        n_used = len(ids) - (n_rows - 1) * self.n_experts
        return np.stack([ids[row * self.n_experts : row * self.n_experts + n_used] for row in range(n_rows)])


def check_experts_used(model: Model, settings: Settings, experts_used: int) -> None:
    """Decode a few tokens and count the experts in their routing: an override that llama.cpp ignored shows here.

    Raises EngineError when a token is not routed to `experts_used` distinct experts in every layer.
    """
    context = RoutingContext(model, settings)
    try:
        experts = context.experts_of(model.tokenize(_PROBE)[:_PROBE_TOKENS])
    finally:
        context.close()
    found = {len(np.unique(layer)) for token in experts for layer in token}
    if found != {experts_used}:
        raise EngineError(
            f"{model.name}: asked for {experts_used} experts per token, llama.cpp routes to "
            f"{', '.join(map(str, sorted(found)))}: it ignored the override, so nothing was measured",
            log_tail=log_tail(),
        )


def expert_count(model: Model) -> int:
    """Experts per layer as the GGUF says; raises ModelError for a dense model."""
    value = model.metadata(f"{model.architecture}.expert_count")
    if value is None or int(value) == 0:
        raise ModelError(f"{model.name}: a dense model has no experts to count; name a mixture-of-experts target")
    return int(value)


def _typed_ggml() -> ctypes.CDLL:
    ggml = _ggml.libggml
    ggml.ggml_get_name.argtypes = [ctypes.c_void_p]
    ggml.ggml_get_name.restype = ctypes.c_char_p
    ggml.ggml_nbytes.argtypes = [ctypes.c_void_p]
    ggml.ggml_nbytes.restype = ctypes.c_size_t
    ggml.ggml_backend_tensor_get.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t]
    ggml.ggml_backend_tensor_get.restype = None
    library: ctypes.CDLL = ggml
    return library
