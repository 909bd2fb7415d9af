"""The published study's tables: from its own figures, from a study, from a foreign log; always the same bytes."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

import msgspec
import pytest

from analysis.foreign import load_foreign
from analysis.load import load_study
from analysis.render import FORMATS, render
from analysis.stats import Estimate
from analysis.summary import label
from analysis.tables import SYNTHETIC_NOTE, foreign_tables, published_tables, study_tables
from runner.errors import DataError
from runner.record import Failure
from tests.simulated import (
    Config,
    honest_study,
    manifest_of,
    reidentified,
    simulate,
    with_measurement,
    write_study,
)

GOLDEN = Path(__file__).parent / "golden"
SMALL = Config(n_predict_tokens=32)


def check_golden(name, text):
    """Compare with the golden file; UPDATE_GOLDEN=1 writes it anew, for a reviewer to read as a diff."""
    file = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return load_study(honest_study(tmp_path_factory.mktemp("tables") / "simulated", SMALL))


def rows_of(document, name):
    return next(table.rows for table in document.tables if table.name == name)


def spoiled(tmp_path, spoil, config=SMALL):
    records = [spoil(record) for record in simulate(config)]
    return load_study(write_study(tmp_path / "spoiled", manifest_of(config), records))


@pytest.mark.parametrize("form", FORMATS)
def test_the_published_tables_are_those_of_the_golden_file(form):
    check_golden(f"published.{form}", render(published_tables(), form))


@pytest.mark.parametrize("form", FORMATS)
def test_the_tables_of_a_study_are_those_of_the_golden_file(study, form):
    check_golden(f"study.{form}", render(study_tables(study), form))


def test_the_published_tables_hold_every_printed_figure():
    document = published_tables()
    assert [len(table.rows) for table in document.tables] == [6, 12, 6]
    best = rows_of(document, "speculative")[-1]
    assert (best["target"], best["gamma"], best["tok_s"], best["speedup"], best["acceptance"]) == (
        "Dense 9B", 16, 67.7, 2.03, 0.004
    )  # fmt: skip


def test_a_study_fills_all_four_tables(study):
    document = study_tables(study)
    counts = {table.name: len(table.rows) for table in document.tables}
    assert counts == {"baseline": 6, "speculative": 12, "drafts": 6, "prompt-sweep": 6}


def test_the_baseline_table_shows_what_reading_the_weights_takes(study):
    row = next(row for row in rows_of(study_tables(study), "baseline") if row["model"] == "MoE Q4")
    assert row["tok_s"].point == pytest.approx(55, rel=0.03)
    assert row["read_bytes_per_s"] == pytest.approx(row["tok_s"].point * 2.0e9)
    assert row["total_parameters"] == pytest.approx(34.7e9)


def test_every_speculative_figure_carries_an_interval(study):
    for row in rows_of(study_tables(study), "speculative"):
        for key in ("tok_s", "speedup", "acceptance", "tau"):
            assert isinstance(row[key], Estimate)
            assert row[key].low <= row[key].point <= row[key].high


def test_the_sweep_is_ordered_by_length_and_never_averaged_over_it(study):
    rows = rows_of(study_tables(study), "prompt-sweep")
    assert [row["n_prompt_tokens"] for row in rows] == [32, 64, 128, 256, 512, 1024]
    assert all(row["speedup"].n_prompts == 1 for row in rows)


def test_the_better_draft_wins_only_when_the_interval_says_so(study):
    for row in rows_of(study_tables(study), "drafts"):
        assert (row["winner"] is None) == row["advantage"].undecided
        assert row["advantage"].point >= 1


def test_failed_runs_stay_in_the_table_without_a_figure(tmp_path):
    def fail(record):
        if (record.cell.target, record.cell.gamma) != ("dense-9b", 8):
            return record
        failure = Failure(kind="EngineError", message="llama_decode returned -1")
        return msgspec.structs.replace(record, status="failed", measurement=None, failure=failure)

    document = study_tables(spoiled(tmp_path, fail))
    row = next(r for r in rows_of(document, "speculative") if (r["target"], r["gamma"]) == ("Dense 9B", 8))
    assert (row["n_runs"], row["n_failed"], row["speedup"]) == (12, 12, None)
    assert any("Failed or without a baseline: 12 runs" in note for note in document.notes)


def test_broken_runs_are_counted_and_never_sped_up(tmp_path):
    def repeat(record):
        if (record.cell.target, record.cell.gamma) != ("moe-q4", 16):
            return record
        return with_measurement(record, tokens=[5] * 32)

    document = study_tables(spoiled(tmp_path, repeat))
    row = next(r for r in rows_of(document, "speculative") if (r["target"], r["gamma"]) == ("MoE Q4", 16))
    assert (row["n_broken"], row["n_identical"], row["speedup"]) == (12, 0, None)
    assert any("do not add up: 24 runs" in note for note in document.notes)


def test_marked_runs_enter_no_table(tmp_path, study):
    def phantom(record):
        if record.cell.gamma != 4:
            return record
        wrong = with_measurement(record, decode_wall_ns=1)
        return msgspec.structs.replace(wrong, mark="phantom")

    gammas = {row["gamma"] for row in rows_of(study_tables(spoiled(tmp_path, phantom)), "speculative")}
    assert gammas == {8, 16}


def test_a_study_with_two_builds_is_refused(tmp_path):
    def newer(record):
        return msgspec.structs.replace(record, engine_version="sim-2") if record.order % 7 == 0 else record

    with pytest.raises(DataError, match="refuses to average over engine_version"):
        study_tables(spoiled(tmp_path, newer))


def test_a_study_without_baseline_suites_shows_its_paired_baselines(tmp_path):
    config = Config(suites=("dense-sd",), n_predict_tokens=32)
    document = study_tables(load_study(honest_study(tmp_path / "sd", config)))
    assert [table.name for table in document.tables] == ["baseline", "speculative"]
    assert [row["model"] for row in rows_of(document, "baseline")] == ["Dense 4B", "Dense 9B"]


def test_other_suites_and_budgets_never_mix(tmp_path):
    def longer(record):
        cell = msgspec.structs.replace(record.cell, n_predict_tokens=64)
        return reidentified(record, cell) if record.cell.block == 2 else record

    with pytest.raises(DataError, match="n_predict_tokens"):
        study_tables(spoiled(tmp_path, longer))


def test_an_empty_study_is_refused_in_one_line(tmp_path):
    with pytest.raises(DataError, match="holds no run that can be read"):
        study_tables(load_study(write_study(tmp_path / "empty", manifest_of(SMALL), [])))


def test_the_synthetic_family_is_never_mistaken_for_the_real_one(tmp_path):
    manifest = msgspec.structs.replace(manifest_of(SMALL), family="synthetic")
    document = study_tables(load_study(write_study(tmp_path / "synthetic", manifest, simulate(SMALL))))
    assert SYNTHETIC_NOTE in document.notes


def test_unreadable_lines_are_mentioned(tmp_path):
    path = honest_study(tmp_path / "torn", SMALL)
    log = path / "runs.jsonl"
    log.write_bytes(log.read_bytes()[:-10])
    assert any("cannot be read: 1;" in note for note in study_tables(load_study(path)).notes)


@pytest.mark.parametrize(
    ("role", "shown"),
    [
        ("moe-q4", "MoE Q4"),
        ("dense-0.8b", "Dense 0.8B"),
        ("draft-2b", "Draft 2B"),
        ("none", "none"),
        ("x-1", "x-1"),
    ],
)
def test_roles_read_as_the_published_tables_name_them(role, shown):
    assert label(role) == shown


LOG = """target_model,draft_model,draft_len,prompt_key,repeat,tokens_per_sec,draft_acceptance_rate,status
moe_q4,none,0,bench,1,50.0,,ok
moe_q4,none,0,bench,2,50.0,,ok
moe_q4,draft_0.8b,4,code,1,60.0,0.02,ok
moe_q4,draft_0.8b,4,code,2,60.0,0.04,ok
moe_q4,draft_2b,4,code,1,40.0,0.05,ok
moe_q4,draft_2b,4,code,2,,,failed
"""


def foreign(tmp_path, text):
    (tmp_path / "log.csv").write_text(text)
    return foreign_tables(load_foreign(tmp_path / "log.csv"))


def test_a_foreign_log_fills_the_tables_it_has_figures_for(tmp_path):
    document = foreign(tmp_path, LOG)
    small, large = rows_of(document, "speculative"), rows_of(document, "drafts")
    assert small[0]["speedup"].point == pytest.approx(1.2)
    assert small[0]["acceptance"].point == pytest.approx(0.03)
    assert large[0]["speedup_draft-2b"].point == pytest.approx(0.8)


def test_a_baseline_of_other_prompts_is_used_and_said(tmp_path):
    assert any("no baseline on the same prompt" in note for note in foreign(tmp_path, LOG).notes)
    assert foreign(tmp_path, LOG.replace("bench", "code")).notes == ()


def test_the_nearest_baseline_is_taken(tmp_path):
    nearer = LOG + "moe_q4,none,0,code,1,30.0,,ok\n"
    row = rows_of(foreign(tmp_path, nearer), "speculative")[0]
    assert row["speedup"].point == pytest.approx(2.0)


def test_a_stated_speedup_is_taken_as_it_stands(tmp_path):
    text = LOG.replace("tokens_per_sec", "speedup_vs_baseline,tokens_per_sec").replace(",50.0", ",,50.0")
    text = text.replace(",60.0", ",1.5,60.0").replace(",40.0", ",,40.0").replace(",2,,,failed", ",2,,,,failed")
    assert rows_of(foreign(tmp_path, text), "speculative")[0]["speedup"].point == pytest.approx(1.5)


def test_names_of_a_foreign_log_cannot_run_in_a_spreadsheet(tmp_path):
    document = foreign(tmp_path, LOG.replace("moe_q4", "=HYPERLINK(1)"))
    cells = [cell for row in csv.reader(io.StringIO(render(document, "csv"))) for cell in row]
    assert not any(cell.startswith("=") for cell in cells)
