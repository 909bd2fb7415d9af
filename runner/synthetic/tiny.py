"""Tiny models for tests: real files for llama.cpp, built in well under a second, a megabyte or two each."""

from __future__ import annotations

import tempfile
from pathlib import Path

from runner.synthetic.gguf_file import write_gguf
from runner.synthetic.quantise import quantise
from runner.synthetic.shapes import Architecture, Shape
from runner.synthetic.vocabulary import Vocabulary, foreign_vocabulary, vocabulary

TINY_SHAPES: dict[str, Shape] = {
    "qwen35": Shape(
        architecture="qwen35", layers=4, width=128, feed_forward=256, tied=False,
        attention_heads=4, kv_heads=2, attention_head_size=64, key_heads=2, value_heads=4, state_size=32,
    ),
    "qwen35moe": Shape(
        architecture="qwen35moe", layers=4, width=128, feed_forward=32, tied=False,
        attention_heads=4, kv_heads=2, attention_head_size=64, key_heads=2, value_heads=4, state_size=32,
        experts=16, experts_used=4,
    ),
    "llama": Shape(
        architecture="llama", layers=2, width=128, feed_forward=256, tied=False,
        attention_heads=4, kv_heads=2, attention_head_size=32,
    ),
}  # fmt: skip


def tiny_model(architecture: Architecture, path: Path, *, seed: int = 1, noise: float = 1.0) -> Path:
    """Write a tiny Q8_0 model of the family's vocabulary and next-token table; returns `path`.

    Models of any architecture and seed share the table, so with little `noise` they agree on most tokens (0: on
    nearly all), with noise 1 or more on few. Raises EngineError when llama.cpp cannot quantise it.
    """
    return _write(architecture, vocabulary(), path, seed=seed, noise=noise)


def tiny_foreign_model(architecture: Architecture, path: Path, *, seed: int = 1, noise: float = 1.0) -> Path:
    """Like `tiny_model`, with another vocabulary of the same size: a draft every target must refuse."""
    return _write(architecture, foreign_vocabulary(), path, seed=seed, noise=noise)


def _write(architecture: Architecture, words: Vocabulary, path: Path, *, seed: int, noise: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".building-") as work:
        unquantised, quantised = Path(work, "f16.gguf"), Path(work, "q8_0.gguf")
        name = f"specstudy tiny {architecture}"
        write_gguf(unquantised, TINY_SHAPES[architecture], words, name=name, seed=seed, noise=noise)
        quantise(unquantised, quantised, "Q8_0")
        quantised.replace(path)
    return path
