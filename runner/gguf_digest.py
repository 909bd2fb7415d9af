"""SHA-256 of model files, read once: remembered by path, size and time of change in the user's cache folder."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from pathlib import Path
from typing import Annotated

import msgspec

from runner.errors import ModelError
from runner.parsing import MalformedError, parse_json
from runner.paths import cache_dir

_BLOB_NAME = re.compile(r"^[0-9a-f]{64}$")
Digest = Annotated[str, msgspec.Meta(pattern=_BLOB_NAME.pattern)]


def file_sha256(path: Path) -> str:
    """SHA-256 (hex) of the file's bytes. Raises ModelError when it cannot be read.

    The Hub's cache names a large file's blob by its SHA-256, so for those nothing is read.
    """
    blob = path.resolve()
    if _BLOB_NAME.match(blob.name) and blob.parent.name == "blobs":
        return blob.name
    try:
        key = _key(blob)
        known = _load().get(key)
        if known is not None:
            return known
        with blob.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None
    _remember(key, digest)
    return digest


def _key(path: Path) -> str:
    status = path.stat()
    return f"{path}:{status.st_size}:{status.st_mtime_ns}"


def _table() -> Path:
    return cache_dir() / "sha256.json"


def _load() -> dict[str, str]:
    try:
        return parse_json(_table().read_bytes(), dict[str, Digest])
    except (OSError, MalformedError):
        return {}


def _remember(key: str, digest: str) -> None:
    """Best effort: a cache that cannot be written costs time, not correctness."""
    with contextlib.suppress(OSError):
        table = _table()
        table.parent.mkdir(parents=True, exist_ok=True)
        fresh = table.with_suffix(f".{os.getpid()}.tmp")
        fresh.write_bytes(msgspec.json.encode({**_load(), key: digest}))
        fresh.replace(table)
