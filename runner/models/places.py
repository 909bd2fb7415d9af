"""Where GGUFs lie on people's machines, in the order they are looked for (facts sheet "anchors", 5.1)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from huggingface_hub import constants

from runner.errors import UsageError

MODELS_VARIABLE = "SPECSTUDY_MODELS"
"""Folder with GGUFs; several are parted as in PATH."""


class Place(NamedTuple):
    """One folder to look in, whether it exists or not, and why it is looked in."""

    label: str
    root: Path

    def files(self) -> list[Path]:
        """First shards and whole GGUFs below the folder, in the order of their paths; empty if unreadable."""
        found: list[Path] = []
        for folder, _, names in os.walk(self.root, followlinks=False, onerror=None):
            candidates = (Path(folder, name) for name in names if _is_candidate(name))
            found.extend(path for path in candidates if path.is_file())
        return sorted(found)


def places(
    models_dir: Path | None, *, environ: Mapping[str, str] = os.environ, home: Path | None = None
) -> list[Place]:
    """All folders that may hold models, best first, each once.

    The Hub cache is the one huggingface_hub itself would use, so all its variables count (HF_HUB_CACHE,
    HUGGINGFACE_HUB_CACHE, HF_HOME, XDG_CACHE_HOME). Raises UsageError when `models_dir` is no folder.
    """
    if models_dir is not None and not models_dir.is_dir():
        raise UsageError(f"--models-dir {models_dir}: no such folder; name the one that holds your GGUFs")
    unique: dict[Path, Place] = {}
    for place in _all_places(models_dir, environ, home or Path.home()):
        unique.setdefault(place.root, place)
    return list(unique.values())


def _all_places(models_dir: Path | None, environ: Mapping[str, str], home: Path) -> Iterator[Place]:
    if models_dir is not None:
        yield Place("--models-dir", models_dir)
    for folder in filter(None, environ.get(MODELS_VARIABLE, "").split(os.pathsep)):
        yield Place(MODELS_VARIABLE, Path(folder).expanduser())
    yield Place("Hub cache", Path(constants.HF_HUB_CACHE))
    if environ.get("LLAMA_CACHE"):
        yield Place("LLAMA_CACHE", Path(environ["LLAMA_CACHE"]).expanduser())
    yield Place("llama.cpp", home / "Library" / "Caches" / "llama.cpp")
    yield Place("llama.cpp", Path(environ.get("XDG_CACHE_HOME") or home / ".cache") / "llama.cpp")
    yield Place("LM Studio", home / ".lmstudio" / "models")
    yield Place("LM Studio", home / ".cache" / "lm-studio" / "models")


def _is_candidate(name: str) -> bool:
    """A model or its first shard; vision projectors are GGUFs too, but no models."""
    lower = name.lower()
    if not lower.endswith(".gguf") or lower.startswith("mmproj"):
        return False
    return "-of-" not in lower or "-00001-of-" in lower
