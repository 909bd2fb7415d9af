"""Reads other people's run logs: the published study's CSV, llama-bench's output, and any mapped CSV.

Nothing in such a file is trusted. What cannot be read as the table it claims to be raises one DataError with
file and line; a figure that can be read but cannot be true (an acceptance of 1.7, a negative time) becomes a
problem of the log, its row stays out of every statistic, and the audit names it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import pandas as pd

from analysis.csv_table import csv_table, read_text
from analysis.llama_bench import bench_csv_names, bench_rows, is_bench_header, is_generation
from runner.errors import DataError
from runner.parsing import printable
from runner.record import NO_DRAFT

MS_PER_S = 1000.0
EXTREME = 1e30
"""No figure of a log is larger, no time or rate smaller than its inverse: sums and ratios stay finite."""

Kind = Literal["text", "count", "positive", "fraction"]

COLUMNS: Final[dict[str, Kind]] = {
    "run": "text", "timestamp": "text", "machine": "text", "chip": "text", "build": "text", "target": "text",
    "draft": "text", "gamma": "count", "n_prompt_tokens": "count", "n_predict_tokens": "count", "repeat": "count",
    "prompt": "text", "tokens_per_s": "positive", "prefill_ms": "positive", "ms_per_token": "positive",
    "acceptance": "fraction", "speedup": "positive", "status": "text",
}  # fmt: skip
"""Our columns and what may stand in them. Every log is brought into these; `line` and `file` come on top."""

PUBLISHED_NAMES: Final[dict[str, str]] = {
    "job_id": "run", "target_model": "target", "draft_model": "draft", "draft_len": "gamma",
    "n_prompt": "n_prompt_tokens", "n_predict": "n_predict_tokens", "prompt_key": "prompt",
    "tokens_per_sec": "tokens_per_s", "prompt_eval_ms": "prefill_ms", "eval_ms_per_token": "ms_per_token",
    "draft_acceptance_rate": "acceptance", "speedup_vs_baseline": "speedup",
}  # fmt: skip
"""Columns of the published study's run log that have another name here."""

REQUIRED = ("target", "draft", "gamma")
_EMPTY = "holds no run; a log needs a header and at least one row"
_TOLERATED = frozenset({"", "-", "na", "n/a", "none", "null"})


@dataclass(frozen=True)
class ForeignLog:
    """A foreign log in our columns; a figure that its source leaves empty is NaN.

    `runs` holds the rows whose figures can be true. `problems` names the others, with file and line.
    """

    name: str
    runs: pd.DataFrame
    problems: tuple[str, ...]


def load_foreign(path: Path, mapping: Mapping[str, str] | None = None) -> ForeignLog:
    """The log in `path`; `mapping` gives our name for each of their columns that has another one.

    Raises DataError, with file and line, when the file is not a table of runs.
    """
    text = read_text(path)
    if not text.strip():
        raise DataError(f"{path.name}: {_EMPTY}")
    if text.lstrip()[:1] in ("{", "["):
        rows = [(line, {**row}) for line, row in bench_rows(text, path.name)]
    else:
        rows = list(_csv_rows(text, path.name, mapping or {}))
    if not rows:
        raise DataError(f"{path.name}: {_EMPTY}")
    return _log(path.name, rows)


def parse_mapping(options: Sequence[str]) -> dict[str, str]:
    """`their=ours` options as a mapping. Raises DataError when one is not of that form or `ours` is unknown."""
    mapping: dict[str, str] = {}
    for option in options:
        theirs, separator, ours = option.partition("=")
        ours = PUBLISHED_NAMES.get(ours.strip(), ours.strip())
        if not separator or not theirs.strip() or ours not in COLUMNS:
            known = ", ".join(COLUMNS)
            raise DataError(f"--map {option}: write their=ours, where ours is one of {known}")
        mapping[theirs.strip()] = ours
    return mapping


def _csv_rows(text: str, name: str, mapping: Mapping[str, str]) -> Iterator[tuple[int, dict[str, object]]]:
    table = csv_table(text, name)
    names, bench = _ours(table.header, name, mapping), is_bench_header(table.header)
    for line, cells in table.rows:
        row: dict[str, object] = {ours: cell for ours, cell in zip(names, cells, strict=True) if ours}
        if not bench or is_generation(row):
            yield line, row


def _ours(header: list[str], name: str, mapping: Mapping[str, str]) -> list[str]:
    """Our name for each column of the header, empty for those we have no use for."""
    missing = [theirs for theirs in mapping if theirs not in header]
    if missing:
        raise DataError(f"{name}:1: --map names the column {missing[0]!r}, which the header does not have")
    aliases = {**PUBLISHED_NAMES, **(bench_csv_names() if is_bench_header(header) else {}), **mapping}
    names = [aliases.get(cell, cell if cell in COLUMNS else "") for cell in header]
    used = [ours for ours in names if ours]
    doubled = {ours for ours in used if used.count(ours) > 1}
    if doubled:
        raise DataError(f"{name}:1: two columns would be {sorted(doubled)[0]!r}; rename one or map another")
    _check_required(name, used, bench=is_bench_header(header))
    return names


def _check_required(name: str, used: list[str], *, bench: bool) -> None:
    wanted = ["target"] if bench else list(REQUIRED)
    absent = [ours for ours in wanted if ours not in used]
    if not {"tokens_per_s", "ms_per_token"} & set(used):
        absent.append("tokens_per_s or ms_per_token")
    if absent:
        raise DataError(f"{name}:1: no column for {', '.join(absent)}; name it with --map their=ours")


def _log(name: str, rows: list[tuple[int, dict[str, object]]]) -> ForeignLog:
    problems: list[str] = []
    kept: list[dict[str, object]] = []
    for line, row in rows:
        where = f"{name}:{line}"
        typed: dict[str, object] = {"file": name, "line": line}
        typed.update((column, _value(row.get(column), column, kind, where)) for column, kind in COLUMNS.items())
        found = [*_impossible(typed, where)]
        problems += found
        if not found:
            kept.append(_completed(typed))
    frame = pd.DataFrame(kept, columns=["file", "line", *COLUMNS])
    numbers = [column for column, kind in COLUMNS.items() if kind != "text"]
    return ForeignLog(name, frame.astype(dict.fromkeys(numbers, "float64")), tuple(problems))


def _value(cell: object, column: str, kind: Kind, where: str) -> object:
    if kind == "text":
        return "" if cell is None else str(cell)
    if cell is None or (isinstance(cell, str) and cell.lower() in _TOLERATED):
        return math.nan
    try:
        value = float(cell)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if math.isnan(value):
        raise DataError(f"{where}: {column} is {str(cell)[:40]!r}, not a number; leave it empty if unknown")
    return value


def _impossible(row: Mapping[str, Any], where: str) -> Iterator[str]:
    for column, kind in COLUMNS.items():
        value = row[column]
        limit = _breach(value, kind) if isinstance(value, float) else None
        if limit:
            yield f"{where}: {column} is {value:g}; {limit}"
    speculative = _role(row["draft"]) not in _TOLERATED
    if speculative != (row["gamma"] > 0):
        draft = printable(repr(row["draft"]))
        yield f"{where}: draft {draft} with gamma {row['gamma']:g}; a draft goes with a gamma above 0"
    if _ended_well(row) and math.isnan(row["tokens_per_s"]) and math.isnan(row["ms_per_token"]):
        yield f"{where}: a run that ended well gives neither a rate nor a time per token"


def _ended_well(row: Mapping[str, Any]) -> bool:
    return str(row["status"]).lower() in ("", "ok")


def _breach(value: float, kind: Kind) -> str | None:
    if math.isnan(value):
        return None
    if value > EXTREME:
        return "no measurement is endless"
    if kind == "fraction" and not 0 <= value <= 1:
        return "a fraction lies between 0 and 1 (write 2.5 % as 0.025)"
    if kind == "positive" and value < 1 / EXTREME:
        return "a time or a rate is above 0"
    if kind == "count" and (value < 0 or value != int(value)):
        return "a count is a whole number from 0"
    return None


def _completed(row: Mapping[str, Any]) -> dict[str, object]:
    """Names in one spelling; time per token from the rate, or the other way round, where one is missing."""
    draft = _role(row["draft"])
    rate, ms = row["tokens_per_s"], row["ms_per_token"]
    return {
        **row, "target": _role(row["target"]), "draft": NO_DRAFT if draft in _TOLERATED else draft,
        "gamma": 0.0 if math.isnan(row["gamma"]) else row["gamma"],
        "tokens_per_s": MS_PER_S / ms if np.isnan(rate) else rate,
        "ms_per_token": MS_PER_S / rate if np.isnan(ms) else ms,
        "status": str(row["status"]).lower() or "ok",
    }  # fmt: skip


def _role(name: object) -> str:
    """`moe_q4` and `moe-q4` are one role."""
    return str(name).strip().lower().replace("_", "-")
