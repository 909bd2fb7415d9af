"""Points are sorted and complete, or refused with the row and the reason."""

from __future__ import annotations

import msgspec
import numpy as np
import pandas as pd
import pytest

from analysis.moesd.grid import grid_of, read_grid
from runner.errors import DataError, UsageError
from tests.moesd.truth import FACTS, true_grid

ROWS = pd.DataFrame({"K": [8, 2, 8], "gamma": [4, 2, 2], "B": [1, 2, 3], "speedup": [1.5, 1.2, 1.1]})


def test_points_are_sorted_by_experts_then_gamma_then_batch():
    grid = grid_of(ROWS, FACTS, "here")
    assert grid.frame[["K", "gamma", "B"]].to_numpy().tolist() == [[2, 2, 2], [8, 2, 3], [8, 4, 1]]
    assert grid.speedup.tolist() == [1.2, 1.1, 1.5]
    assert grid.points.experts.tolist() == [64, 64, 64]


def test_sigma_comes_from_the_data_before_the_facts():
    assert grid_of(ROWS, FACTS, "here").points.sigma.tolist() == [0.94, 0.94, 0.91]
    assert grid_of(ROWS.assign(sigma=0.5), FACTS, "here").points.sigma.tolist() == [0.5, 0.5, 0.5]


def test_the_facts_say_how_many_tokens_a_verification_has():
    wide = msgspec.structs.replace(FACTS, verified="gamma+1")
    assert grid_of(ROWS, FACTS, "here").points.verified.tolist() == [2, 2, 4]
    assert grid_of(ROWS, wide, "here").points.verified.tolist() == [3, 3, 5]


def test_a_stride_takes_every_nth_point_from_the_first():
    grid = true_grid()
    sample = grid.every(11)
    assert len(sample) == 21
    assert sample.speedup.tolist() == grid.speedup[::11].tolist()
    assert sample.points.batch.tolist() == grid.points.batch[::11].tolist()


@pytest.mark.parametrize("stride", [0, -3])
def test_a_stride_below_one_is_refused(stride):
    with pytest.raises(UsageError, match="stride"):
        true_grid().every(stride)


def test_measured_times_give_the_measured_target_efficiency():
    timed = ROWS.assign(target_1_ms=10.0, target_gamma_ms=20.0, target_gamma1_ms=25.0)
    wide = msgspec.structs.replace(FACTS, verified="gamma+1")
    assert grid_of(timed, FACTS, "here").target_efficiency(FACTS) == pytest.approx([0.5, 0.5, 0.5])
    assert grid_of(timed, wide, "here").target_efficiency(wide) == pytest.approx([0.4, 0.4, 0.4])
    assert grid_of(ROWS, FACTS, "here").target_efficiency(FACTS) is None


def test_the_longest_measured_rejection_replaces_the_stated_one():
    assert grid_of(ROWS, FACTS, "here").max_reject_ms(FACTS) == 0.25
    assert grid_of(ROWS.assign(reject_ms=[0.0, 0.1, 0.7]), FACTS, "here").max_reject_ms(FACTS) == 0.7


def test_without_any_rejection_time_the_bound_is_refused():
    with pytest.raises(DataError, match="reject_ms"):
        grid_of(ROWS, FACTS, "here").max_reject_ms(msgspec.structs.replace(FACTS, rejection=None))


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("speedup", [1.5, np.nan, 1.1], "row 2: speedup nan is not a finite number"),
        ("speedup", [1.5, np.inf, 1.1], "row 2: speedup inf is not a finite number"),
        ("speedup", ["1.5", "fast", "1.1"], "row 2: speedup fast is not a finite number"),
        ("speedup", [1.5, 1.2, 0.0], "row 3: speedup 0.0 is not positive"),
        ("K", [65, 2, 8], "row 1: K 65.0 exceeds the target's 64 experts"),
        ("K", [0, 2, 8], "row 1: K 0.0 is below 1"),
        ("gamma", [4, 0, 2], "row 2: gamma 0.0 is below 1"),
        ("gamma", [4, 2.5, 2], "row 2: gamma 2.5 is not a whole number"),
        ("B", [1, 2, -1], "row 3: B -1.0 is below 1"),
        ("sigma", [0.9, 0.9, 1.2], "row 3: sigma 1.2 is outside"),
        ("sigma", [0.9, 0.2, 0.9], "row 2: sigma 0.2 is outside"),
        ("target_1_ms", [1.0, 0.0, 1.0], "row 2: target_1_ms 0.0 is not positive"),
        ("reject_ms", [0.1, 0.0, -0.1], "row 3: reject_ms -0.1 is negative"),
        ("gamma", [4, 2, 3], "row 3: no sigma for gamma 3"),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_its_row(column, values, message):
    with pytest.raises(DataError) as caught:
        grid_of(ROWS.assign(**{column: values}), FACTS, "here.csv")
    assert str(caught.value).startswith(f"here.csv: {message}")


@pytest.mark.parametrize("column", ["K", "gamma", "B", "speedup"])
def test_a_missing_column_is_named(column):
    with pytest.raises(DataError, match=f"missing column {column}"):
        grid_of(ROWS.drop(columns=column), FACTS, "here")


def test_two_rows_for_one_point_are_refused():
    with pytest.raises(DataError, match="two rows for K=8, gamma=4, B=1"):
        grid_of(pd.concat([ROWS, ROWS[:1].assign(speedup=1.6)]), FACTS, "here")


@pytest.mark.parametrize("content", ["", "K,gamma,B,speedup\n", "\x00\x01", 'K,gamma\n"1,2\n1,2,3,4,5\n'])
def test_a_file_without_points_is_refused(tmp_path, content):
    file = tmp_path / "points.csv"
    file.write_text(content)
    with pytest.raises(DataError, match=r"points\.csv") as caught:
        read_grid(file, FACTS)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_or_not_text_is_refused(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read_grid(tmp_path / "none.csv", FACTS)
    (tmp_path / "raw.csv").write_bytes(b"\xff\xfe\xfa\x00K")
    with pytest.raises(DataError, match=r"raw\.csv"):
        read_grid(tmp_path / "raw.csv", FACTS)
