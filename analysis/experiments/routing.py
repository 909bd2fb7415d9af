"""Distinct experts that n tokens really touch, beside MoESD's N(n) = E(1 - (1 - K/E)^n) (issues 4 and 5).

The formula takes routing as uniform and independent. Shuffled tokens keep a router's favourites and lose what
neighbours have in common; real and drafted ones have both.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from analysis.experiment_log import read_experiment
from analysis.load import MANIFEST_FILE
from analysis.moesd.theory import experts_loaded
from analysis.render import Column, Document, Row, Table
from runner.errors import DataError
from runner.grid_record import ROUTING_LOG, RoutingRecord
from runner.record import RoutingCount

SHOWN = (1, 2, 3, 5, 9, 17, 33)
SOURCES = ("real", "drafted", "shuffled")
_COLUMNS = (
    Column("target", "Target"),
    Column("n_tokens", "Tokens", "count"),
    Column("uniform", "N(t)", "factor"),
    *(
        column
        for source in SOURCES
        for column in (Column(source, source.capitalize(), "factor"), Column(f"{source}_ratio", "over N(t)", "p"))
    ),
    Column("windows", "Windows, real", "count"),
)
_NOTE = (
    "Mean distinct experts of a layer over layers, windows and prompts. Drafted: the last real token and the "
    "draft's guesses after it, as a verification sees them. Looked at outside of any timed run."
)


def routing_document(folder: Path) -> Document:
    """The table of a study of the suite `routing`. DataError when the folder holds none."""
    log = read_experiment(folder, ROUTING_LOG, RoutingRecord)
    used = {model.role: model.n_experts_used for model in log.manifest.models}
    by_target: dict[str, list[RoutingRecord]] = defaultdict(list)
    for line, record in zip(log.lines, log.ok, strict=True):
        target = record.subject.target
        _refuse_impossible(record, used.get(target, 1), f"{log.name}/{ROUTING_LOG}:{line}")
        by_target[target].append(record)
    rows = [row for target in used if target in by_target for row in _rows(by_target[target], used[target])]
    table = Table("routing", "Distinct experts touched", _COLUMNS, tuple(rows), (_NOTE,))
    return Document(log.name, (table,), log.notes)


def _refuse_impossible(record: RoutingRecord, used: int, where: str) -> None:
    if not 1 <= used <= record.n_experts:
        raise DataError(
            f"{where}: counted {record.n_experts} experts, but {MANIFEST_FILE} says that a token uses {used} of"
            " them; one of the two was edited"
        )


def _rows(records: list[RoutingRecord], used: int) -> Iterator[Row]:
    for n_tokens in SHOWN:
        uniform = float(experts_loaded(n_tokens, records[0].n_experts, used))
        row: dict[str, str | int | float] = {
            "target": f"{records[0].subject.target} ({used} of {records[0].n_experts})",
            "n_tokens": n_tokens,
            "uniform": uniform,
        }
        for source in SOURCES:
            counts = [
                count
                for record in records
                for count in record.counts
                if count.source == source and count.n_tokens == n_tokens
            ]
            if counts:
                distinct = _mean_distinct(counts)
                row |= {source: distinct, f"{source}_ratio": distinct / uniform}
            if source == "real":
                row["windows"] = sum(count.n_windows for count in counts)
        yield row


def _mean_distinct(counts: list[RoutingCount]) -> float:
    """Mean over all windows, each the mean of its layers."""
    weights = [count.n_windows for count in counts]
    return float(np.average([np.mean(count.distinct_by_layer) for count in counts], weights=weights))
