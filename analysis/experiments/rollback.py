"""What taking rejected tokens back costs: snapshots against checkpoint, by gamma and model (suite `rollback`)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.accounting import pairs
from analysis.load import Study
from analysis.render import Column, Document, Row, Table
from analysis.stats import means, ratios
from runner.errors import DataError

SUITES = ("rollback", "rollback-plain")


def rollback_document(study: Study) -> Document:
    """The table of the suites. Raises DataError when they were not run."""
    runs = pairs(study)
    runs = runs[runs["suite"].isin(SUITES)]
    if runs.empty:
        raise DataError(f"{study.name}: no rollback was forced; run `python -m runner suite {SUITES[0]}`")
    groups = runs.groupby(["target", "gamma", "target_rollback"], sort=True)
    columns = (
        Column("target", "Target"),
        Column("state_mib", "State (MiB)", "factor"),
        Column("gamma", "γ", "count"),
        Column("rollback", "Rollback"),
        Column("rollback_ms", "ms per cycle", "ms"),
        Column("share", "in t₁", "factor"),
        Column("v", "v", "factor"),
        Column("speedup", "S", "ratio"),
    )
    notes = (
        "ms per cycle: marking before the pass and rolling back after it, decoding kept tokens again included.",
        "State: recurrent state of one sequence; snapshots keep γ + 1 of them.",
        "What keeping snapshots costs inside the pass shows in v.",
    )
    rows = tuple(_row(study, group) for _, group in groups)
    table = Table("rollback", "Cost of taking rejected tokens back", columns, rows, notes)
    return Document(study.name, (table,))


def _row(study: Study, group: pd.DataFrame) -> Row:
    first, prompts = group.iloc[0], list(group["prompt"])
    per_cycle_ms = (group["rollback_ns"] / group["n_cycles"] / 1e6).to_numpy(float)
    return {
        "target": str(first["target"]),
        "state_mib": study.model(str(first["target"])).recurrent_state_bytes / 2**20,
        "gamma": int(first["gamma"]),
        "rollback": str(first["target_rollback"]),
        "rollback_ms": float(per_cycle_ms.mean()),
        "share": means(per_cycle_ms / group["t1_ms"].to_numpy(float), prompts),
        "v": means(group["v"].to_numpy(float), prompts),
        "speedup": ratios(np.log(group["speedup"].to_numpy(float)), prompts),
    }
