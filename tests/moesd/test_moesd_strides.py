"""The appendix's Table 1 comes out again: its batch sizes exactly, its errors no worse."""

from __future__ import annotations

import pytest

from analysis.moesd.strides import fit_stride, stride_study
from analysis.published import stride_table
from tests.moesd.truth import FACTS, published, true_grid


@pytest.fixture(scope="module")
def rows():
    source = published()
    return stride_study(source.grid, source.facts)


def test_all_twenty_one_rows_have_the_published_size_and_stride(rows):
    assert [(r.n_fitted, r.stride) for r in rows] == [(r.n_measurements, r.stride) for r in stride_table().rows]


def test_all_twenty_one_lists_of_batch_sizes_are_the_published_ones(rows):
    assert [row.batch_sizes for row in rows] == [row.batch_sizes for row in stride_table().rows]


def test_errors_are_at_or_below_the_published_ones_in_at_least_eighteen_rows(rows):
    assert [row.published for row in rows] == [row.mse for row in stride_table().rows]
    assert sum(row.error <= row.published for row in rows) >= 18


def test_twelve_points_are_the_outlier_as_published(rows):
    errors = {row.n_fitted: row.error for row in rows}
    others = [error for m, error in errors.items() if m != 12]
    assert errors[12] > 1.5 * max(others)
    assert max(stride_table().rows, key=lambda row: row.mse).n_measurements == 12


def test_a_fit_to_all_points_has_the_least_error_and_holds_none_out(rows):
    whole = rows[-1]
    assert whole.error == pytest.approx(whole.fit.cost)
    assert whole.error == min(row.error for row in rows)
    assert whole.held_out_rmse != whole.held_out_rmse


def test_another_number_of_points_has_no_published_error_beside_it():
    grid = true_grid().every(4)
    found = stride_study(grid, FACTS)
    assert [row.stride for row in found] == [6, 5, 4, 3, 2, 1]
    assert all(row.published is None for row in found)


def test_held_out_points_are_judged_apart_from_fitted_ones():
    row = fit_stride(true_grid(), FACTS, 11)
    assert row.held_out_rmse < 1e-3
    assert row.n_fitted == 21
