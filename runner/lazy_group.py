"""What both command lines share: commands that load when called, and errors that are one line."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from typing import Any

import click

from runner.errors import StudyError


class LazyGroup(click.Group):
    """A click group whose commands are imported on first use.

    `lazy` maps a command's name to the `module:attribute` of its click command, in the order of the help text.
    """

    def __init__(self, *args: Any, lazy: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order they are declared."""
        return list(self._lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, or None."""
        if cmd_name not in self._lazy:
            return None
        module, attribute = self._lazy[cmd_name].split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


def run(group: click.Group) -> None:
    """Run a command line; an error raised on purpose is one line on stderr and its exit status."""
    try:
        group()
    except StudyError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_status)
