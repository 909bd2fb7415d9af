"""Every run of a study: one row each, and its record packed into the page."""

from __future__ import annotations

import base64
import gzip
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd

from analysis.accounting import pairs, with_rates
from analysis.load import RUNS_FILE, Study
from analysis.render import Column, Row, Table
from analysis.summary import label

BUDGET_BYTES = 1_300_000
"""Of packed records in a page that must stay below 3 MB."""
_LISTS = ("cycles", "tokens", "margins")

COLUMNS = (
    Column("run_id", "Run"), Column("order", "Order", "count"), Column("suite", "Suite"),
    Column("target", "Target"), Column("draft", "Draft"), Column("gamma", "γ", "count"),
    Column("prompt", "Prompt"), Column("block", "Block", "count"), Column("status", "Status"),
    Column("verdict", "Output"), Column("tok_s", "tok/s", "speed"), Column("speedup", "Speedup", "ratio"),
    Column("alpha", "α", "share"), Column("tau", "τ", "factor"), Column("remark", "Remark"),
)  # fmt: skip


def runs_table(study: Study) -> Table:
    """One row per line of the run log, failed, repeated and marked runs included.

    Key `record`, no column, is the run's place among the packed records.
    """
    rates = with_rates(study.runs)
    paired = pairs(study)[["speedup", "verdict"]]
    frame = rates.join(paired).reset_index(names="record").sort_values(["order", "attempt"], kind="stable")
    return Table("runs", "Every run", COLUMNS, tuple(_row(run) for run in frame.to_dict("records")))


def packed_records(study: Study, path: Path) -> tuple[str, bool]:
    """The records as stored, one a line in the order of `study.runs`: gzip in base64; and whether they are whole.

    Where they would not fit, the lists of cycles, tokens and margins are left out.
    """
    stored = (path / RUNS_FILE).read_bytes().split(b"\n")
    records = [_record(stored[line - 1]) for line in study.runs["line"]]
    packed = _packed(records)
    if len(packed) <= BUDGET_BYTES:
        return packed, True
    return _packed([_without_lists(record) for record in records]), False


def _row(run: dict[Any, Any]) -> Row:
    known = {
        key: run[key] for key in ("record", "run_id", "order", "suite", "prompt", "block", "status", "gamma")
    }
    figures = {key: run[key] for key in ("tok_s", "speedup", "alpha", "tau") if pd.notna(run[key])}
    remarks = [
        str(run["mark"]) if pd.notna(run["mark"]) else "", "superseded" if run["superseded"] else "",
        str(run["failure_kind"]) if pd.notna(run["failure_kind"]) else "",
        str(run["purpose"]) if run["purpose"] != "cell" else "",
    ]  # fmt: skip
    return {
        **known, **figures, "target": label(run["target"]), "draft": label(run["draft"]),
        "verdict": run["verdict"] if pd.notna(run["verdict"]) else None,
        "remark": ", ".join(filter(None, remarks)) or None,
    }  # fmt: skip


def _record(line: bytes) -> bytes:
    return bytes(msgspec.json.decode(line, type=dict[str, msgspec.Raw])["run"])


def _without_lists(record: bytes) -> bytes:
    content = msgspec.json.decode(record)
    if content.get("measurement"):
        for name in _LISTS:
            content["measurement"].pop(name, None)
    return msgspec.json.encode(content)


def _packed(records: list[bytes]) -> str:
    return base64.b64encode(gzip.compress(b"\n".join(records), mtime=0)).decode("ascii")
