"""Reads the header of a GGUF: key-values and tensor sizes, never tensor data, and never more than the file holds.

`gguf.GGUFReader` walks arrays element by element in Python, which takes 11 s for Qwen3.5's 248,320 tokens, and
it slices past the end of the file without noticing, so that a damaged count makes it loop for ever. The subclass
here bounds every read and takes arrays in one piece.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from gguf import GGUFReader, GGUFValueType, ReaderTensor

from runner.errors import ModelError
from runner.parsing import printable

MAX_ARRAY_ELEMENTS = 1 << 24
"""Sixty times Qwen3.5's vocabulary; a longer array in a header is damage."""

_FOREIGN = (ValueError, KeyError, IndexError, TypeError, OverflowError, struct.error, AttributeError)
"""What numpy and gguf raise on bytes that are not a GGUF of this byte order."""


class TensorSize(NamedTuple):
    """One tensor of a file: its name, its number of weights, and the bytes they take."""

    name: str
    n_elements: int
    n_bytes: int
    type_name: str


class Header(NamedTuple):
    """Key-values and tensors of one GGUF file."""

    path: Path
    size_bytes: int
    values: dict[str, Any]
    """Numbers, strings, lists of numbers, and lists of bytes for arrays of strings."""
    tensors: list[TensorSize]

    def integer(self, key: str, default: int) -> int:
        """The integer at `key`, `default` where the file has none. ModelError when it is something else."""
        value = self.values.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**48:
            raise damaged(self.path, f"{key} is {str(value)[:40]!r}, not a count")
        return value

    def text(self, key: str, default: str) -> str:
        """The string at `key`, `default` where the file has none. ModelError when it is something else."""
        value = self.values.get(key, default)
        if not isinstance(value, str):
            raise damaged(self.path, f"{key} is not a text")
        return value

    def strings(self, key: str) -> list[bytes]:
        """The array of strings at `key` as raw bytes, empty where the file has none."""
        value = self.values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, bytes) for item in value):
            raise damaged(self.path, f"{key} is not a list of texts")
        return value


def damaged(path: Path, what: str) -> ModelError:
    """The error of a file that is not a whole GGUF, with the remedy."""
    remedy = "download it again or name another file for this role"
    return ModelError(f"{path}: not a usable GGUF ({printable(what)}); {remedy}")


def read_header(path: Path) -> Header:
    """The header of one GGUF file, within a second even for a vocabulary of 248,320 tokens.

    Raises ModelError naming the file and the remedy when it is missing, truncated, foreign or damaged.
    """
    size = _size(path)
    try:
        # A sum of numpy's that wraps around is only warned of.
        with np.errstate(over="raise"):
            reader = _BoundedReader(path)
        if reader.byte_order != "I":
            raise damaged(path, "it is written for the other byte order")
        values = {name: _value(field) for name, field in reader.fields.items() if field.types}
        return Header(path, size, values, [_tensor_size(tensor) for tensor in reader.tensors])
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None
    except (MemoryError, FloatingPointError):
        raise damaged(path, "a count in it is absurd") from None
    except _FOREIGN as error:
        raise damaged(path, _reason(error)) from None


_Array = npt.NDArray[Any]
_FieldParts = tuple[int, list[Any], list[int], list[GGUFValueType]]


class _BoundedReader(GGUFReader):  # type: ignore[misc]  # gguf is not typed where mypy runs without it
    def _get(self, offset: int, dtype: npt.DTypeLike, count: int = 1, override_order: Any = None) -> _Array:
        end = int(offset) + np.dtype(dtype).itemsize * int(count)
        if offset < 0 or end > self.data.size:
            raise ValueError(f"it ends at byte {self.data.size}, but its header speaks of byte {end}")
        return super()._get(int(offset), dtype, count, override_order)  # type: ignore[no-any-return]

    def _get_field_parts(self, orig_offs: int, raw_type: int) -> _FieldParts:
        if raw_type != GGUFValueType.ARRAY:
            return super()._get_field_parts(orig_offs, raw_type)  # type: ignore[no-any-return]
        item_type = GGUFValueType(int(self._get(orig_offs, np.uint32)[0]))
        length = int(self._get(orig_offs + 4, np.uint64)[0])
        if length > MAX_ARRAY_ELEMENTS:
            raise ValueError(f"an array of {length} elements")
        start = orig_offs + 12
        if item_type is GGUFValueType.STRING:
            texts = self._strings(start, length)
            size, values = sum(map(len, texts)) + 8 * length, texts
        else:
            numbers = self._get(start, self.gguf_scalar_to_np[item_type], length)
            size, values = int(numbers.nbytes), numbers.tolist()
        return 12 + size, [values], [0], [GGUFValueType.ARRAY, item_type]

    def _strings(self, offset: int, count: int) -> list[bytes]:
        buffer, end = memoryview(self.data), int(self.data.size)
        length_of, items = struct.Struct("<Q").unpack_from, []
        for _ in range(count):
            (length,) = length_of(buffer, offset)
            offset += 8 + length
            if offset > end:
                raise ValueError(f"it ends at byte {end}, within a list of texts")
            items.append(bytes(buffer[offset - length : offset]))
        return items


def _value(field: Any) -> Any:
    if field.types[0] is GGUFValueType.ARRAY:
        return field.parts[field.data[0]]
    if field.types[0] is GGUFValueType.STRING:
        return bytes(field.parts[-1]).decode("utf-8")
    return field.parts[-1].tolist()[0]


def _tensor_size(tensor: ReaderTensor) -> TensorSize:
    return TensorSize(tensor.name, int(tensor.n_elements), int(tensor.n_bytes), tensor.tensor_type.name)


def _size(path: Path) -> int:
    try:
        if not path.is_file():
            raise ModelError(f"{path}: no such file; give the path of a GGUF, or `python -m runner models fetch`")
        size = path.stat().st_size
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None
    except ValueError:
        raise ModelError(f"{str(path)!r}: not a path; give the path of a GGUF") from None
    if size == 0:
        raise damaged(path, "it is empty")
    return size


def _reason(error: Exception) -> str:
    return str(error).strip() or type(error).__name__
