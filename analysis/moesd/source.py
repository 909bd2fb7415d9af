"""Where a command's points and facts come from.

DATA is a CSV file, with its facts beside it under the same name but `.toml` or `.json`, a folder that holds
`grid.csv` and `grid.toml`, or a study of the suite `moesd-grid`, whose facts follow from it. Without DATA: the
digitised points of the paper's Figure 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from analysis.moesd.facts import Facts, Verified, read_facts
from analysis.moesd.grid import Grid, grid_of, read_grid
from analysis.moesd.measured import is_measured, read_measured
from runner.errors import DataError, UsageError
from runner.grid_record import GRID_LOG
from runner.paths import data_dir

PUBLISHED = "published"
GRID_FILE = "grid.csv"
FACTS_ENDINGS = (".toml", ".json")


@dataclass(frozen=True)
class Source:
    """Points, facts, and the name to show."""

    name: str
    grid: Grid
    facts: Facts
    notes: tuple[str, ...] = ()
    """What the reader of any table over these points must know."""


def load_source(data: str, facts_file: Path | None, verified: Verified | None) -> Source:
    """The points and facts a command works on; `verified` overrides the facts'. DataError or UsageError."""
    if data != PUBLISHED and is_measured(Path(data)):
        study = read_measured(Path(data))
        facts = _as_verified(study.facts if facts_file is None else read_facts(facts_file), verified)
        return Source(study.name, grid_of(study.frame, facts, f"{study.name}/{GRID_LOG}"), facts, study.notes)
    path = _path(data)
    if not path.is_file():
        raise DataError(
            f"{path}: no such file; give a CSV file, a folder with {GRID_FILE}, a study of the suite moesd-grid,"
            f" or `{PUBLISHED}`"
        )
    facts = _as_verified(read_facts(facts_file or _facts_beside(path)), verified)
    name = "MoESD, Figure 4 (digitised)" if data == PUBLISHED else Path(data).resolve().name
    return Source(name, read_grid(path, facts), facts)


def _as_verified(facts: Facts, verified: Verified | None) -> Facts:
    return facts if verified is None else msgspec.structs.replace(facts, verified=verified)


def _path(data: str) -> Path:
    if data == PUBLISHED:
        return data_dir() / "published" / "moesd_fig4.csv"
    return Path(data) / GRID_FILE if Path(data).is_dir() else Path(data)


def _facts_beside(path: Path) -> Path:
    for ending in FACTS_ENDINGS:
        if path.with_suffix(ending).is_file():
            return path.with_suffix(ending)
    beside = path.with_suffix(FACTS_ENDINGS[0]).name
    raise UsageError(f"{path}: no facts beside it; name a file with --facts, or put them into {beside}")
