"""The tensors of one layer: a token mixer (GDN or attention) and a feed-forward (dense or experts).

Everything here is random. What a layer adds to the residual stream is noise that depends on the context: the GDN
state remembers some dozens of tokens, attention picks single ones out of the whole text.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from runner.synthetic.shapes import CONVOLUTION_TAPS, Shape
from runner.synthetic.tensors import Array, Tensor, matrix, normal, ones, vector

MIXER_SHARE = 0.8
"""Part of a layer's noise variance that comes from its token mixer, which remembers the context."""

GDN_OUTPUT_RMS, ATTENTION_OUTPUT_RMS, FEED_FORWARD_RMS, EXPERTS_RMS = 0.6, 0.35, 0.6, 0.45
"""Typical size of what enters the output projection (experts: of their mean), for a normalised input."""

ATTENTION_SHARPNESS = 1.7
FASTEST_DECAY, SLOWEST_DECAY = 0.2, 0.01
"""Part of the GDN state that the heads forget per token: from a few tokens' memory to a hundred's."""

Namer = Callable[[str], str]


def layer_tensors(shape: Shape, layer: int, *, noise: float) -> Iterator[Tensor]:
    """All tensors of one layer that adds `noise` (root mean square) to the residual stream."""

    def name(tensor: str) -> str:
        return f"blk.{layer}.{tensor}"

    plain = shape.architecture == "llama"
    yield ones(name("attn_norm.weight"), shape.width)
    yield ones(name("ffn_norm.weight" if plain else "post_attention_norm.weight"), shape.width)
    mixer_noise, feed_forward_noise = noise * math.sqrt(MIXER_SHARE), noise * math.sqrt(1 - MIXER_SHARE)
    if shape.is_recurrent(layer):
        yield from _delta_net(shape, name, mixer_noise)
    else:
        yield from _plain_attention(shape, name, mixer_noise) if plain else _attention(shape, name, mixer_noise)
    feed_forward = _experts if shape.experts else _feed_forward
    yield from feed_forward(shape, name, feed_forward_noise)


def _delta_net(shape: Shape, name: Namer, noise: float) -> Iterator[Tensor]:
    width, heads, channels = shape.width, shape.value_heads, 2 * shape.key_width + shape.value_width
    yield matrix(name("attn_qkv.weight"), (channels, width))
    yield matrix(name("attn_gate.weight"), (shape.value_width, width))
    yield Tensor(name("ssm_conv1d.weight"), (channels, CONVOLUTION_TAPS), np.float32, _convolution(channels))
    yield vector(name("ssm_dt.bias"), _decay_bias(heads))
    yield ones(name("ssm_a"), heads, -1.0)
    yield matrix(name("ssm_beta.weight"), (heads, width))
    yield matrix(name("ssm_alpha.weight"), (heads, width), gain=0.5)
    yield ones(name("ssm_norm.weight"), shape.state_size)
    yield matrix(name("ssm_out.weight"), (width, shape.value_width), gain=noise / GDN_OUTPUT_RMS)


def _convolution(channels: int) -> Callable[[np.random.Generator], Array]:
    """The newest tap passes the token through, the older three mix in its neighbours."""

    def make(rng: np.random.Generator) -> Array:
        taps = normal((channels, CONVOLUTION_TAPS), 0.3)(rng).astype(np.float32)
        taps[:, -1] += 1
        return taps

    return make


def _decay_bias(heads: int) -> Array:
    """Bias whose softplus is the wanted decay; the heads' decays are spread evenly on a logarithmic scale."""
    decay = np.geomspace(FASTEST_DECAY, SLOWEST_DECAY, heads)
    return np.log(np.expm1(decay))


def _attention(shape: Shape, name: Namer, noise: float) -> Iterator[Tensor]:
    """Qwen3.5's attention: query and output gate share one projection, queries and keys are normalised."""
    width = shape.width
    yield matrix(name("attn_q.weight"), (2 * shape.query_width, width))
    yield matrix(name("attn_k.weight"), (shape.kv_width, width))
    yield matrix(name("attn_v.weight"), (shape.kv_width, width))
    yield ones(name("attn_q_norm.weight"), shape.attention_head_size, ATTENTION_SHARPNESS)
    yield ones(name("attn_k_norm.weight"), shape.attention_head_size, ATTENTION_SHARPNESS)
    gain = noise / ATTENTION_OUTPUT_RMS
    yield matrix(name("attn_output.weight"), (width, shape.query_width), gain=gain)


def _plain_attention(shape: Shape, name: Namer, noise: float) -> Iterator[Tensor]:
    width = shape.width
    yield matrix(name("attn_q.weight"), (shape.query_width, width), gain=ATTENTION_SHARPNESS)
    yield matrix(name("attn_k.weight"), (shape.kv_width, width), gain=ATTENTION_SHARPNESS)
    yield matrix(name("attn_v.weight"), (shape.kv_width, width))
    yield matrix(name("attn_output.weight"), (width, shape.query_width), gain=noise / ATTENTION_OUTPUT_RMS)


def _feed_forward(shape: Shape, name: Namer, noise: float) -> Iterator[Tensor]:
    width, hidden = shape.width, shape.feed_forward
    yield matrix(name("ffn_gate.weight"), (hidden, width))
    yield matrix(name("ffn_up.weight"), (hidden, width))
    yield matrix(name("ffn_down.weight"), (width, hidden), gain=noise / FEED_FORWARD_RMS)


def _experts(shape: Shape, name: Namer, noise: float) -> Iterator[Tensor]:
    width, hidden, count = shape.width, shape.feed_forward, shape.experts
    gain = noise / EXPERTS_RMS
    yield Tensor(name("ffn_gate_inp.weight"), (count, width), np.float32, normal((count, width), width**-0.5))
    yield matrix(name("ffn_gate_exps.weight"), (count, hidden, width))
    yield matrix(name("ffn_up_exps.weight"), (count, hidden, width))
    yield matrix(name("ffn_down_exps.weight"), (count, width, hidden), gain=gain)
    yield Tensor(name("ffn_gate_inp_shexp.weight"), (width,), np.float32, normal((width,), width**-0.5))
    yield matrix(name("ffn_gate_shexp.weight"), (hidden, width))
    yield matrix(name("ffn_up_shexp.weight"), (hidden, width))
    yield matrix(name("ffn_down_shexp.weight"), (width, hidden), gain=gain)
