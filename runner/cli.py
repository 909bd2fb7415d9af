"""`python -m runner`: measure. Commands load only when called, so that each starts fast."""

from __future__ import annotations

import click

from runner.lazy_group import LazyGroup, run

COMMANDS: dict[str, str] = {
    "suite": "runner.suite_command:suite",
    "models": "runner.models.cli:models",
    "advise": "runner.advise.command:command",
    "doctor": "runner.doctor.command:doctor",
}
"""Command name -> `module:attribute` of its click command."""


@click.group(cls=LazyGroup, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Measure speculative decoding with llama.cpp: declared suites, models, this machine."""


def main() -> None:
    """Run the command line."""
    run(cli)
