"""The page shows energy per token, in two languages, exactly when the study counted it."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.energy import NOTE
from analysis.report.build import study_page
from analysis.report.grid import Grid
from analysis.report.language import chinese
from analysis.report.page import rendered
from tests.report.reading import read
from tests.simulated import Config, honest_study

COUNTED = Config(
    suites=("dense-sd",), blocks=1, n_predict_tokens=24, power_w=lambda cell: {"cpu": 3.0, "gpu": 20.0}
)


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return honest_study(tmp_path_factory.mktemp("counted") / "counted", COUNTED)


def energy_grid(path: Path) -> Grid:
    (tables,) = [part for part in study_page(path).parts if part.name == "tables"]
    (found,) = [one for one in (*tables.open_grids, *tables.folded_grids) if one.name == "energy"]
    return found


def test_the_energy_table_stands_among_the_regenerated_ones(counted: Path) -> None:
    table = energy_grid(counted)
    assert table.heads[-2:] == ("Over baseline", "Runs")
    assert "of it memory" not in table.heads, "no counter for it, no column"
    assert len(table.rows) == 6


def test_its_note_is_said_in_both_languages(counted: Path) -> None:
    spoken = " ".join(element.text for element in read(rendered(study_page(counted))).elements)
    assert NOTE in spoken
    assert chinese().or_same(NOTE) in spoken
    assert "每词元能耗" in spoken


def test_a_page_without_energy_says_nothing_of_it(page: str) -> None:
    assert "mJ/token" not in page
    assert "Energy per token" not in page
