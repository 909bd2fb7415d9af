"""Reads what an experiment outside the matrix wrote: its manifest, and the latest attempt at every point."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from analysis.load import load_manifest
from runner.errors import DataError
from runner.grid_record import Logged
from runner.lines import decode_line_as
from runner.record import Manifest

Entry = TypeVar("Entry", bound=Logged)


@dataclass(frozen=True)
class ExperimentLog(Generic[Entry]):
    """A study that keeps `Entry` records. `notes` says what of it is missing or cannot be used."""

    name: str
    manifest: Manifest
    ok: tuple[Entry, ...]
    """Points that were measured, in the order of the plan."""
    lines: tuple[int, ...]
    """The line of each."""
    notes: tuple[str, ...]


def read_experiment(folder: Path, log: str, kind: type[Entry]) -> ExperimentLog[Entry]:
    """The study in `folder` whose log has that name.

    Raises DataError when it holds no readable manifest, no such log, or no measured point.
    """
    manifest = load_manifest(folder)
    if not (folder / log).exists():
        suite = log.partition(".")[0]
        raise DataError(f"{folder.name}: holds no {log}; run `python -m runner suite {suite}`")
    latest, damaged = _latest(folder / log, kind)
    found = [(line, entry) for line, entry in latest.values() if entry.status == "ok"]
    found.sort(key=lambda one: one[1].order)
    lines, ok = tuple(line for line, _ in found), tuple(entry for _, entry in found)
    if not ok:
        raise DataError(f"{folder}: {log} holds no measured point; run the suite again with the same --out")
    notes = _notes(manifest, len(latest), len(ok), damaged)
    return ExperimentLog(folder.resolve().name, manifest, ok, lines, notes)


def _latest(file: Path, kind: type[Entry]) -> tuple[dict[str, tuple[int, Entry]], list[str]]:
    latest: dict[str, tuple[int, Entry]] = {}
    damaged: list[str] = []
    try:
        with file.open("rb") as stream:
            lines = list(stream)
    except OSError as error:
        raise DataError(
            f"{file}: cannot be read ({error.strerror}); name a folder that its suite wrote"
        ) from None
    for number, line in enumerate(lines, start=1):
        try:
            entry = decode_line_as(kind, line, f"{file.parent.name}/{file.name}:{number}")
        except DataError as error:
            damaged.append(str(error))
            continue
        known = latest.get(entry.run_id)
        if known is None or entry.attempt > known[1].attempt:
            latest[entry.run_id] = (number, entry)
    return latest, damaged


def _notes(manifest: Manifest, n_found: int, n_ok: int, damaged: list[str]) -> tuple[str, ...]:
    notes = [f"A line was passed over: {reason}." for reason in damaged]
    if n_found > n_ok:
        notes.append(f"{n_found - n_ok} points failed and are left out.")
    if n_found < manifest.n_cells:
        notes.append(f"{manifest.n_cells - n_found} of {manifest.n_cells} planned points were not measured.")
    return tuple(notes)
