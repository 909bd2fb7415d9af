"""`python -m analysis`: one command a question. Commands load only when called, so that each starts fast."""

from __future__ import annotations

import importlib
import sys

import click

from runner.errors import StudyError

COMMANDS: dict[str, str] = {}
"""Command name -> `module:attribute` of its click command."""


class LazyGroup(click.Group):
    """A click group whose commands are imported on first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order they are declared."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, or None."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name].split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Explain a study: tables, decomposition, audit, claims, models. Works without llama-cpp-python."""


def main() -> None:
    """Run the command line; an error raised on purpose is one line on stderr and its exit status."""
    try:
        cli()
    except StudyError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_status)
