"""Tensors of the real Qwen3.5 models, and GGUFs that carry them as holes: full metadata, no weights on disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, LlamaFileType
from gguf.quants import quant_shape_to_byte_shape

VOCABULARY = 248_320
TYPES = {
    "Q4_K_M": (LlamaFileType.MOSTLY_Q4_K_M, GGMLQuantizationType.Q4_K),
    "Q8_0": (LlamaFileType.MOSTLY_Q8_0, GGMLQuantizationType.Q8_0),
    "BF16": (LlamaFileType.MOSTLY_BF16, GGMLQuantizationType.BF16),
}


@dataclass(frozen=True)
class Shape:
    layers: int
    hidden: int
    ffn: int
    heads: int
    kv_heads: int
    value_heads: int
    tied: bool
    experts: int = 0

    @property
    def architecture(self) -> str:
        return "qwen35moe" if self.experts else "qwen35"


SHAPES = {
    "0.8b": Shape(24, 1024, 3584, 8, 2, 16, tied=True),
    "2b": Shape(24, 2048, 6144, 8, 2, 16, tied=True),
    "4b": Shape(32, 2560, 9216, 16, 4, 32, tied=True),
    "9b": Shape(32, 4096, 12288, 16, 4, 32, tied=False),
    "35b-a3b": Shape(40, 2048, 512, 16, 2, 32, tied=False, experts=256),
}


def tensors(shape: Shape, mtp_blocks: int = 0) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Name and shape (rows first) of every tensor."""
    yield "token_embd.weight", (VOCABULARY, shape.hidden)
    yield "output_norm.weight", (shape.hidden,)
    if not shape.tied:
        yield "output.weight", (VOCABULARY, shape.hidden)
    for block in range(shape.layers + mtp_blocks):
        attention = (block + 1) % 4 == 0 or block >= shape.layers
        mixer = _attention(shape) if attention else _delta_net(shape)
        extra = {"nextn.eh_proj": (shape.hidden, 2 * shape.hidden)} if block >= shape.layers else {}
        for name, size in {**mixer, **_feed_forward(shape), **extra}.items():
            yield f"blk.{block}.{name}{'' if name == 'ssm_a' or '.bias' in name else '.weight'}", size


def _attention(shape: Shape) -> dict[str, tuple[int, ...]]:
    hidden, width = shape.hidden, 256
    return {
        "attn_q": (shape.heads * width * 2, hidden),
        "attn_k": (shape.kv_heads * width, hidden),
        "attn_v": (shape.kv_heads * width, hidden),
        "attn_output": (hidden, shape.heads * width),
        "attn_q_norm": (width,),
        "attn_k_norm": (width,),
    }


def _delta_net(shape: Shape) -> dict[str, tuple[int, ...]]:
    hidden, keys, values = shape.hidden, 16 * 128, shape.value_heads * 128
    return {
        "attn_qkv": (2 * keys + values, hidden),
        "attn_gate": (values, hidden),
        "ssm_conv1d": (2 * keys + values, 4),
        "ssm_dt.bias": (shape.value_heads,),
        "ssm_a": (shape.value_heads,),
        "ssm_beta": (shape.value_heads, hidden),
        "ssm_alpha": (shape.value_heads, hidden),
        "ssm_norm": (128,),
        "ssm_out": (hidden, values),
    }


def _feed_forward(shape: Shape) -> dict[str, tuple[int, ...]]:
    hidden, ffn, experts = shape.hidden, shape.ffn, shape.experts
    norms: dict[str, tuple[int, ...]] = {"attn_norm": (hidden,), "post_attention_norm": (hidden,)}
    if not experts:
        return norms | {"ffn_gate": (ffn, hidden), "ffn_up": (ffn, hidden), "ffn_down": (hidden, ffn)}
    return norms | {
        "ffn_gate_inp": (experts, hidden),
        "ffn_gate_exps": (experts, ffn, hidden),
        "ffn_up_exps": (experts, ffn, hidden),
        "ffn_down_exps": (experts, hidden, ffn),
        "ffn_gate_inp_shexp": (hidden,),
        "ffn_gate_shexp": (ffn, hidden),
        "ffn_up_shexp": (ffn, hidden),
        "ffn_down_shexp": (hidden, ffn),
    }


def token_list(size: int = VOCABULARY) -> list[str]:
    return [f"t{number}" for number in range(size)]


def write_hollow(
    path: Path,
    model: str,
    quantisation: str = "Q8_0",
    *,
    mtp_blocks: int = 0,
    tokens: list[str] | None = None,
    overrides: dict[str, int] | None = None,
) -> Path:
    """A GGUF with all metadata of a real model whose tensor data is one hole in the file."""
    shape = SHAPES[model]
    file_type, tensor_type = TYPES[quantisation]
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = GGUFWriter(path, shape.architecture)
    writer.add_file_type(file_type)
    for key, value in {**_keys(shape, mtp_blocks), **(overrides or {})}.items():
        writer.add_uint32(f"{shape.architecture}.{key}", value)
    writer.add_token_list(token_list() if tokens is None else tokens)
    for name, size in tensors(shape, mtp_blocks):
        kind = tensor_type if len(size) > 1 and size[-1] % 256 == 0 else GGMLQuantizationType.F32
        n_bytes = int(np.prod(quant_shape_to_byte_shape(size, kind)))
        stored = quant_shape_to_byte_shape(size, kind) if kind != GGMLQuantizationType.F32 else size
        dtype = np.dtype(np.uint8) if kind != GGMLQuantizationType.F32 else np.dtype(np.float32)
        writer.add_tensor_info(name, stored, dtype, n_bytes, raw_dtype=kind)
    data_bytes = sum(
        -(-info.nbytes // writer.data_alignment) * writer.data_alignment for info in writer.tensors[0].values()
    )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    aligned = -(-path.stat().st_size // 32) * 32
    os.truncate(path, aligned + data_bytes)
    return path


def _keys(shape: Shape, mtp_blocks: int) -> dict[str, int]:
    keys = {
        "block_count": shape.layers + mtp_blocks,
        "context_length": 262_144,
        "embedding_length": shape.hidden,
        "attention.head_count": shape.heads,
        "attention.head_count_kv": shape.kv_heads,
        "attention.key_length": 256,
        "attention.value_length": 256,
        "ssm.conv_kernel": 4,
        "ssm.state_size": 128,
        "ssm.group_count": 16,
        "ssm.inner_size": shape.value_heads * 128,
    }
    if mtp_blocks:
        keys["nextn_predict_layers"] = mtp_blocks
    if shape.experts:
        keys |= {"expert_count": shape.experts, "expert_used_count": 8}
    return keys
