"""More damaged files than the test suite has time for: python -m tests.fuzz_by_hand 10000 --seed 7"""

from __future__ import annotations

import resource
import sys
import tempfile
import traceback
from pathlib import Path

import click

from tests.fuzz.readers import readers
from tests.fuzz.trial import Reader, Trial

SHOWN = 6
"""Defects of one reader that are told; all are counted."""


@click.command()
@click.argument("n_files", type=int)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--reader", "names", multiple=True, help="Only this one; may be repeated.")
def main(n_files: int, seed: int, names: tuple[str, ...]) -> None:
    """Damage N_FILES files for each reader and say what became of them. Exit status 1: there were defects."""
    seeds, n_defects = range(seed * n_files, (seed + 1) * n_files), 0
    for reader in readers():
        if not names or reader.name in names:
            with tempfile.TemporaryDirectory() as folder:
                n_defects += _fuzz(reader, Path(folder), seeds)
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    click.echo(f"{n_defects} defects; peak memory {peak_mib:.0f} MiB")
    sys.exit(1 if n_defects else 0)


def _fuzz(reader: Reader, folder: Path, seeds: range) -> int:
    trial, n_defects = Trial(reader, folder), 0
    for seed in seeds:
        try:
            trial.run(seed)
        except Exception as error:  # noqa: BLE001 - whatever a reader lets through is what is looked for
            n_defects += 1
            if n_defects <= SHOWN:
                where = traceback.extract_tb(error.__traceback__)[-1]
                click.echo(f"  seed {seed}: {type(error).__name__} in {where.name}: {str(error)[:300]}")
    click.echo(f"{reader.name:30} {trial.tally}, {n_defects} defects")
    return n_defects


if __name__ == "__main__":
    main()
