"""Every option of every command says what it does."""

from collections.abc import Iterator

import click
import pytest

from analysis.cli import cli as analysis
from runner.cli import cli as runner


def commands(command: click.Command, context: click.Context, name: str) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            inner = command.get_command(context, each)
            assert inner is not None
            yield from commands(inner, context, f"{name} {each}")


EVERY = [
    found
    for name, group in (("runner", runner), ("analysis", analysis))
    for found in commands(group, click.Context(group), name)
]


@pytest.mark.parametrize(("name", "command"), EVERY, ids=[name for name, _ in EVERY])
def test_every_option_and_the_command_itself_say_what_they_do(name, command):
    assert command.help, name
    silent = [each.opts for each in command.params if isinstance(each, click.Option) and not each.help]
    assert silent == []


def test_every_command_was_looked_at():
    names = {name for name, _ in EVERY}
    assert {"runner suite", "runner doctor", "runner advise", "runner models check", "analysis audit"} <= names
    assert len(names) >= 20
