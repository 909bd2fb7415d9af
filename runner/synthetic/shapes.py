"""The shapes of the family's members: Qwen3.5's structure at about 1:165 of its text parameter counts.

Structure kept from the real models (facts: llama.cpp's `qwen35.cpp` and `qwen35moe.cpp`): three gated-delta-net
(GDN) layers to one attention layer, a 256-expert mixture with 8 routed experts and one gated shared expert,
tied embeddings where the real ones are tied, twice as many GDN value heads as key heads from 4B on.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from runner.synthetic.vocabulary import VOCABULARY_TOKENS

Architecture = Literal["qwen35", "qwen35moe", "llama"]
Quantisation = Literal["Q8_0", "Q4_K_M"]

ATTENTION_INTERVAL = 4
"""Every fourth layer is full attention, the others are recurrent (Qwen3.5's `full_attention_interval`)."""

CONVOLUTION_TAPS = 4


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """Dimensions of one model; all counts, no units."""

    architecture: Architecture
    layers: int
    width: int
    feed_forward: int
    """Width of the dense feed-forward, or of one expert (and of the shared expert)."""
    tied: bool
    attention_heads: int
    kv_heads: int
    attention_head_size: int
    key_heads: int = 0
    value_heads: int = 0
    state_size: int = 0
    """Rows and columns of one GDN head's state."""
    experts: int = 0
    experts_used: int = 0
    vocabulary: int = VOCABULARY_TOKENS

    @property
    def key_width(self) -> int:
        """All GDN keys (or queries) of one token."""
        return self.key_heads * self.state_size

    @property
    def value_width(self) -> int:
        """All GDN values of one token."""
        return self.value_heads * self.state_size

    @property
    def query_width(self) -> int:
        """All attention queries of one token."""
        return self.attention_heads * self.attention_head_size

    @property
    def kv_width(self) -> int:
        """All attention keys (or values) of one token."""
        return self.kv_heads * self.attention_head_size

    def is_recurrent(self, layer: int) -> bool:
        """Whether this layer keeps a GDN state instead of a KV cache."""
        return self.architecture != "llama" and (layer + 1) % ATTENTION_INTERVAL != 0


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One GGUF of the family."""

    name: str
    shape: Shape
    seed: int
    noise: float
    """Root mean square of what all layers together add to the residual stream, in units of the token code."""
    quantisation: Quantisation = "Q8_0"
    real_parameters: int = 0
    """Text parameters of the real model it stands for; 0 when there is none."""

    @property
    def weights(self) -> str:
        """The name without its quantisation: members that share it are quantised from one file."""
        return self.name.partition("-q")[0]
