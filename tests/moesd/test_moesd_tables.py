"""What the tables and panels say."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from analysis.moesd.bootstrap import refit
from analysis.moesd.plots import fit_figure, predict_figure, strides_figure
from analysis.moesd.predict import Setting, predict
from analysis.moesd.strides import StrideRow, fit_stride
from analysis.moesd.tables import fit_document, predict_document, strides_document
from tests.moesd.truth import FACTS, TRUTH, noisy, true_grid

GRID = noisy(true_grid(), 4)


@pytest.fixture(scope="module")
def row() -> StrideRow:
    return fit_stride(GRID, FACTS, 6)


@pytest.fixture(scope="module")
def refits(row):
    return refit(row.fit, 20)


@pytest.fixture(scope="module")
def curve(row, refits):
    return predict(row.fit.parameters, refits, Setting(64, 8, 4, 0.9, "gamma"), np.arange(1.0, 61.0))


def named(document, name):
    return next(table for table in document.tables if table.name == name)


def test_a_strides_table_without_published_errors_judges_nothing(row):
    document = strides_document("mine", [row], FACTS)
    assert named(document, "strides").rows[0]["published"] is None
    assert len(document.notes) == 1


def test_a_strides_table_counts_the_rows_that_are_no_worse(row):
    better = dataclasses.replace(row, published=row.error * 1.1)
    worse = dataclasses.replace(row, published=row.error * 0.9)
    notes = strides_document("mine", [better, worse], FACTS).notes
    assert any("1 of 2 rows" in note for note in notes)
    assert any("T_rej is not published; 0.25 ms" in note for note in notes)


def test_the_summary_gives_errors_over_fitted_held_out_and_all_points(row, refits):
    (summary,) = named(fit_document("mine", row, GRID, FACTS, refits), "fit").rows
    assert (summary["m"], summary["n"]) == (38, 228)
    assert summary["error"] == pytest.approx(0.5 * 228 * summary["rmse"] ** 2)
    total = 38 * summary["fitted_rmse"] ** 2 + 190 * summary["held_out_rmse"] ** 2
    assert total == pytest.approx(228 * summary["rmse"] ** 2)


def test_points_stand_beside_what_the_fit_says(row, refits):
    points = named(fit_document("mine", row, GRID, FACTS, refits), "points").rows
    assert [p["measured"] for p in points] == GRID.speedup.tolist()
    assert all(p["low"] < p["modelled"] < p["high"] for p in points)
    assert [i for i, p in enumerate(points) if p["fitted"]] == list(range(0, 228, 6))


def test_a_fit_that_no_bound_holds_says_that_times_have_no_scale(row, refits):
    free = dataclasses.replace(row, fit=dataclasses.replace(row.fit, parameters=TRUTH))
    notes = fit_document("mine", free, GRID, FACTS, refits).notes
    assert any("one common factor" in note for note in notes)


def test_a_prediction_names_its_question_and_its_assumption(curve):
    setting = Setting(64, 8, 4, 0.9, "gamma")
    document = predict_document("mine", setting, curve, [0, 59], "Assumed.")
    table = named(document, "where-it-pays")
    assert table.title == "8 of 64 experts, γ = 4, α = 0.9 (σ = 0.819)"
    assert [row["target"] for row in table.rows] == ["mixture", "dense, active size", "dense, total size"]
    assert [row["B"] for row in named(document, "curve").rows] == [1, 60]
    assert document.notes[-1] == "Assumed."
    assert predict_document("mine", setting, curve, [0], "").notes == document.notes[:-1]


def test_a_speedup_that_never_exceeds_one_pays_nowhere(curve):
    poor = dataclasses.replace(curve, speedup=curve.speedup * 0.2)
    document = predict_document("mine", Setting(64, 8, 4, 0.9, "gamma"), poor, [0], "")
    assert named(document, "where-it-pays").rows[0]["pays"] == "nowhere"


def test_every_panel_shows_its_own_points_and_a_curve(row, refits):
    for figure in (fit_figure(GRID, FACTS, row.fit, refits), strides_figure(GRID, FACTS, [row.fit])):
        titles = [axis.get_title() for axis in figure.axes]
        assert titles == [f"K = {used}, γ = {gamma}" for used in (1, 2, 4, 8, 16, 32) for gamma in (2, 4)]
        for axis in figure.axes:
            curve, points = axis.get_lines()
            assert len(points.get_xdata()) == 19
            assert curve.get_xdata().tolist() == list(range(1, 101))
    last = strides_figure(GRID, FACTS, [row.fit]).axes[-1].get_lines()[1]
    assert last.get_ydata().tolist() == GRID.speedup[-19:].tolist()


def test_panels_of_an_incomplete_grid_leave_gaps(row):
    keep = ~((GRID.frame["K"] == 2) & (GRID.frame["gamma"] == 4)).to_numpy()
    figure = fit_figure(GRID.where(keep), FACTS, row.fit, None)
    lines = [len(axis.get_lines()) for axis in figure.axes]
    assert lines[3] == 0
    assert lines.count(2) == 11


def test_the_prediction_is_drawn_with_both_dense_targets_and_both_limits(curve):
    (axis,) = predict_figure("title", curve).axes
    labels = [line.get_label() for line in axis.get_lines()]
    assert labels[:3] == ["mixture", "dense, active size", "dense, total size"]
    assert labels[-1] == "peak/√2"
    assert axis.get_lines()[-1].get_ydata()[0] == pytest.approx(curve.speedup.max() / np.sqrt(2))
