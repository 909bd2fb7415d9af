"""Figures: as files, and as part of a page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from analysis.plots.catalogue import PUBLISHED_PLOTS, STUDY_PLOTS, drawn
from analysis.plots.style import COLUMN_INCHES, new_figure, styled
from analysis.plots.subject import subject_of
from analysis.plots.verify_cost import bytes_read
from analysis.report.language import Chinese
from analysis.report.svg import inline_svg
from runner.record import ModelFacts
from tests.analysis_cli import analysis
from tests.simulated import MODELS

EVIL = '<script>alert(1)</script> $x^2$ & "quotes"'
OF_EXPERIMENTS = {"oracle-plane", "rollback-cost", "phantom-beside-honest", "expert-coverage"}
"""Figures that the simulated study of this folder lacks the runs for."""
MAGIC = {"svg": b"<?xml", "png": b"\x89PNG", "pdf": b"%PDF"}


def markup(label: str, name: str = "demo") -> str:
    with styled():
        figure = new_figure()
        axis = figure.subplots()
        axis.plot([0, 1], [0, 1], "o-", color="#0072b2", label="measured")
        axis.set(title=label, xlabel="measured")
        axis.legend()
    return str(inline_svg(figure, name, f"alt {label}", Chinese({"measured": "实测"})))


def test_text_from_data_stays_text_and_is_never_mathematics() -> None:
    drawn_text = markup(EVIL)
    assert "<script" not in drawn_text
    assert "$x^2$" in drawn_text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in drawn_text


def test_words_come_in_both_languages_and_names_once() -> None:
    drawn_text = markup("MoE Q4")
    assert '<tspan lang="en">measured</tspan><tspan lang="zh">实测</tspan>' in drawn_text
    assert drawn_text.count("MoE Q4</text>") == 1


def test_colours_are_the_pages_and_no_style_reaches_beyond_the_figure() -> None:
    drawn_text = markup("MoE Q4")
    assert "var(--blue)" in drawn_text
    assert "<style" not in drawn_text
    assert not re.search(r"#[0-9a-f]{6}", drawn_text)


def test_two_figures_share_no_id() -> None:
    first, second = (set(re.findall(r' id="([^"]+)"', markup("x", name))) for name in ("one", "two"))
    assert first
    assert not first & second


def test_equal_figures_give_equal_markup() -> None:
    assert markup("MoE Q4") == markup("MoE Q4")


@pytest.mark.parametrize("plot", STUDY_PLOTS, ids=lambda plot: plot.name)
def test_every_figure_fits_a_column_and_names_its_axes(study: Path, plot) -> None:
    figure = drawn(plot, subject_of(study))
    if figure is None:
        assert plot.name in OF_EXPERIMENTS
        return
    shown = [axis for axis in figure.axes if axis.get_visible()]
    assert figure.get_figwidth() == COLUMN_INCHES
    outer = [axis for axis in shown if axis.get_subplotspec().is_first_col()]
    assert any(axis.get_xlabel() for axis in shown)
    assert all(axis.get_ylabel() or any(tick.get_text() for tick in axis.get_yticklabels()) for axis in outer)


@pytest.mark.parametrize("form", ["svg", "png", "pdf"])
def test_the_command_writes_every_figure_that_the_study_has(study: Path, tmp_path: Path, form: str) -> None:
    done = analysis("plots", study, "-o", tmp_path / "made", "--format", form)
    assert done.status == 0
    written = {path.name: path.read_bytes() for path in (tmp_path / "made").iterdir()}
    assert set(written) == {f"{plot.name}.{form}" for plot in STUDY_PLOTS if plot.name not in OF_EXPERIMENTS}
    assert all(content.startswith(MAGIC[form]) for content in written.values())
    assert all(name in done.err for name in OF_EXPERIMENTS)


def test_figures_of_published_numbers_need_no_study_and_do_not_vary(tmp_path: Path) -> None:
    for folder in ("first", "second"):
        assert analysis("plots", "published", "-o", tmp_path / folder).status == 0
    for plot in PUBLISHED_PLOTS:
        first, second = ((tmp_path / folder / f"{plot.name}.svg").read_bytes() for folder in ("first", "second"))
        assert first == second


def test_a_folder_that_cannot_be_made_is_one_line(study: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot be made a folder" in analysis("plots", study, "-o", tmp_path / "file" / "inner").error_line


def facts(role: str) -> ModelFacts:
    return next(one for one in MODELS if one.role == role)


def test_a_dense_pass_reads_the_same_bytes_whatever_it_verifies() -> None:
    read = bytes_read(facts("dense-4b"), [1.0, 4.0, 17.0])
    assert list(read) == [facts("dense-4b").bytes_per_token] * 3


def test_a_mixture_reads_one_tokens_bytes_for_one_and_never_more_than_its_file() -> None:
    mixture = facts("moe-q4")
    read = bytes_read(mixture, [1.0, 17.0, 10_000.0])
    assert read[0] == pytest.approx(mixture.bytes_per_token)
    assert read[0] < read[1] < read[2]
    assert read[2] == pytest.approx(mixture.size_bytes)
