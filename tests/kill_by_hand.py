"""More kills than the test suite has time for: python -m tests.kill_by_hand 1000 --seed 7"""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import click

from tests.kill_study import kill_repeatedly


@click.command()
@click.argument("n_kills", type=int)
@click.option("--seed", type=int, default=1)
def main(n_kills: int, seed: int) -> None:
    """Kill studies N_KILLS times and say what was found."""
    with tempfile.TemporaryDirectory() as folder:
        click.echo(kill_repeatedly(Path(folder), n_kills, random.Random(seed)))


if __name__ == "__main__":
    main()
