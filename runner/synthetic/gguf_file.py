"""Writes one model as an unquantised GGUF, tensor by tensor: matrices in half precision, vectors in full."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import gguf
import numpy as np

from runner.synthetic.layers import layer_tensors
from runner.synthetic.readout import copying, readout_tensors
from runner.synthetic.shapes import ATTENTION_INTERVAL, CONVOLUTION_TAPS, Shape
from runner.synthetic.tensors import Tensor, make_values
from runner.synthetic.vocabulary import SPECIAL_TOKENS, Vocabulary

TRAINED_CONTEXT_TOKENS = 32768
ROPE_BASE, NORM_EPSILON = 1e7, 1e-6
DESCRIPTION = "Random weights in the structure of Qwen3.5: measures llama.cpp on this machine, not Qwen3.5."


def model_tensors(shape: Shape, *, noise: float) -> Iterator[Tensor]:
    """All tensors in file order; `noise` is the root mean square of what all layers add to the token code."""
    yield from readout_tensors(shape)
    for layer in range(shape.layers):
        for tensor in layer_tensors(shape, layer, noise=noise / math.sqrt(shape.layers)):
            copies = shape.tied and layer == 0 and ".ffn_" in tensor.name and len(tensor.shape) == 2
            yield copying(tensor, shape) if copies else tensor


def parameters(shape: Shape) -> int:
    """Number of weights of a model of this shape."""
    return sum(tensor.size for tensor in model_tensors(shape, noise=0.0))


def write_gguf(path: Path, shape: Shape, vocabulary: Vocabulary, *, name: str, seed: int, noise: float) -> None:
    """Write the model; the bytes depend only on the arguments."""
    writer = gguf.GGUFWriter(path, shape.architecture)
    _add_general(writer, shape, name)
    if shape.architecture != "llama":
        _add_delta_net(writer, shape)
    if shape.experts:
        _add_experts(writer, shape)
    _add_vocabulary(writer, vocabulary)
    tensors = list(model_tensors(shape, noise=noise))
    for tensor in tensors:
        writer.add_tensor_info(tensor.name, tensor.shape, np.dtype(tensor.dtype), tensor.size_bytes)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for tensor in tensors:
        writer.write_tensor_data(make_values(tensor, seed=seed))
    writer.close()


def _add_general(writer: gguf.GGUFWriter, shape: Shape, name: str) -> None:
    writer.add_name(name)
    writer.add_description(DESCRIPTION)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_context_length(TRAINED_CONTEXT_TOKENS)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.attention_heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.attention_head_size)
    writer.add_value_length(shape.attention_head_size)
    writer.add_layer_norm_rms_eps(NORM_EPSILON)
    writer.add_rope_freq_base(ROPE_BASE)
    writer.add_vocab_size(shape.vocabulary)


def _add_delta_net(writer: gguf.GGUFWriter, shape: Shape) -> None:
    rotated = shape.attention_head_size // 4
    half, third = rotated // 2, rotated // 6
    writer.add_rope_dimension_count(rotated)
    writer.add_rope_dimension_sections([half - 2 * third, third, third, 0])
    writer.add_ssm_conv_kernel(CONVOLUTION_TAPS)
    writer.add_ssm_state_size(shape.state_size)
    writer.add_ssm_group_count(shape.key_heads)
    writer.add_ssm_time_step_rank(shape.value_heads)
    writer.add_ssm_inner_size(shape.value_width)
    writer.add_full_attention_interval(ATTENTION_INTERVAL)


def _add_experts(writer: gguf.GGUFWriter, shape: Shape) -> None:
    writer.add_expert_count(shape.experts)
    writer.add_expert_used_count(shape.experts_used)
    writer.add_expert_feed_forward_length(shape.feed_forward)
    writer.add_expert_shared_feed_forward_length(shape.feed_forward)


def _add_vocabulary(writer: gguf.GGUFWriter, vocabulary: Vocabulary) -> None:
    normal, control = gguf.TokenType.NORMAL, gguf.TokenType.CONTROL
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen35")
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_types([control if token in SPECIAL_TOKENS else normal for token in vocabulary.tokens])
    writer.add_token_merges([f"{left} {right}" for left, right in vocabulary.merges])
    writer.add_bos_token_id(vocabulary.end_of_text)
    writer.add_eos_token_id(vocabulary.end_of_turn)
    writer.add_pad_token_id(vocabulary.end_of_text)
    writer.add_add_bos_token(value=False)
