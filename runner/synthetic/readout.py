"""Embedding and output: how a token becomes a vector and a vector becomes the logits of its successors.

Untied: the embedding is the token's code, the output row of a token is the weighted sum of its predecessors'
codes. Tied members have one matrix for both, which would make logits symmetric in (token, next token), so their
embedding has two halves, [code ; predecessor codes]. The first layer's feed-forward copies the code into the
second half and the output norm reads only that half.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runner.synthetic.shapes import Shape
from runner.synthetic.table import predecessor_codes, token_codes
from runner.synthetic.tensors import Array, Maker, Tensor, ones, vector

TOP_LOGIT = 16.0
PREDECESSOR_SCALE = 0.05
GATE_DIMENSION = 2.0
"""Value of the tied members' constant dimension, which holds the gates of the copying neurons open."""

_OPEN_GATE = 4.0
_SILU_OF_OPEN_GATE = _OPEN_GATE / (1 + np.exp(-_OPEN_GATE))


def readout_tensors(shape: Shape) -> Iterator[Tensor]:
    """Embedding, output norm and, where not tied, the output matrix."""
    width, rows = shape.width, (shape.vocabulary, shape.width)
    if shape.tied:
        yield Tensor("token_embd.weight", rows, np.float16, lambda _: _tied_embedding(width))
        yield vector("output_norm.weight", _second_half_norm(width))
        return
    yield Tensor("token_embd.weight", rows, np.float16, lambda _: token_codes()[:, :width])
    yield ones("output_norm.weight", width)
    yield Tensor("output.weight", rows, np.float16, lambda _: predecessor_codes(width) * (TOP_LOGIT / width))


def copying(tensor: Tensor, shape: Shape) -> Tensor:
    """The first layer's feed-forward matrix with its first neurons turned into copiers of the code."""
    change = {"gate": _open_gates, "up": _read_code, "down": _write_code}
    kind = tensor.name.split(".")[2].removeprefix("ffn_")
    return tensor._replace(make=change[kind](tensor.make, shape.width))


def _code_length(width: int) -> int:
    """Code dimensions of a tied member: half the width, less the constant dimension."""
    return width // 2 - 1


def _tied_embedding(width: int) -> Array:
    length = _code_length(width)
    rows = np.zeros((len(token_codes()), width), dtype=np.float32)
    rows[:, :length] = token_codes()[:, :length]
    rows[:, length] = GATE_DIMENSION
    rows[:, width // 2 : width // 2 + length] = predecessor_codes(length) * PREDECESSOR_SCALE
    return rows


def _second_half_norm(width: int) -> Array:
    length = _code_length(width)
    weights = np.zeros(width)
    weights[width // 2 : width // 2 + length] = TOP_LOGIT / (PREDECESSOR_SCALE * length)
    return weights


def _open_gates(make: Maker, width: int) -> Maker:
    """The copiers' gates look at the constant dimension only."""
    length = _code_length(width)

    def make_gate(rng: np.random.Generator) -> Array:
        values = make(rng).copy()
        values[:length] = 0
        values[:length, length] = _OPEN_GATE / GATE_DIMENSION
        return values

    return make_gate


def _read_code(make: Maker, width: int) -> Maker:
    """Copier i reads dimension i of the first half."""
    length = _code_length(width)

    def make_up(rng: np.random.Generator) -> Array:
        values = make(rng).copy()
        values[:length] = np.eye(length, width)
        return values

    return make_up


def _write_code(make: Maker, width: int) -> Maker:
    """Copier i writes dimension i of the second half, and nothing else."""
    length = _code_length(width)

    def make_down(rng: np.random.Generator) -> Array:
        values = make(rng).copy()
        values[:, :length] = 0
        values[width // 2 : width // 2 + length, :length] = np.eye(length) / _SILU_OF_OPEN_GATE
        return values

    return make_down
