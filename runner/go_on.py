"""The command lines that a study's user is told to go on with."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from runner.compose import Wish

_OUT, _RERUN = "--out", "--rerun"


def to_go_on(wish: Wish, folder: Path) -> str:
    """What does the rest of an interrupted command: failed runs again too, where these had been asked for."""
    return to_try_again(wish, folder) if wish.rerun else same_command(wish.arguments, folder)


def to_try_again(wish: Wish, folder: Path) -> str:
    """What runs the failed runs of this study again."""
    return f"{same_command(wish.arguments, folder)} {_RERUN} failed"


def same_command(arguments: Sequence[str], folder: Path) -> str:
    """The command line that continues a study: as it was typed, and into the same folder."""
    kept: list[str] = []
    has_folder = False
    rest = iter(arguments)
    for each in rest:
        option, assigned, _ = each.partition("=")
        # Of these two the next argument is the value, whatever it looks like: a folder may be named `failed`.
        value = [next(rest)] if option in {_OUT, _RERUN} and not assigned else []
        has_folder = has_folder or option == _OUT
        if option != _RERUN:
            kept += [each, *value]
    if not has_folder:
        kept += [_OUT, str(folder)]
    return f"python -m runner {shlex.join(kept)}"
