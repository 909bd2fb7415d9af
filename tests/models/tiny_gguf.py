"""Tiny GGUFs with a few kilobytes of everything a header can hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from gguf import GGUFWriter

TOKENS = ["<s>", "a", "b", "ab", "é", "日"]


def write_tiny(
    path: Path, *, tokens: list[str] | None = None, part: tuple[int, int, int] | None = None, blocks: int = 2
) -> Path:
    """A plain attention model of some layers; `part` is (number from 0, parts, tensors in all parts)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = GGUFWriter(path, "llama")
    if part is None or part[0] == 0:
        _write_keys(writer, TOKENS if tokens is None else tokens, blocks)
    if part is not None:
        writer.add_uint16("split.no", part[0])
        writer.add_uint16("split.count", part[1])
        writer.add_int32("split.tensors.count", part[2])
    first = 0 if part is None else part[0] * blocks
    if part is None or part[0] == 0:
        writer.add_tensor("token_embd.weight", np.zeros((6, 8), dtype=np.float32))
    for block in range(first, first + blocks):
        writer.add_tensor(f"blk.{block}.attn_q.weight", np.zeros((8, 8), dtype=np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def write_parts(folder: Path, stem: str, parts: int) -> list[Path]:
    """A model split over files named as llama.cpp's splitter names them; one embedding and two blocks a part."""
    total = 1 + 2 * parts
    return [
        write_tiny(folder / f"{stem}-{number + 1:05d}-of-{parts:05d}.gguf", part=(number, parts, total))
        for number in range(parts)
    ]


def _write_keys(writer: GGUFWriter, tokens: list[str], blocks: int) -> None:
    writer.add_block_count(4 * blocks)
    writer.add_embedding_length(8)
    writer.add_head_count(2)
    writer.add_head_count_kv(1)
    writer.add_context_length(64)
    writer.add_file_type(1)
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types([1] * len(tokens))
