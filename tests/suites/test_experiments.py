"""Experiments as declared: the grid of the paper, and every malformed file named with its key."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from runner.errors import SuiteError, UsageError
from suites.experiments import experiment_names, load_experiment
from suites.loader import SUITES_DIR, suite_names


@pytest.fixture
def folder(tmp_path) -> Path:
    for path in SUITES_DIR.glob("*.toml"):
        shutil.copy(path, tmp_path)
    return tmp_path


def edited(folder: Path, name: str, old: str, new: str) -> Path:
    path = folder / f"{name}.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return folder


def test_the_grid_has_the_228_points_of_the_paper():
    grid = load_experiment("moesd-grid")
    assert grid.experts_used == [1, 2, 4, 8, 16, 32]
    assert grid.gammas == [2, 4]
    assert len(grid.batch_sizes) == 19
    assert grid.n_points == 228
    assert len(grid.sha256) == 64


def test_experiments_are_no_suites_of_cells():
    assert experiment_names() == ["moesd-grid", "routing"]
    assert not {"moesd-grid", "routing"} & set(suite_names())


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("moesd-grid", "gammas = [2, 4]", "gammas = [1, 4]", r"`int` >= 2 - at `\$\.gammas"),
        ("moesd-grid", "gammas = [2, 4]", "gammas = [4, 4]", "gammas names 4 twice"),
        ("moesd-grid", "80, 100]", "80, 300]", "`int` <= 256"),
        ("moesd-grid", "rounds = 4", "rounds = 0", "`int` >= 1"),
        ("moesd-grid", "rounds = 4", "round = 4", "missing required field `rounds`|unknown field `round`"),
        ("moesd-grid", '"moe-64"', '"moe-65"', "targets names the unknown role 'moe-65'"),
        ("moesd-grid", '"draft-tiny"', '"moe-q4"', "draft names the unknown role 'moe-q4'"),
        ("moesd-grid", "rounds = 4", "rounds = 4\nsha256 = 'ab'", "follow from the file"),
        ("routing", '"moe-q8"', '"moe-q4"', "targets names 'moe-q4' twice"),
        ("routing", "n_text_tokens = 256", "n_text_tokens = 9", "`int` >= 33"),
        ("routing", "targets = [", "targets = ", "not TOML|array"),
    ],
)
def test_a_malformed_file_is_refused_by_name_and_key(folder, name, old, new, message):
    with pytest.raises(SuiteError, match=message) as caught:
        load_experiment(name, edited(folder, name, old, new))
    assert str(caught.value).startswith(f"{name}.toml: ")


def test_an_unknown_experiment_is_refused_with_the_known_ones():
    with pytest.raises(UsageError, match="known: moesd-grid, routing"):
        load_experiment("moe-sd")
