"""One tensor of a model file, made on demand from its own random stream.

Random weights are random bytes mapped to the 256 quantiles of a normal distribution: 200 million take a second.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from functools import cache
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Maker = Callable[[np.random.Generator], Array]


class Tensor(NamedTuple):
    """Name in the file, numpy shape (ggml's, reversed), type, and the function that makes the values."""

    name: str
    shape: tuple[int, ...]
    dtype: type[np.float16] | type[np.float32]
    make: Maker

    @property
    def size(self) -> int:
        """Number of weights."""
        return math.prod(self.shape)

    @property
    def size_bytes(self) -> int:
        """Bytes in the unquantised file."""
        return self.size * np.dtype(self.dtype).itemsize


def make_values(tensor: Tensor, *, seed: int) -> Array:
    """The tensor's values; they depend on the seed and the tensor's name, not on what was made before."""
    rng = np.random.default_rng([seed, zlib.crc32(tensor.name.encode())])
    return tensor.make(rng).astype(tensor.dtype, copy=False).reshape(tensor.shape)


def matrix(name: str, shape: tuple[int, ...], gain: float = 1.0) -> Tensor:
    """Random matrix (or stack of matrices): an input of size 1 per element comes out with size `gain`."""
    return Tensor(name, shape, np.float16, normal(shape, gain / math.sqrt(shape[-1])))


def vector(name: str, values: Array) -> Tensor:
    """A tensor of given values, kept in full precision."""
    return Tensor(name, values.shape, np.float32, lambda _: values)


def ones(name: str, length: int, value: float = 1.0) -> Tensor:
    """A norm's weights."""
    return vector(name, np.full(length, value))


def normal(shape: tuple[int, ...], deviation: float) -> Maker:
    """Maker of independent, normally distributed half-precision values."""

    def make(rng: np.random.Generator) -> Array:
        values = (_normal_quantiles() * np.float32(deviation)).astype(np.float16)
        return values[np.frombuffer(rng.bytes(math.prod(shape)), dtype=np.uint8)].reshape(shape)

    return make


@cache
def _normal_quantiles() -> npt.NDArray[np.float32]:
    distribution = NormalDist()
    return np.array([distribution.inv_cdf((i + 0.5) / 256) for i in range(256)], dtype=np.float32)
