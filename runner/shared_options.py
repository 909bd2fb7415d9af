"""Command-line options that several commands share: which models, where they are, and where tokens are chosen."""

from __future__ import annotations

from pathlib import Path

import click

from runner.errors import UsageError


def parse_roles(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, Path]:
    """`ROLE=PATH` words as a mapping. Raises UsageError for a word of another form."""
    roles = {}
    for value in values:
        role, separator, path = value.partition("=")
        if not (role and separator and path):
            raise UsageError(f"--role {value!r} is not of the form ROLE=PATH, as in --role moe-q4=model.gguf")
        roles[role] = Path(path).expanduser()
    return roles


family_option = click.option(
    "--family",
    type=click.Choice(["auto", "qwen3.5", "synthetic"]),
    default="auto",
    show_default=True,
    help="Where roles find their models; auto takes the real ones when all are here, else the built-in ones.",
)
models_dir_option = click.option(
    "--models-dir", type=click.Path(path_type=Path), help="Folder with the real models' GGUF files."
)
role_option = click.option(
    "--role", "roles", multiple=True, callback=parse_roles, metavar="ROLE=PATH", help="GGUF of a role."
)
choose_on_option = click.option(
    "--choose-on",
    type=click.Choice(["host", "device"]),
    default="host",
    show_default=True,
    help="Where both arms choose greedily: from logits copied to the host, or by llama.cpp's backend sampler.",
)
