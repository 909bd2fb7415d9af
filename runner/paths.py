"""Where things lie: shipped data beside or inside the packages, and the user's cache folder."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

CACHE_VARIABLE = "SPECSTUDY_CACHE"
"""Environment variable that moves the cache folder, for tests and shared machines."""

_INSTALLED = Path(__file__).parent / "_data"
_CHECKOUT = Path(__file__).parent.parent / "data"


def data_dir() -> Path:
    """The directory that holds `prompts/` and `published/`."""
    return _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT


def cache_dir() -> Path:
    """The user's cache folder of this project; it need not exist."""
    moved = os.environ.get(CACHE_VARIABLE)
    return Path(moved) if moved else platformdirs.user_cache_path("specstudy", appauthor=False)
