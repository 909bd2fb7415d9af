"""A study of the grid, read and fitted; its truth is the cost model of `tests.grid_world`."""

from __future__ import annotations

import csv
import io
import json

import msgspec
import pytest

from analysis.moesd.measured import read_measured
from analysis.moesd.source import load_source
from runner.errors import DataError
from runner.grid_record import GRID_LOG
from runner.lines import encode_line
from runner.record import Failure
from tests.analysis_cli import analysis
from tests.grid_world import (
    ACCEPTED,
    DENSE,
    EXPERT,
    FACTS,
    grid_experiment,
    measurement_of,
    pass_ms,
    plan_of,
    true_speedup,
    write_log,
)


def study_at(folder, *, noise: float = 0.0, loop_limit: int = 1000, change=lambda fields: fields):
    experiment = grid_experiment()
    tasks, manifest = plan_of(experiment)
    fields = []
    for task in tasks:
        n_loop = min(loop_limit, task.subject.n_sequences)
        fields.append({"measurement": measurement_of(task.subject, noise=noise, n_loop=n_loop)})
    return write_log(folder, experiment, tasks, manifest, change(fields))


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return study_at(tmp_path_factory.mktemp("grid") / "study")


@pytest.fixture(scope="module")
def noisy_study(tmp_path_factory):
    return study_at(tmp_path_factory.mktemp("grid") / "noisy", noise=0.02)


def test_speedups_and_times_are_the_truths(study):
    frame = read_measured(study).frame
    assert len(frame) == 228
    for row in frame.itertuples():
        used, gamma, size = row.K, row.gamma, row.B
        assert row.speedup == pytest.approx(true_speedup(used, gamma, size), rel=1e-4)
        assert row.composed == pytest.approx(row.speedup, rel=1e-4)
        assert row.sigma == pytest.approx((1 + ACCEPTED[gamma]) / (gamma + 1))
        assert row.target_1_ms == pytest.approx(pass_ms(size, used), rel=1e-5)
        assert row.target_gamma_ms == pytest.approx(pass_ms(size * gamma, used), rel=1e-5)
        assert row.target_gamma1_ms == pytest.approx(pass_ms(size * (gamma + 1), used), rel=1e-5)


def test_facts_follow_from_the_study(study):
    facts = read_measured(study).facts
    assert (facts.target.experts, facts.verified) == (64, "gamma+1")
    assert (facts.target.dense_parameters, facts.target.expert_parameters) == (DENSE, EXPERT)
    target, draft = FACTS["moe-64"], FACTS["draft-tiny"]
    assert facts.target.bytes_per_parameter == target.bytes_per_token / target.active_parameters
    assert facts.draft.parameters == draft.active_parameters
    active = [DENSE + used * EXPERT for used in (1, 2, 4, 8, 16, 32)]
    fastest = max(
        2 * weights * size * width / (pass_ms(size * width, used) / 1e3)
        for weights, used in zip(active, (1, 2, 4, 8, 16, 32), strict=True)
        for size in (1, 100)
        for width in (1, 3, 5)
    )
    assert facts.machine.peak_flops_per_s == pytest.approx(fastest, rel=1e-4)
    assert facts.machine.bandwidth_bytes_per_s >= 800e9


def test_21_points_predict_the_other_207_and_the_command_says_where_all_come_from(noisy_study):
    shown = json.loads(analysis("moesd", "fit", noisy_study, "--stride", 11, "--format", "json").out)
    summary = shown["tables"][0]["rows"][0]
    assert (summary["m"], summary["n"]) == (21, 228)
    assert summary["held_out_rmse"] < 0.05
    assert any("228 points: 228 by true loops of all sequences, 0 by Eq. 4" in note for note in shown["notes"])
    assert any("99.0% of the tokens are those of decoding without SD" in note for note in shown["notes"])


def test_points_that_memory_could_not_hold_whole_are_composed_and_say_so(study, tmp_path):
    """Acceptance and rejection come from four sequences; by Eq. 4 the truth comes out all the same."""
    grid = read_measured(study_at(tmp_path / "study", loop_limit=4))
    assert set(grid.frame.loc[grid.frame["B"] > 4, "loop"]) == {"composed"}
    assert set(grid.frame.loc[grid.frame["B"] <= 4, "loop"]) == {"true"}
    whole = read_measured(study).frame
    assert grid.frame["speedup"].to_numpy() == pytest.approx(whole["speedup"].to_numpy(), rel=1e-4)
    assert f"{(whole['B'] > 4).sum()} by Eq. 4" in grid.notes[0]


def test_the_table_as_csv_is_data_for_a_fit(study, tmp_path):
    text = analysis("moesd", "grid", study, "--format", "csv").out
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 228
    assert {row["loop"] for row in rows} == {"true"}
    (tmp_path / "again.csv").write_text(text)
    (tmp_path / "again.json").write_bytes(msgspec.json.encode(read_measured(study).facts))
    again = load_source(str(tmp_path / "again.csv"), None, None).grid
    assert again.speedup == pytest.approx(load_source(str(study), None, None).grid.speedup, rel=1e-5)


def test_a_later_attempt_counts_and_a_failed_point_is_left_out_and_named(tmp_path):
    def fail_one(fields):
        return [{"status": "failed", "failure": Failure(kind="EngineError", message="x")}, *fields[1:]]

    folder = study_at(tmp_path / "study", change=fail_one)
    grid = read_measured(folder)
    assert len(grid.frame) == 227
    assert "1 points failed and are left out." in grid.notes
    experiment = grid_experiment()
    task = plan_of(experiment)[0][0]
    fields = {"run_id": task.run_id, "attempt": 2, "order": 0, "started_utc": "2026-01-02", "status": "ok"}
    again = experiment.record(task, {**fields, "measurement": measurement_of(task.subject)})
    with (folder / GRID_LOG).open("ab") as log:
        log.write(encode_line(again))
    assert len(read_measured(folder).frame) == 228


def test_an_edited_line_is_passed_over_with_a_note(tmp_path):
    folder = study_at(tmp_path / "study")
    log = folder / GRID_LOG
    lines = log.read_bytes().splitlines(keepends=True)
    lines[7] = lines[7].replace(b'"n_cycles":5', b'"n_cycles":4')
    log.write_bytes(b"".join(lines[:-20]))
    grid = read_measured(folder)
    assert len(grid.frame) == 207
    assert any("moesd-grid.jsonl:8: the checksum does not fit" in note for note in grid.notes)
    assert "21 of 228 planned points were not measured." in grid.notes


def test_a_folder_without_a_measured_point_is_refused(tmp_path):
    folder = study_at(tmp_path / "study")
    (folder / GRID_LOG).write_bytes(b"")
    with pytest.raises(DataError, match="holds no measured point"):
        read_measured(folder)
    assert "holds no measured point" in analysis("moesd", "fit", folder).error_line


@pytest.mark.parametrize("command", [("moesd", "grid"), ("routing",)])
def test_a_folder_that_is_no_such_study_is_refused(tmp_path, command):
    assert "not a study" in analysis(*command, tmp_path).error_line


def test_other_commands_say_which_one_shows_an_experiment(study):
    assert "`python -m analysis moesd grid" in analysis("tables", study).error_line
