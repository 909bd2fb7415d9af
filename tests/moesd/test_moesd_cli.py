"""`python -m analysis moesd` prints tables that programs can read, and refuses bad input in one line."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import msgspec
import numpy as np
import pytest

from analysis.moesd.source import load_source
from tests.analysis_cli import analysis
from tests.moesd.truth import FACTS, noisy, true_grid, write_data

GOLDEN = Path(__file__).parent / "golden"
QUESTION = ("--used", 8, "--gamma", 4, "--alpha", 0.95)


@pytest.fixture
def data(tmp_path):
    return write_data(tmp_path, noisy(true_grid(), 1))


def table(text: str, name: str) -> list[dict[str, str]]:
    blocks = (list(csv.DictReader(io.StringIO(block))) for block in text.split("\n\n"))
    return next(rows for rows in blocks if rows[0]["table"] == name)


def test_strides_of_the_published_points_read_as_the_golden_table():
    outcome = analysis("moesd", "strides")
    assert outcome.status == 0
    assert outcome.out == (GOLDEN / "strides.md").read_text()


def test_strides_plot_is_the_same_bytes_every_time(tmp_path):
    data = write_data(tmp_path, true_grid().every(4))
    for name in ("one.svg", "two.svg"):
        assert analysis("moesd", "strides", data, "--plot", tmp_path / name).status == 0
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    assert (tmp_path / "one.svg").read_bytes().count(b"K = ") == 12


def test_fit_reports_every_point_and_every_parameter(data):
    text = analysis("moesd", "fit", data, "--stride", 11, "--format", "csv").out
    points = table(text, "points")
    assert len(points) == 228
    assert sum(row["fitted"] == "true" for row in points) == 21
    assert len(table(text, "parameters")) == 10
    (summary,) = table(text, "fit")
    assert (summary["m"], summary["n"]) == ("21", "228")
    assert float(summary["seconds"]) > 0
    assert float(summary["plain"]) > 0
    assert 0.7 < float(summary["inside"]) <= 1


def test_fit_says_how_well_measured_target_efficiency_was_met(tmp_path):
    grid = true_grid()
    timed = grid.frame.assign(target_1_ms=1.0, target_gamma_ms=2.0)
    path = write_data(tmp_path)
    timed.to_csv(path, index=False)
    document = json.loads(analysis("moesd", "fit", path, "--format", "json").out)
    assert document["tables"][0]["rows"][0]["efficiency_rmse"] > 0


def test_a_fit_without_points_to_spare_says_so_and_gives_no_interval(tmp_path):
    text = analysis("moesd", "fit", write_data(tmp_path), "--stride", 25, "--format", "json").out
    document = json.loads(text)
    assert any("no interval" in note for note in document["notes"])
    assert document["tables"][2]["rows"][0]["low"] is None


def test_facts_beside_the_data_may_be_named_instead(tmp_path, data):
    facts = data.with_suffix(".json").rename(tmp_path / "other.json")
    assert "no facts beside it" in analysis("moesd", "fit", data).error_line
    assert analysis("moesd", "fit", data, "--facts", facts).status == 0


def test_a_folder_holds_points_and_facts_under_fixed_names(tmp_path, data):
    data.rename(tmp_path / "grid.csv")
    data.with_suffix(".json").rename(tmp_path / "grid.json")
    assert analysis("moesd", "fit", tmp_path).status == 0


def test_the_width_of_a_verification_can_be_overridden(data):
    as_stated, wider = (load_source(str(data), None, verified) for verified in (None, "gamma+1"))
    assert np.array_equal(wider.grid.points.verified, as_stated.grid.points.verified + 1)
    outcome = analysis("moesd", "predict", data, *QUESTION, "--verified", "gamma+2")
    assert outcome.status == 2
    assert "gamma+1" in outcome.err


def test_predict_says_where_sd_pays_with_dense_targets_beside(tmp_path):
    outcome = analysis("moesd", "predict", *QUESTION, "--format", "csv", "--plot", tmp_path / "curve.png")
    where = {row["target"]: row for row in table(outcome.out, "where-it-pays")}
    assert where["mixture"]["pays"].startswith("B 1 to ")
    assert float(where["mixture"]["peak"]) == pytest.approx(2.2, abs=0.15)
    assert where["dense, active size"]["peak_at"] == where["dense, total size"]["peak_at"] == "1"
    assert [row["B"] for row in table(outcome.out, "curve")][:4] == ["1", "2", "4", "8"]
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_predict_answers_for_the_batches_asked_about():
    outcome = analysis(
        "moesd", "predict", *QUESTION, "--batch", 3, "--batch", 200, "--max-batch", 200, "--format", "csv"
    )
    assert [row["B"] for row in table(outcome.out, "curve")] == ["3", "200"]


def test_predict_for_another_machine_says_that_it_assumes(tmp_path, data):
    machine = msgspec.structs.replace(FACTS.machine, name="twice the flops", peak_flops_per_s=1200e12)
    (tmp_path / "there.json").write_bytes(msgspec.json.encode(msgspec.structs.replace(FACTS, machine=machine)))
    outcome = analysis("moesd", "predict", data, *QUESTION, "--onto", tmp_path / "there.json")
    assert "Carried over to twice the flops" in outcome.out


def spoiled(data, **columns):
    grid = true_grid()
    grid.frame.assign(**columns).to_csv(data, index=False)
    return data


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"speedup": [float("nan")] * 228}, "data.csv:2: speedup '' is not a finite number"),
        ({"K": [65.0] * 228}, "exceeds the target's 64 experts"),
        ({"gamma": [0.0] * 228}, "gamma 0.0 is below 1"),
        ({"B": [1.0] * 228}, "two rows for K=1, gamma=2, B=1"),
    ],
)
def test_points_that_cannot_be_are_one_line_and_status_2(data, columns, message):
    assert message in analysis("moesd", "fit", spoiled(data, **columns)).error_line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("fit", "nowhere.csv"), "no such file"),
        (("fit", "--facts", "nowhere.toml"), "cannot be read"),
        (("fit", "--stride", 0), "a stride is 1 or more"),
        (("fit", "--stride", 26), "9 points cannot fix 10 parameters"),
        (("fit", "--plot", "figure.jpg"), "a plot is written as"),
        (("strides", "--plot", "nowhere/figure.svg"), "does not exist"),
        (("predict", "--used", 65, "--gamma", 4, "--alpha", 0.9), "65 experts used of 64"),
        (("predict", "--used", 8, "--gamma", 0, "--alpha", 0.9), "gamma 0"),
        (("predict", "--used", 8, "--gamma", 4, "--alpha", 2), "alpha 2"),
        (("predict", *QUESTION, "--max-batch", 0), "--max-batch 0"),
        (("predict", *QUESTION, "--batch", 101), "--batch 101: outside 1 to 100"),
        (("predict", *QUESTION, "--batch", 0), "--batch 0"),
        (("predict", *QUESTION, "--stride", 25, "--experts", 0), "8 experts used of 0"),
    ],
)
def test_a_question_that_cannot_be_answered_is_one_line_and_status_2(arguments, message):
    assert message in analysis("moesd", *arguments).error_line


def test_zero_bandwidth_is_one_line_and_leaves_no_figure(tmp_path, data):
    facts = data.with_suffix(".json")
    facts.write_bytes(facts.read_bytes().replace(b"4000000000000.0", b"0.0"))
    line = analysis("moesd", "strides", data, "--plot", tmp_path / "figure.svg").error_line
    assert "bandwidth_bytes_per_s" in line
    assert not (tmp_path / "figure.svg").exists()
