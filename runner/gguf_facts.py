"""What a GGUF is, read from its metadata: kind, size, and the bytes that decoding one token reads.

`inspect_gguf` gives the facts a study records; `read_card` adds what only planning needs (shards, memory per
token, MTP block). Counting rules: a mixture reads k of E routed experts and every shared one; the input embedding
is a row look-up and counts as nothing, unless it doubles as the output matrix; an MTP block (llama.cpp calls it
nextn) is loaded but takes no part in plain decoding, so it counts in neither.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from gguf import LlamaFileType

from runner.errors import ModelError
from runner.gguf_digest import file_sha256
from runner.gguf_reader import Header, TensorSize, damaged, read_header
from runner.record import ModelFacts

_SHARD = re.compile(r"^(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf$", re.IGNORECASE)
_BLOCK = re.compile(r"^blk\.(\d+)\.")

TOKENS_KEY = "tokenizer.ggml.tokens"
STATE_ELEMENT_BYTES = 4
"""llama.cpp keeps recurrent states in f32 (facts sheet, C)."""
KV_ELEMENT_BYTES = 2
"""f16 keys and values, llama.cpp's default."""


class Weights(NamedTuple):
    """Counts over the tensors of one model, MTP block apart."""

    parameters: int
    active_parameters: int
    bytes_per_token: int
    mtp_parameters: int


class GgufCard(NamedTuple):
    """One model, whatever number of files it is split over. Sizes of memory are per sequence."""

    shards: tuple[Path, ...]
    size_bytes: int
    architecture: str
    name: str
    hybrid: bool
    """It has recurrent layers, whose state cannot simply be trimmed."""
    quantisation: str
    weights: Weights
    n_layers: int
    n_attention_layers: int
    n_mtp_layers: int
    n_vocab: int
    n_experts: int
    n_experts_used: int
    context_tokens: int
    vocab_sha256: str
    kv_bytes_per_token: int
    recurrent_state_bytes: int
    """Recurrent state of one sequence without snapshots; llama.cpp keeps 1 + n_rs_seq of them."""


def inspect_gguf(path: Path, role: str) -> ModelFacts:
    """The facts of the model at `path` (its first shard when it is split) as `role`.

    The SHA-256 is read once per file and remembered; for a split model it is taken over its shards' digests.
    Raises ModelError naming the file and the remedy.
    """
    card = read_card(path)
    return ModelFacts(
        role=role,
        file=path.name,
        sha256=_sha256(card.shards),
        size_bytes=card.size_bytes,
        architecture=card.architecture,
        hybrid=card.hybrid,
        quantisation=card.quantisation,
        parameters=card.weights.parameters,
        active_parameters=card.weights.active_parameters,
        bytes_per_token=card.weights.bytes_per_token,
        n_layers=card.n_layers,
        n_vocab=card.n_vocab,
        n_experts=card.n_experts,
        n_experts_used=card.n_experts_used,
        vocab_sha256=card.vocab_sha256,
        recurrent_state_bytes=card.recurrent_state_bytes,
    )


def read_card(path: Path) -> GgufCard:
    """Everything about the model at `path` that its metadata tells. Raises ModelError."""
    headers = _read_shards(path)
    head = headers[0]
    architecture = head.text("general.architecture", "")
    if not architecture:
        raise damaged(path, "it names no architecture; a projector or adapter is not a model")
    tensors = [tensor for header in headers for tensor in header.tensors]
    layers = _Layers.of(head, architecture, tensors)
    tokens = head.strings(TOKENS_KEY)
    experts, used = _experts(head, architecture)
    weights = count_weights(tensors, n_layers=layers.trunk, experts=experts, experts_used=used)
    if not weights.active_parameters:
        raise damaged(path, "decoding a token would read no weight of it")
    return GgufCard(
        shards=tuple(header.path for header in headers),
        size_bytes=sum(header.size_bytes for header in headers),
        architecture=architecture,
        name=head.text("general.name", path.stem),
        hybrid=layers.recurrent > 0,
        quantisation=_quantisation(head, tensors),
        weights=weights,
        n_layers=layers.trunk,
        n_attention_layers=layers.attention,
        n_mtp_layers=layers.mtp,
        n_vocab=len(tokens),
        n_experts=experts,
        n_experts_used=used,
        context_tokens=head.integer(f"{architecture}.context_length", 0),
        vocab_sha256=vocabulary_sha256(tokens),
        kv_bytes_per_token=layers.attention * _kv_bytes_per_layer(head, architecture),
        recurrent_state_bytes=layers.recurrent * _state_bytes_per_layer(head, architecture),
    )


def count_weights(tensors: Iterable[TensorSize], *, n_layers: int, experts: int, experts_used: int) -> Weights:
    """Parameters and bytes, total and per decoded token; `n_layers` are those that plain decoding runs."""
    listed = list(tensors)
    tied = not any(tensor.name == "output.weight" for tensor in listed)
    parameters = active = read_bytes = mtp = 0
    for tensor in listed:
        block = _BLOCK.match(tensor.name)
        if block and int(block[1]) >= n_layers:
            mtp += tensor.n_elements
            continue
        parameters += tensor.n_elements
        if tensor.name == "token_embd.weight" and not tied:
            continue
        if "_exps." in tensor.name and experts:
            active += tensor.n_elements * experts_used // experts
            read_bytes += tensor.n_bytes * experts_used // experts
        else:
            active += tensor.n_elements
            read_bytes += tensor.n_bytes
    return Weights(parameters, active, read_bytes, mtp)


def vocabulary(path: Path) -> list[bytes]:
    """The token list of the model at `path`, one entry an id. Raises ModelError."""
    return read_header(path).strings(TOKENS_KEY)


def vocabulary_sha256(tokens: Iterable[bytes]) -> str:
    """SHA-256 over the token list, each entry led by its length so that no two lists collide by joining."""
    digest = hashlib.sha256()
    for token in tokens:
        digest.update(len(token).to_bytes(4, "little"))
        digest.update(token)
    return digest.hexdigest()


def shard_paths(path: Path) -> list[Path]:
    """All files of the model whose first file is `path`, whether they exist or not."""
    match = _SHARD.match(path.name)
    if match is None:
        return [path]
    count = int(match["count"])
    return [path.with_name(f"{match['stem']}-{number:05d}-of-{count:05d}.gguf") for number in range(1, count + 1)]


class _Layers(NamedTuple):
    trunk: int
    attention: int
    recurrent: int
    mtp: int

    @classmethod
    def of(cls, head: Header, architecture: str, tensors: Iterable[TensorSize]) -> _Layers:
        mtp = head.integer(f"{architecture}.nextn_predict_layers", 0)
        trunk = head.integer(f"{architecture}.block_count", 0) - mtp
        if trunk <= 0:
            raise damaged(head.path, f"{architecture}.block_count leaves no layer")
        matches = (_BLOCK.match(tensor.name) for tensor in tensors if ".ssm_" in tensor.name)
        blocks = {int(match[1]) for match in matches if match}
        recurrent = sum(block < trunk for block in blocks)
        return cls(trunk, trunk - recurrent, recurrent, mtp)


def _read_shards(path: Path) -> list[Header]:
    first = read_header(path)
    declared = first.integer("split.count", 1)
    if first.integer("split.no", 0) != 0:
        raise ModelError(f"{path}: not the first part of its model; name {shard_paths(path)[0].name} instead")
    paths = shard_paths(path)
    if declared > 1 and len(paths) != declared:
        raise ModelError(
            f"{path}: the first of {declared} parts, but not named like one; "
            f"give the parts back their names (…-00001-of-{declared:05d}.gguf)"
        )
    if declared <= 1:
        return [first]
    for number, shard in enumerate(paths, start=1):
        if not shard.is_file():
            raise ModelError(f"{shard}: part {number} of {declared} is missing; put it beside {path.name}")
    headers = [first, *(read_header(shard) for shard in paths[1:])]
    expected = first.integer("split.tensors.count", 0)
    found = sum(len(header.tensors) for header in headers)
    if expected and expected != found:
        raise damaged(path, f"its parts hold {found} tensors instead of {expected}: different uploads")
    return headers


def _experts(head: Header, architecture: str) -> tuple[int, int]:
    experts = head.integer(f"{architecture}.expert_count", 0)
    used = head.integer(f"{architecture}.expert_used_count", 0)
    if used > experts or (experts and not used):
        raise damaged(head.path, f"it uses {used} of {experts} experts")
    return experts, used


def _quantisation(head: Header, tensors: list[TensorSize]) -> str:
    """The name llama.cpp gives the file type; without one, the type that holds most bytes."""
    number = head.integer("general.file_type", int(LlamaFileType.GUESSED))
    if number in set(LlamaFileType) and number != LlamaFileType.GUESSED:
        return str(LlamaFileType(number).name).removeprefix("MOSTLY_").removeprefix("ALL_")
    bytes_of: Counter[str] = Counter()
    for tensor in tensors:
        bytes_of[tensor.type_name] += tensor.n_bytes
    if not bytes_of:
        raise damaged(head.path, "it holds no tensors; a vocabulary alone is not a model")
    return bytes_of.most_common(1)[0][0]


def _kv_bytes_per_layer(head: Header, architecture: str) -> int:
    heads = head.values.get(f"{architecture}.attention.head_count_kv", 0)
    per_layer = max(heads, default=0) if isinstance(heads, list) else heads
    n_heads = per_layer if isinstance(per_layer, int) else 0
    embedding = head.integer(f"{architecture}.embedding_length", 0)
    n_query = head.values.get(f"{architecture}.attention.head_count", 0)
    default = embedding // n_query if isinstance(n_query, int) and n_query > 0 else 0
    key = head.integer(f"{architecture}.attention.key_length", default)
    value = head.integer(f"{architecture}.attention.value_length", default)
    return n_heads * (key + value) * KV_ELEMENT_BYTES


def _state_bytes_per_layer(head: Header, architecture: str) -> int:
    """Delta-net state and convolution tail of one recurrent layer, as llama.cpp's hparams compute them."""
    kernel, inner, state, groups = (
        head.integer(f"{architecture}.ssm.{name}", 0)
        for name in ("conv_kernel", "inner_size", "state_size", "group_count")
    )
    convolution = max(kernel - 1, 0) * (inner + 2 * groups * state)
    return (state * inner + convolution) * STATE_ELEMENT_BYTES


def _sha256(shards: tuple[Path, ...]) -> str:
    digests = [file_sha256(shard) for shard in shards]
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
