"""The page as a file: whole, alone, the same every time, and honest about what it lacks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from msgspec.structs import replace

from analysis.load import load_study
from analysis.plots.catalogue import PUBLISHED_PLOTS
from analysis.report.build import study_page
from analysis.report.page import rendered
from analysis.report.sections import MATRIX, STUDY_SECTIONS
from runner.record import Failure
from suites.loader import SUITES_DIR
from tests.analysis_cli import analysis
from tests.report.reading import read, records
from tests.simulated import Config, honest_study, manifest_of, simulate, write_study


@pytest.fixture
def without_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes most of a page's time; tests of the rest do without."""
    monkeypatch.setattr("analysis.report.build.pictures", lambda names, subject: ())


def test_the_verdict_comes_first_with_its_reason(page: str) -> None:
    first = next(one for one in read(page).elements if one.tag == "h1")
    assert first.text.startswith("SD on this machine: MoE Q4 best ")
    assert re.search(r": (turn it on|leave it off|undecided), because .+\.", first.text)


def test_sections_stand_in_the_declared_order(page: str) -> None:
    sections = [one.attributes["id"] for one in read(page).elements if one.tag == "section"]
    assert sections == ["answer", "trust", *(section.name for section in STUDY_SECTIONS), "runs"]


def test_the_page_asks_the_network_for_nothing(page: str, published: str) -> None:
    for text in (page, published):
        for element in read(text).elements:
            assert not {"src", "srcset", "action", "background"} & element.attributes.keys()
            for key in ("href", "xlink:href"):
                assert element.attributes.get(key, "#").startswith("#")
        assert "@import" not in text
        assert "url(http" not in text


def test_the_markup_is_balanced_and_ids_are_unique(page: str, published: str) -> None:
    for text in (page, published):
        reader = read(text)
        ids = [one.attributes["id"] for one in reader.elements if "id" in one.attributes]
        assert reader.unbalanced == []
        assert sorted(ids) == sorted(set(ids))


def test_every_figure_has_a_title_and_words_for_who_cannot_see_it(page: str) -> None:
    reader = read(page)
    plots = [one for one in reader.elements if one.tag == "svg"]
    assert len(plots) >= 8
    assert len([one for one in reader.elements if one.tag == "figcaption"]) == len(plots)
    for plot in plots:
        assert plot.attributes["role"] == "img"
        assert len(plot.attributes["data-en"]) > 40
        assert re.search(r"[\u4e00-\u9fff]", plot.attributes["data-zh"])


def test_a_section_without_runs_names_a_suite_that_exists(page: str) -> None:
    named = re.findall(r"run `python -m runner suite ([a-z-]+)`", page)
    assert set(named) == {"oracle", "rollback", "routing", "phantom"}
    for suite in {section.suite for section in STUDY_SECTIONS} | {MATRIX}:
        assert (SUITES_DIR / f"{suite}.toml").is_file()


def test_a_study_of_baselines_only_says_that_it_has_no_answer(tmp_path: Path) -> None:
    config = Config(suites=("moe-baseline",), blocks=1, n_predict_tokens=16)
    text = rendered(study_page(honest_study(tmp_path / "plain", config)))
    assert "No ordinary speculative run can be compared with its baseline" in text
    assert text.count("No data: run `python -m runner suite all`") >= 4


def test_every_run_has_a_row_and_its_record(study: Path, page: str) -> None:
    stored = {record["run_id"]: record for record in records(page)}
    buttons = [one for one in read(page).elements if one.attributes.get("class") == "record"]
    assert len(buttons) == len(load_study(study).runs)
    in_order = records(page)
    for button in buttons:
        assert in_order[int(button.attributes["data-record"])]["run_id"] == button.text
    assert stored[buttons[0].text]["measurement"]["cycles"]["verify_ns"]


def test_records_that_are_too_many_leave_out_their_lists_and_say_so(
    study: Path, monkeypatch: pytest.MonkeyPatch, without_figures: None
) -> None:
    monkeypatch.setattr("analysis.report.runs.BUDGET_BYTES", 1000)
    text = rendered(study_page(study))
    assert "left out here to keep the page small" in text
    assert all("cycles" not in record["measurement"] for record in records(text))
    assert all(record["measurement"]["decode_wall_ns"] for record in records(text))


def test_the_full_study_stays_below_three_megabytes(tmp_path: Path) -> None:
    config = Config(reference_every=8)
    text = rendered(study_page(honest_study(tmp_path / "full", config)))
    assert len(records(text)) > 306
    assert len(text.encode()) < 3_000_000


def test_a_failed_run_stays_in_the_table_with_its_kind(tmp_path: Path, without_figures: None) -> None:
    config = Config(suites=("dense-sd",), blocks=2, n_predict_tokens=16)
    made = simulate(config)
    failure = Failure(kind="EngineError", message="<b>decode failed</b>", log_tail=["</script><script>alert(1)"])
    made[0] = replace(made[0], status="failed", measurement=None, failure=failure)
    text = rendered(study_page(write_study(tmp_path / "one-failed", manifest_of(config), made)))
    row = next(one for one in read(text).elements if one.tag == "tr" and made[0].run_id in one.text)
    assert "failed" in row.text
    assert "EngineError" in row.text


def test_names_of_models_prompts_and_logs_come_out_as_text(tmp_path: Path) -> None:
    evil = '"><script>alert(1)</script><svg onload=alert(2)>=cmd|x!A1'
    config = Config(suites=("dense-sd",), blocks=2, n_predict_tokens=16, prompts=(f"{evil}-64",))
    plan = manifest_of(config)
    models = [replace(facts, file=f"{evil}.gguf") for facts in plan.models]
    machine = replace(plan.machine, chip=evil)
    plan = replace(plan, models=models, machine=machine, arguments=[evil])
    folder = tmp_path / "evil <img src=x onerror=alert(3)>"
    reader = read(rendered(study_page(write_study(folder, plan, simulate(config)))))
    scripts = [one for one in reader.elements if one.tag == "script"]
    assert [one.attributes.get("type") for one in scripts] == ["text/plain", None]
    assert not any("alert" in value for one in reader.elements for key, value in one.attributes.items()
                   if key.startswith("on"))  # fmt: skip
    assert not any(key.startswith("on") for one in reader.elements for key in one.attributes)
    assert not [one for one in reader.elements if one.tag == "img"]
    assert sum(evil in one.text for one in reader.elements if one.tag == "td") >= len(models)


def test_the_published_page_judges_the_published_figures(published: str) -> None:
    reader = read(published)
    first = next(one for one in reader.elements if one.tag == "h1")
    assert first.text.startswith("The published speedups cannot have been measured as described.")
    assert "18 of 18 configurations with speculation" in published
    figures = {one.attributes["id"] for one in reader.elements if one.tag == "figure"}
    assert figures == {f"figure-{plot.name}" for plot in PUBLISHED_PLOTS}


def test_the_command_writes_the_same_bytes_again(study: Path, tmp_path: Path, page: str) -> None:
    out = tmp_path / "report.html"
    assert analysis("report", study, "-o", out).status == 0
    assert out.read_text(encoding="utf-8") == page


@pytest.mark.parametrize(
    ("source", "out", "told"),
    [
        ("nowhere", "page.html", "not a study"),
        ("published", "missing/page.html", "does not exist; make it first"),
    ],
)
def test_what_cannot_be_reported_is_one_line(tmp_path: Path, source: str, out: str, told: str) -> None:
    assert told in analysis("report", source, "-o", tmp_path / out).error_line
    assert list(tmp_path.iterdir()) == []
