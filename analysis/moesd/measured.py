"""The grid that the suite `moesd-grid` measured on llama.cpp, as points and facts for the model (issue 5, 4).

Where all B sequences went through a true loop, a point's speedup is τ times the time of a step without SD over
the time of a cycle, both by the clock on the wall. Where memory held fewer, it is Eq. 4 over the measured times;
the column `loop` says which. Medians stand for times, totals for acceptance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.experiment_log import ExperimentLog, read_experiment
from analysis.load import MANIFEST_FILE
from analysis.moesd.facts import DraftFacts, Facts, MachineSpeed, TargetFacts
from analysis.moesd.grid import KEYS, LINE
from analysis.render import Column, Document, Table
from runner.errors import DataError
from runner.grid_record import GRID_LOG, GridMeasurement, GridPoint, GridRecord
from runner.record import ModelFacts

NS_PER_MS = 1e6
S_PER_NS = 1e-9

_COLUMNS = (
    Column("K", "K", "count"),
    Column("gamma", "γ", "count"),
    Column("B", "B", "count"),
    Column("loop", "Loop"),
    Column("sigma", "σ", "p"),
    Column("target_1_ms", "T_T(B,1) ms", "ms"),
    Column("target_gamma_ms", "T_T(B,γ) ms", "ms"),
    Column("target_gamma1_ms", "T_T(B,γ+1) ms", "ms"),
    Column("draft_ms", "T_D(B,1) ms", "ms"),
    Column("reject_ms", "T_rej ms", "ms"),
    Column("efficiency", "T_T(B,1)/T_T(B,γ+1)", "p"),
    Column("speedup", "Speedup", "ratio"),
    Column("composed", "By Eq. 4", "ratio"),
    Column("same_text", "Text as without SD", "share"),
)


@dataclass(frozen=True)
class MeasuredGrid:
    """A study's points, with the columns of `analysis.moesd.grid` and more, and the facts that follow from it."""

    name: str
    frame: pd.DataFrame
    facts: Facts
    notes: tuple[str, ...]


def is_measured(folder: Path) -> bool:
    """Whether the folder is a study of the suite."""
    return (folder / GRID_LOG).is_file()


def read_measured(folder: Path) -> MeasuredGrid:
    """The points of a study. DataError when there is none, or its models' facts are missing."""
    log = read_experiment(folder, GRID_LOG, GridRecord)
    measured = [(record.point, record.measurement) for record in log.ok if record.measurement is not None]
    rows = [_row(point, one) for point, one in measured]
    frame = pd.DataFrame(rows, index=pd.Index(log.lines, name=LINE)).sort_values(list(KEYS))
    return MeasuredGrid(log.name, frame, _facts(log, measured), (*log.notes, *_notes(frame)))


def grid_document(grid: MeasuredGrid) -> Document:
    """Every point with its times; as CSV it is what `moesd fit` reads."""
    efficiency = grid.frame["target_1_ms"] / grid.frame["target_gamma1_ms"]
    rows = grid.frame.assign(efficiency=efficiency).to_dict("records")
    table = Table("grid", "Measured points", _COLUMNS, tuple({str(k): v for k, v in row.items()} for row in rows))
    return Document(grid.name, (table,), grid.notes)


def _row(point: GridPoint, one: GridMeasurement) -> Mapping[str, float | str]:
    whole = one.n_loop_sequences == point.n_sequences
    tau = 1.0 + one.accepted_tokens / (one.n_cycles * one.n_loop_sequences)
    # Rejection is timed on the sequences of the loop; like the model's, its time grows with their number.
    reject_ms = _ms(one.reject_ns) * point.n_sequences / one.n_loop_sequences
    step_ms = _ms(one.target_1_ns) + _ms(one.choose_1_ns)
    cycle_ms = point.gamma * _ms(one.draft_ns) + _ms(one.target_gamma1_ns) + reject_ms
    composed = tau * step_ms / cycle_ms
    return {
        "K": point.experts_used,
        "gamma": point.gamma,
        "B": point.n_sequences,
        "speedup": tau * _ms(one.baseline_step_ns) / _ms(one.cycle_ns) if whole else composed,
        "sigma": tau / (point.gamma + 1),
        "target_1_ms": _ms(one.target_1_ns),
        "target_gamma_ms": _ms(one.target_gamma_ns),
        "target_gamma1_ms": _ms(one.target_gamma1_ns),
        "draft_ms": _ms(one.draft_ns),
        "reject_ms": reject_ms,
        "loop": "true" if whole else "composed",
        "composed": composed,
        "same_text": one.same_tokens / one.compared_tokens if one.compared_tokens else float("nan"),
    }


def _ms(samples_ns: Sequence[int]) -> float:
    return float(np.median(samples_ns)) / NS_PER_MS


def _notes(frame: pd.DataFrame) -> tuple[str, ...]:
    composed = int((frame["loop"] == "composed").sum())
    apart = (frame["composed"] / frame["speedup"] - 1.0).abs().median()
    return (
        (
            f"{len(frame)} points: {len(frame) - composed} by true loops of all sequences, {composed} by Eq. 4 "
            f"over measured times; by Eq. 4 they differ from what is shown by {100 * apart:.1f}% in the median."
        ),
        (
            f"{100 * frame['same_text'].mean():.1f}% of the tokens are those of decoding without SD, up to the "
            "first difference of each sequence; a batch of another shape rounds differently."
        ),
    )


def _facts(log: ExperimentLog[GridRecord], measured: Sequence[tuple[GridPoint, GridMeasurement]]) -> Facts:
    if len(log.manifest.models) < 2:
        raise DataError(f"{log.name}/{MANIFEST_FILE}: does not name a target and a draft; it was edited")
    target, draft = log.manifest.models[:2]
    sizes = measured[0][1]
    return Facts(
        verified="gamma+1",
        target=TargetFacts(
            name=target.file,
            experts=target.n_experts,
            dense_parameters=float(sizes.dense_parameters),
            expert_parameters=float(sizes.expert_parameters),
            bytes_per_parameter=_bytes_per_parameter(target),
        ),
        draft=DraftFacts(
            name=draft.file,
            parameters=float(draft.active_parameters),
            bytes_per_parameter=_bytes_per_parameter(draft),
        ),
        machine=_machine(log, measured, _bytes_per_parameter(target)),
    )


def _machine(
    log: ExperimentLog[GridRecord],
    measured: Sequence[tuple[GridPoint, GridMeasurement]],
    bytes_per_parameter: float,
) -> MachineSpeed:
    """Peaks as far as anybody knows them: what the machine's facts say, or more where a pass reached more."""
    facts = log.manifest.machine
    known = [facts.nominal_bandwidth_bytes_per_s or 0.0, facts.measured_bandwidth_bytes_per_s or 0.0]
    read = [
        _active(point, one) * bytes_per_parameter / (min(one.target_1_ns) * S_PER_NS) for point, one in measured
    ]
    flops = [
        2.0 * _active(point, one) * width * point.n_sequences / (min(times) * S_PER_NS)
        for point, one in measured
        for width, times in ((1, one.target_1_ns), (point.gamma + 1, one.target_gamma1_ns))
    ]
    return MachineSpeed(
        name=facts.chip or facts.architecture,
        bandwidth_bytes_per_s=max(*known, *read),
        peak_flops_per_s=max(flops),
    )


def _active(point: GridPoint, one: GridMeasurement) -> float:
    """Weights that one token reads."""
    return float(one.dense_parameters + point.experts_used * one.expert_parameters)


def _bytes_per_parameter(model: ModelFacts) -> float:
    return model.bytes_per_token / model.active_parameters
