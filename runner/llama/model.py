"""One loaded GGUF: weights, vocabulary, kind of memory."""

from __future__ import annotations

import ctypes
from pathlib import Path

import llama_cpp

from runner.errors import ModelError
from runner.gguf_facts import read_card
from runner.llama.library import listening, load_library, log_tail
from runner.llama.log_facts import layers_by_device

_ALL_LAYERS = 999


class Model:
    """Weights of one GGUF, loaded once and shared by all contexts made from it.

    `layers` counts, for each device, the layers that llama.cpp put on it, the output layer among them.
    `experts_used` asks llama.cpp for another top-k than the GGUF's; whether it obeys, only
    `runner.llama.routing.check_experts_used` knows. Raises ModelError when the file is missing, llama.cpp cannot
    load it, or a dense model is asked for experts.
    """

    def __init__(self, path: Path, *, n_gpu_layers: int, experts_used: int | None = None) -> None:
        if not path.is_file():
            raise ModelError(f"{path.name}: no such GGUF; see `python -m runner models list`")
        load_library()
        params = llama_cpp.llama_model_default_params()
        params.n_gpu_layers = _ALL_LAYERS if n_gpu_layers < 0 else n_gpu_layers
        if experts_used is not None:
            # llama.cpp reads the array while it loads, ctypes frees it with its last reference.
            overrides = _experts_used_override(path, experts_used)
            params.kv_overrides = overrides
        with listening() as log:
            handle = llama_cpp.llama_model_load_from_file(str(path).encode(), params)
        if not handle:
            raise ModelError(
                f"{path.name}: llama.cpp cannot load it ({_last_words()}); is the download complete?"
            )
        self.name = path.name
        self.handle = handle
        self.layers = layers_by_device(log)
        self._vocab = llama_cpp.llama_model_get_vocab(handle)
        self.n_vocab = int(llama_cpp.llama_vocab_n_tokens(self._vocab))
        self.is_hybrid = bool(llama_cpp.llama_model_is_hybrid(handle))
        self.is_recurrent = bool(llama_cpp.llama_model_is_recurrent(handle))

    @property
    def has_recurrent_state(self) -> bool:
        """True when dropping tokens means more than trimming a KV cache."""
        return self.is_hybrid or self.is_recurrent

    @property
    def architecture(self) -> str:
        """Name of the architecture, as in the GGUF."""
        return self.metadata("general.architecture") or "unknown"

    def metadata(self, key: str) -> str | None:
        """The GGUF's value of `key` as text, None when it has none."""
        buffer = ctypes.create_string_buffer(256)
        length = llama_cpp.llama_model_meta_val_str(self.handle, key.encode(), buffer, len(buffer))
        return None if length < 0 else buffer.value.decode("utf-8", "replace")

    def tokenize(self, text: str) -> list[int]:
        """Token ids of `text`, without special tokens added."""
        data = text.encode()
        capacity = len(data) + 8
        buffer = (llama_cpp.llama_token * capacity)()
        count = llama_cpp.llama_tokenize(self._vocab, data, len(data), buffer, capacity, False, False)  # noqa: FBT003
        if count < 0:
            raise ModelError(f"{self.name}: its tokenizer refused a text of {len(data)} bytes")
        return list(buffer[:count])

    def detokenize(self, tokens: list[int]) -> str:
        """Text of token ids; bytes that are no UTF-8 show as U+FFFD."""
        return b"".join(self._piece(token) for token in tokens).decode("utf-8", "replace")

    def _piece(self, token: int) -> bytes:
        buffer = ctypes.create_string_buffer(256)
        length = llama_cpp.llama_token_to_piece(self._vocab, token, buffer, len(buffer), 0, True)  # noqa: FBT003
        return buffer.raw[: max(length, 0)]

    def close(self) -> None:
        """Free the weights; every context made from them must be closed before."""
        if self.handle:
            llama_cpp.llama_model_free(self.handle)
            self.handle = None


def _experts_used_override(path: Path, experts_used: int) -> ctypes.Array[llama_cpp.llama_model_kv_override]:
    """One override and the empty one that ends the list. Of any other type than INT, llama.cpp only logs it."""
    card = read_card(path)
    if not 1 <= experts_used <= card.n_experts:
        raise ModelError(
            f"{path.name}: {experts_used} experts per token were asked for, and a layer has {card.n_experts}; "
            "choose a mixture of experts and at least 1"
        )
    overrides: ctypes.Array[llama_cpp.llama_model_kv_override] = (llama_cpp.llama_model_kv_override * 2)()
    overrides[0].tag = llama_cpp.LLAMA_KV_OVERRIDE_TYPE_INT
    overrides[0].key = f"{card.architecture}.expert_used_count".encode()
    overrides[0].value.val_i64 = experts_used
    return overrides


def _last_words() -> str:
    lines = [line for line in log_tail() if "error" in line or "fail" in line]
    return lines[-1].strip() if lines else "it gave no reason"
