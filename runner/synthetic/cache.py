"""Where the family's files lie and whether they are still what was built.

A file counts only with its checksum beside it (`moe-q8.gguf` and `moe-q8.gguf.sha256`, in sha256sum's format),
which is written last: a torn, edited or half-copied file is as good as none.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import llama_cpp
import msgspec
import platformdirs

from runner.synthetic.family import MEMBERS, RECIPE
from runner.synthetic.shapes import Member

CACHE_VARIABLE = "SPECSTUDY_CACHE"


def cache_dir() -> Path:
    """The folder for files that can be rebuilt: `SPECSTUDY_CACHE` if set, else the user's cache folder."""
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen) if chosen else platformdirs.user_cache_path("specstudy")


def family_dir() -> Path:
    """The folder of this recipe's files; another recipe or another llama.cpp to quantise with has another one."""
    recipe = msgspec.json.encode([RECIPE, llama_cpp.__version__, list(MEMBERS.values())])
    return cache_dir() / f"synthetic-{hashlib.sha256(recipe).hexdigest()[:12]}"


def member_path(folder: Path, member: Member) -> Path:
    """Where the member's GGUF lies, built or not."""
    return folder / f"{member.name}.gguf"


def is_intact(path: Path) -> bool:
    """Whether the file is there and is what was written."""
    try:
        expected = _checksum_path(path).read_text(encoding="ascii").split()
        return bool(expected) and expected[0] == _sha256(path)
    except (OSError, UnicodeDecodeError):
        return False


def publish(built: Path, path: Path) -> None:
    """Move a finished file to its place, then write its checksum."""
    digest = _sha256(built)
    _checksum_path(path).unlink(missing_ok=True)
    built.replace(path)
    draft = built.with_suffix(".sha256")
    draft.write_text(f"{digest}  {path.name}\n", encoding="ascii")
    draft.replace(_checksum_path(path))


def _checksum_path(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
