"""Where points and facts come from, and that no file makes a command fail without a reason."""

from __future__ import annotations

import msgspec
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analysis.moesd.grid import COLUMNS, grid_of, read_grid
from analysis.moesd.source import PUBLISHED, load_source
from runner.errors import DataError, UsageError
from tests.moesd.truth import FACTS, true_grid, write_data

number = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.integers(-3, 200),
    st.sampled_from(["", "x", "1e400", "8 "]),
)
rows = st.lists(st.fixed_dictionaries(dict.fromkeys(COLUMNS, number)), max_size=4)


def test_the_published_points_come_with_their_own_facts():
    source = load_source(PUBLISHED, None, None)
    assert len(source.grid) == 228
    assert source.facts.target.experts == 64
    assert "Figure 4" in source.name


def test_facts_beside_the_points_are_found_by_their_name(tmp_path):
    path = write_data(tmp_path)
    assert load_source(str(path), None, None).facts == FACTS


def test_toml_facts_come_before_json_ones(tmp_path):
    path = write_data(tmp_path)
    path.with_suffix(".toml").write_text("verified = 1")
    with pytest.raises(DataError, match=r"data\.toml.*verified"):
        load_source(str(path), None, None)


def test_named_facts_come_before_those_beside_the_points(tmp_path):
    path = write_data(tmp_path)
    other = msgspec.structs.replace(FACTS, target=msgspec.structs.replace(FACTS.target, experts=32))
    (tmp_path / "other.json").write_bytes(msgspec.json.encode(other))
    assert load_source(str(path), tmp_path / "other.json", None).grid.points.experts[0] == 32


def test_a_folder_is_named_after_itself(tmp_path):
    folder = tmp_path / "my-study"
    folder.mkdir()
    write_data(folder).rename(folder / "grid.csv")
    (folder / "data.json").rename(folder / "grid.json")
    assert load_source(str(folder), None, None).name == "my-study"


def test_points_that_are_not_there_and_facts_that_are_not_there_are_told_apart(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        load_source(str(tmp_path / "none.csv"), None, None)
    with pytest.raises(DataError, match="no such file"):
        load_source(str(tmp_path), None, None)
    path = write_data(tmp_path)
    path.with_suffix(".json").unlink()
    with pytest.raises(UsageError, match=r"put them into data\.toml"):
        load_source(str(path), None, None)


def test_points_written_and_read_again_are_the_same(tmp_path):
    grid = true_grid()
    again = read_grid(write_data(tmp_path, grid), FACTS)
    assert again.speedup == pytest.approx(grid.speedup)
    assert again.frame[["K", "gamma", "B"]].equals(grid.frame[["K", "gamma", "B"]])


def test_the_order_of_rows_does_not_matter():
    grid = true_grid()
    shuffled = grid.frame.sample(frac=1.0, random_state=1)
    assert grid_of(shuffled, FACTS, "here").speedup.tolist() == grid.speedup.tolist()


def test_columns_of_others_are_ignored():
    grid = true_grid()
    assert len(grid_of(grid.frame.assign(comment="x", host="y"), FACTS, "here")) == 228


@given(rows)
def test_any_frame_is_read_or_refused_in_one_line(content):
    frame = pd.DataFrame(content, columns=list(COLUMNS))
    try:
        grid = grid_of(frame, FACTS, "here")
    except DataError as error:
        refusal = str(error)
    else:
        refusal = "here"
        assert len(grid) == len(content) > 0
        assert (grid.points.used <= 64).all()
    assert refusal.startswith("here")
    assert "\n" not in refusal


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_in_one_line(tmp_path, content):
    file = tmp_path / "points.csv"
    file.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_grid(file, FACTS)
    assert "\n" not in str(caught.value)
    assert "points.csv" in str(caught.value)
