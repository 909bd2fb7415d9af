"""The loaded llama.cpp library: its log, its build, its backends.

The log never reaches the user's terminal; the last lines go into the error of the call that failed, and in a
measuring process also into its file of last words, for the call that never returns.
"""

from __future__ import annotations

import ctypes
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import llama_cpp
from llama_cpp import _ggml

from runner.llama.last_words import LastWords
from runner.record import EngineFacts

_LOG_LINES = 40
_log: deque[str] = deque(maxlen=_LOG_LINES)
_partial = ""
_listeners: list[list[str]] = []
_last_words: list[LastWords] = []


@llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]
def _on_log(_level: int, text: bytes, _user_data: ctypes.c_void_p) -> None:
    # llama.cpp's log is global and arrives in pieces.
    global _partial
    *whole, _partial = (_partial + text.decode("utf-8", "replace")).split("\n")
    lines = [line for line in whole if line.strip()]
    _log.extend(lines)
    if lines:
        for each in _last_words:
            each.add(lines, tuple(_log))
    for heard in _listeners:
        heard.extend(lines)


@cache
def load_library() -> None:
    """Start llama.cpp's backends once and take its log away from the terminal."""
    llama_cpp.llama_log_set(_on_log, ctypes.c_void_p(0))
    llama_cpp.llama_backend_init()


@contextmanager
def listening() -> Iterator[list[str]]:
    """All lines that llama.cpp logs during a `with` block; most calls log more than `log_tail` remembers."""
    heard: list[str] = []
    _listeners.append(heard)
    try:
        yield heard
    finally:
        _listeners[:] = [each for each in _listeners if each is not heard]


def keep_log_in(descriptor: int) -> None:
    """Also write every log line to the file open at `descriptor`, where it outlives this process."""
    _last_words[:] = [LastWords(descriptor)]


def log_tail(n_lines: int = 12) -> tuple[str, ...]:
    """The last lines that llama.cpp logged, oldest first."""
    return tuple(_log)[-n_lines:]


def engine_facts() -> EngineFacts:
    """Version, compile-time features and backend devices of this build."""
    load_library()
    return EngineFacts(
        name="llama.cpp",
        version=f"llama-cpp-python {llama_cpp.__version__}",
        system_info=llama_cpp.llama_print_system_info().decode("utf-8", "replace").strip(),
        backends=_backend_devices(),
    )


def _backend_devices() -> list[str]:
    ggml = _ggml.libggml
    ggml.ggml_backend_dev_count.restype = ctypes.c_size_t
    ggml.ggml_backend_dev_get.argtypes = [ctypes.c_size_t]
    ggml.ggml_backend_dev_get.restype = ctypes.c_void_p
    ggml.ggml_backend_dev_name.argtypes = [ctypes.c_void_p]
    ggml.ggml_backend_dev_name.restype = ctypes.c_char_p
    names = (
        ggml.ggml_backend_dev_name(ggml.ggml_backend_dev_get(index))
        for index in range(ggml.ggml_backend_dev_count())
    )
    return [name.decode("utf-8", "replace") for name in names]
