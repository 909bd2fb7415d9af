"""Where shipped data lies: beside the packages in a checkout, inside the package when installed as a wheel."""

from __future__ import annotations

from pathlib import Path

_INSTALLED = Path(__file__).parent / "_data"
_CHECKOUT = Path(__file__).parent.parent / "data"


def data_dir() -> Path:
    """The directory that holds `prompts/` and `published/`."""
    return _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT
