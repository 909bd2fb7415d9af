"""Where the family's files lie and whether they are still what was built.

A file counts only with its checksum beside it (`moe-q8.gguf` and `moe-q8.gguf.sha256`, in sha256sum's format),
which is written last: a torn, edited or half-copied file is as good as none.
"""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path

import msgspec

from runner.durable import write_atomically
from runner.paths import cache_dir
from runner.synthetic.family import MEMBERS, RECIPE
from runner.synthetic.shapes import Member


def family_dir() -> Path:
    """The folder of this recipe's files; another recipe or another llama.cpp to quantise with has another one."""
    recipe = msgspec.json.encode([RECIPE, version("llama-cpp-python"), list(MEMBERS.values())])
    return cache_dir() / f"synthetic-{hashlib.sha256(recipe).hexdigest()[:12]}"


def member_path(folder: Path, member: Member) -> Path:
    """Where the member's GGUF lies, built or not."""
    return folder / f"{member.name}.gguf"


def is_intact(path: Path) -> bool:
    """Whether the file is there and is what was written: every byte is read, damage need not change its date."""
    try:
        expected = _checksum_path(path).read_text(encoding="ascii").split()
        return bool(expected) and expected[0] == _sha256(path)
    except (OSError, UnicodeDecodeError):
        return False


def publish(built: Path, path: Path) -> None:
    """Move a finished file to its place, then write its checksum. Raises OSError."""
    digest = _sha256(built)
    _checksum_path(path).unlink(missing_ok=True)
    built.replace(path)
    write_atomically(_checksum_path(path), f"{digest}  {path.name}\n".encode())


def _checksum_path(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
