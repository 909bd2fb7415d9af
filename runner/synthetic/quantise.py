"""Quantises a GGUF with llama.cpp's own quantiser, silently."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import llama_cpp

from runner.errors import EngineError
from runner.synthetic.shapes import Quantisation

_FILE_TYPES = {
    "Q8_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0,
    "Q4_K_M": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_K_M,
}
_KEPT_LOG_LINES = 5


def quantise(source: Path, target: Path, quantisation: Quantisation) -> None:
    """Write `target` from the half-precision `source`.

    Raises EngineError with llama.cpp's last log lines when it fails (a full disk, for instance).
    """
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = _FILE_TYPES[quantisation]
    params.nthread = os.cpu_count() or 1
    with _captured_log() as lines:
        code = llama_cpp.llama_model_quantize(os.fsencode(source), os.fsencode(target), ctypes.byref(params))
    if code != 0:
        tail = tuple(lines[-_KEPT_LOG_LINES:])
        raise EngineError(
            f"llama.cpp could not quantise the synthetic model {target.name} to {quantisation}: "
            f"{' | '.join(tail)}. Check the free disk space of {target.parent}.",
            code=code,
            log_tail=tail,
        )


@contextmanager
def _captured_log() -> Iterator[list[str]]:
    """Collect llama.cpp's log lines, then give the log back to whoever had it."""
    before, user_data = llama_cpp.llama_log_callback(), ctypes.c_void_p()
    llama_cpp.llama_log_get(ctypes.byref(before), ctypes.byref(user_data))
    lines: list[str] = []

    def collect(_level: int, text: bytes, _user_data: ctypes.c_void_p) -> None:
        lines.append(text.decode(errors="replace").strip())

    callback = llama_cpp.llama_log_callback(collect)
    llama_cpp.llama_log_set(callback, ctypes.c_void_p())
    try:
        yield lines
    finally:
        llama_cpp.llama_log_set(before, user_data)
