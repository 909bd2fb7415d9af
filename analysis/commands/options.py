"""What the commands share."""

from __future__ import annotations

from collections.abc import Callable

import click

from analysis.render import FORMATS

PUBLISHED = "published"
FINDINGS_STATUS = 1


def with_format(command: Callable[..., None]) -> Callable[..., None]:
    """Add `--format md|csv|json`, passed as `form`."""
    return click.option(
        "--format", "form", type=click.Choice(FORMATS), default="md", show_default=True, help="How to print."
    )(command)


def with_map(command: Callable[..., None]) -> Callable[..., None]:
    """Add `--map THEIRS=OURS`, passed as `mapping`."""
    return click.option(
        "--map",
        "mapping",
        multiple=True,
        metavar="THEIRS=OURS",
        help="A log's column under our name; repeatable.",
    )(command)
