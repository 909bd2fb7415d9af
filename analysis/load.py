"""Reads a study directory: one row a run, and small arrays for what happened cycle by cycle.

30,600 runs must fit into memory, so no record stays a Python object: scalars go to one frame, the lists of a
run to numpy arrays. What cannot be read becomes a `Note`, so that the audit can name it; only a directory that is
not a study at all raises. Format: `runner.lines`, `runner.record`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_type_hints

import msgspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from runner.errors import DataError
from runner.grid_record import GRID_LOG, ROUTING_LOG
from runner.lines import decode_line
from runner.parsing import MalformedError, parse_json
from runner.record import (
    SCHEMA_VERSION,
    Cell,
    Cycles,
    Energy,
    MachineState,
    Manifest,
    Measurement,
    ModelFacts,
    RollbackProof,
    RunRecord,
    run_identity,
)

MANIFEST_FILE = "manifest.json"
RUNS_FILE = "runs.jsonl"

IntArray: TypeAlias = NDArray[np.int64]
TokenArray: TypeAlias = NDArray[np.int32]
FloatArray: TypeAlias = NDArray[np.float64]

CYCLE_FIELDS = Cycles.__struct_fields__
NS_FIELDS = tuple(name for name in CYCLE_FIELDS if name.endswith("_ns"))
_PROOFS = ("target_proof", "draft_proof")
_PROOF_FIELDS = tuple(f"{name}_{field}" for name in _PROOFS for field in RollbackProof.__struct_fields__)
_ENERGY_FIELDS = tuple(f"energy_{name}" for name in Energy.__struct_fields__)
_NESTED = ("cycles", "tokens", "margins", "energy", *_PROOFS)
_SCALARS = tuple(name for name in Measurement.__struct_fields__ if name not in _NESTED)
_COUNTS = ("n_cycles", "drafted_tokens", "accepted_tokens", "emitted_tokens", "n_tokens", "n_margins")
_STATE_FIELDS = MachineState.__struct_fields__
_RECORD = (
    "run_id", "attempt", "order", "status", "mark", "started_utc", "started_monotonic_ns", "engine_version",
)  # fmt: skip
_NUMBERS = (
    *(name for name, kind in get_type_hints(Measurement).items() if kind in {int, float, int | None}),
    *_PROOF_FIELDS,
    *_ENERGY_FIELDS,
    *_COUNTS,
    *NS_FIELDS,
)


@dataclass(frozen=True)
class Note:
    """Something in the files that cannot be used as it stands. `line` counts from 1; 0 means the whole file."""

    kind: Literal["torn-line", "bad-line"]
    file: str
    line: int
    message: str


@dataclass(frozen=True)
class RunArrays:
    """The lists of one run. All but `tokens` and `margins` have shape (n_cycles,); a failed run has none."""

    drafted: TokenArray
    accepted: TokenArray
    draft_ns: IntArray
    verify_ns: IntArray
    rollback_ns: IntArray
    sample_ns: IntArray
    tokens: TokenArray
    """Shape (n_tokens,)."""
    margins: NDArray[np.float32]
    """Shape (n_tokens,) in a baseline, else (0,): top-1 minus top-2 logit."""


@dataclass(frozen=True)
class Study:
    """A study as loaded.

    `runs` has one row per line that could be read, in file order; its index is the position in `arrays`, and
    stays so in every selection of rows. `superseded` is True for all attempts at a run_id but the latest.
    """

    name: str
    manifest: Manifest
    runs: pd.DataFrame
    arrays: tuple[RunArrays, ...]
    notes: tuple[Note, ...]

    def model(self, role: str) -> ModelFacts:
        """Facts of the model with that role. Raises DataError when the manifest does not know it."""
        for facts in self.manifest.models:
            if facts.role == role:
                return facts
        raise DataError(f"{self.name}/{MANIFEST_FILE}: no model has the role {role!r}; the study is incomplete")


def load_study(path: Path) -> Study:
    """The study in directory `path`. Raises DataError when it holds no readable manifest or no run log."""
    manifest = load_manifest(path)
    rows: list[dict[str, object]] = []
    arrays: list[RunArrays] = []
    notes: list[Note] = []
    for found in _read_lines(path):
        if isinstance(found, Note):
            notes.append(found)
            continue
        line, record, lists = found
        rows.append(_row(line, record, lists, manifest))
        arrays.append(lists)
    return Study(path.resolve().name, manifest, _frame(rows), tuple(arrays), tuple(notes))


def measured(runs: pd.DataFrame) -> pd.DataFrame:
    """Rows that count, failed ones included: the latest attempt at each run, and none that was marked."""
    return runs[runs["mark"].isna() & ~runs["superseded"]]


def completed(runs: pd.DataFrame) -> pd.DataFrame:
    """Measured rows that ended well and so have timings."""
    rows = measured(runs)
    return rows[(rows["status"] == "ok") & rows["decode_wall_ns"].notna()]


def load_manifest(path: Path) -> Manifest:
    """The manifest of the study in directory `path`. Raises DataError when it holds none that can be read."""
    file = path / MANIFEST_FILE
    try:
        manifest = parse_json(file.read_bytes(), Manifest)
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(
            f"{path}: not a study, it holds no {MANIFEST_FILE}; name a folder a suite wrote"
        ) from None
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror})") from None
    except MalformedError as error:
        raise DataError(f"{file}: not a manifest of this tool ({error})") from None
    _check_schema(manifest.schema_version, str(file))
    return manifest


def _check_schema(version: int, where: str) -> None:
    if version != SCHEMA_VERSION:
        raise DataError(
            f"{where}: schema version {version}, this tool reads {SCHEMA_VERSION}; use the tool that measured it"
        )


def _read_lines(path: Path) -> Iterator[Note | tuple[int, RunRecord, RunArrays]]:
    file = path / RUNS_FILE
    try:
        with file.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                yield _read_line(line, number, f"{path.name}/{RUNS_FILE}:{number}")
    except FileNotFoundError:
        raise DataError(f"{path}: the study holds no {RUNS_FILE}; {_why_no_runs(path)}") from None
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror})") from None


def _why_no_runs(path: Path) -> str:
    for log, command in ((GRID_LOG, "moesd grid"), (ROUTING_LOG, "routing")):
        if (path / log).is_file():
            return f"it holds an experiment: `python -m analysis {command} {path}` shows it"
    return "it was planned but never run"


def _read_line(line: bytes, number: int, where: str) -> Note | tuple[int, RunRecord, RunArrays]:
    try:
        record = decode_line(line, where)
        _check_schema(record.schema_version, where)
        return number, record, _arrays(record.measurement, where)
    except DataError as error:
        kind: Literal["torn-line", "bad-line"] = "bad-line" if line.endswith(b"\n") else "torn-line"
        return Note(kind, RUNS_FILE, number, str(error))


def _arrays(measurement: Measurement | None, where: str) -> RunArrays:
    if measurement is None:
        return _EMPTY
    cycles = measurement.cycles
    if len({len(getattr(cycles, name)) for name in CYCLE_FIELDS}) > 1:
        raise DataError(f"{where}: the lists of its cycles have different lengths")
    try:
        return RunArrays(
            drafted=np.array(cycles.drafted, dtype=np.int32),
            accepted=np.array(cycles.accepted, dtype=np.int32),
            draft_ns=np.array(cycles.draft_ns, dtype=np.int64),
            verify_ns=np.array(cycles.verify_ns, dtype=np.int64),
            rollback_ns=np.array(cycles.rollback_ns, dtype=np.int64),
            sample_ns=np.array(cycles.sample_ns, dtype=np.int64),
            tokens=np.array(measurement.tokens, dtype=np.int32),
            margins=np.array(measurement.margins, dtype=np.float32),
        )
    except OverflowError:
        raise DataError(f"{where}: a number of its lists is too large to be a token or a time") from None


_NO_TOKENS: TokenArray = np.empty(0, np.int32)
_NO_TIMES: IntArray = np.empty(0, np.int64)
_EMPTY = RunArrays(
    _NO_TOKENS, _NO_TOKENS, _NO_TIMES, _NO_TIMES, _NO_TIMES, _NO_TIMES, _NO_TOKENS, np.empty(0, np.float32)
)


def _row(line: int, record: RunRecord, lists: RunArrays, manifest: Manifest) -> dict[str, object]:
    row: dict[str, object] = {"line": line}
    row.update((name, getattr(record, name)) for name in _RECORD)
    row.update((name, getattr(record.cell, name)) for name in Cell.__struct_fields__)
    row["target_sha256"] = record.target_sha256
    row["draft_sha256"] = record.draft_sha256
    row["recomputed_run_id"] = run_identity(
        record.cell, manifest.settings, manifest.engine, record.target_sha256, record.draft_sha256
    )
    if record.measurement is not None:
        row.update((name, getattr(record.measurement, name)) for name in _SCALARS)
        row.update(_sums(lists))
        row.update(_proofs(record.measurement))
        row.update(_energy(record.measurement))
    if record.failure is not None:
        row.update(failure_kind=record.failure.kind, failure_message=record.failure.message)
    for moment, state in (("before", record.state_before), ("after", record.state_after)):
        row.update((f"{moment}_{name}", getattr(state, name)) for name in _STATE_FIELDS)
    return {name: sys.intern(value) if isinstance(value, str) else value for name, value in row.items()}


def _proofs(measurement: Measurement) -> dict[str, float]:
    proofs = ((name, getattr(measurement, name)) for name in _PROOFS)
    return {
        f"{name}_{field}": getattr(proof, field)
        for name, proof in proofs
        if proof is not None
        for field in RollbackProof.__struct_fields__
    }


def _energy(measurement: Measurement) -> dict[str, float | None]:
    if measurement.energy is None:
        return {}
    return {f"energy_{name}": mj for name, mj in msgspec.structs.asdict(measurement.energy).items()}


def _sums(lists: RunArrays) -> dict[str, int]:
    n_cycles = len(lists.accepted)
    accepted = int(lists.accepted.sum())
    return {
        "n_cycles": n_cycles,
        "drafted_tokens": int(lists.drafted.sum()),
        "accepted_tokens": accepted,
        "emitted_tokens": accepted + n_cycles,
        "n_tokens": len(lists.tokens),
        "n_margins": len(lists.margins),
        **{name: int(getattr(lists, name).sum()) for name in NS_FIELDS},
    }


COLUMNS = (
    "line", *_RECORD, *Cell.__struct_fields__, "target_sha256", "draft_sha256", "recomputed_run_id",
    *_SCALARS, *_PROOF_FIELDS, *_ENERGY_FIELDS, *_COUNTS, *NS_FIELDS, "failure_kind", "failure_message",
    *(f"{moment}_{name}" for moment in ("before", "after") for name in _STATE_FIELDS),
)  # fmt: skip


def _frame(rows: list[dict[str, object]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    frame = frame.astype(dict.fromkeys(_NUMBERS, "float64"))
    latest = frame.sort_values(["attempt", "line"]).drop_duplicates("run_id", keep="last").index
    frame["superseded"] = ~frame.index.isin(latest)
    return frame
