"""Quantises a GGUF with llama.cpp's own quantiser, silently."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import llama_cpp

from runner.errors import EngineError
from runner.llama.library import load_library, log_tail
from runner.synthetic.shapes import Quantisation

_FILE_TYPES = {
    "Q8_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0,
    "Q4_K_M": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_K_M,
}


def quantise(source: Path, target: Path, quantisation: Quantisation) -> None:
    """Write `target` from the half-precision `source`.

    Raises EngineError with llama.cpp's last log lines when it fails (a full disk, for instance).
    """
    load_library()
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = _FILE_TYPES[quantisation]
    params.nthread = os.cpu_count() or 1
    code = llama_cpp.llama_model_quantize(os.fsencode(source), os.fsencode(target), ctypes.byref(params))
    if code != 0:
        lines = log_tail()
        raise EngineError(
            f"{target}: llama.cpp could not quantise the model to {quantisation} "
            f"({lines[-1].strip() if lines else 'it gave no reason'}); is the disk full?",
            code=code,
            log_tail=lines,
        )
