"""The same analysis on a study whose truth is known."""

from __future__ import annotations

import csv
import io
import json

import msgspec
import pytest

from analysis.load import load_study
from analysis.tpot.study import best_gammas, configurations, n_left_out
from runner.errors import DataError
from tests.analysis_cli import analysis
from tests.simulated import (
    T1_MS,
    Config,
    but,
    honest_study,
    manifest_of,
    reidentified,
    simulate,
    with_measurement,
    write_study,
)

EXACT = Config(
    suites=("dense-sd",), blocks=2, n_predict_tokens=64, noise=0.0, rollback_ms=0.0, sample_ms=0.0, python_ms=0.0
)
IDEAL = but(EXACT, verify_ratio=lambda target, n: 1.0)
"""Verification as cheap as a plain step and nothing but it and drafting: the world of seed 001's formula."""


def rows_of(path, config):
    return configurations(load_study(honest_study(path, config)))


def test_where_the_formula_s_assumptions_hold_expected_is_observed(tmp_path):
    for row in rows_of(tmp_path, IDEAL):
        assert row.expected_tpot_ms == pytest.approx(row.tpot_ms.point, rel=1e-6)
        assert row.implied_draft_ms == pytest.approx(T1_MS["draft-0.8b"], rel=1e-6)
        assert row.expected_speedup == pytest.approx(row.speedup.point, rel=1e-6)


def test_the_times_of_the_study_come_out_again(tmp_path):
    for row in rows_of(tmp_path, EXACT):
        assert row.target_ms.point == pytest.approx(T1_MS[row.target], rel=1e-6)
        assert row.draft_ms.point == pytest.approx(T1_MS["draft-0.8b"], rel=1e-6)
        assert row.drafted.point <= row.gamma


def test_the_cycle_is_its_tokens_times_their_time(tmp_path):
    for row in rows_of(tmp_path, Config(suites=("dense-sd",), n_predict_tokens=64)):
        assert row.cycle_ms.point == pytest.approx(row.tpot_ms.point * row.acceptance_length.point)


def test_dearer_verification_shows_as_a_slower_implied_draft(tmp_path):
    row = rows_of(tmp_path, EXACT)[0]
    share_of_verification = 0.05 * row.drafted.point * row.target_ms.point / row.drafted.point
    assert row.implied_draft_ms == pytest.approx(row.draft_ms.point + share_of_verification, rel=1e-6)
    assert row.expected_tpot_ms < row.tpot_ms.point


def test_a_draft_that_also_ran_alone_sets_the_expectation(tmp_path):
    config = but(EXACT, suites=("dense-baseline", "dense-sd"), t1_ms={**T1_MS, "dense-0.8b": 5.0})
    manifest, records = manifest_of(config), simulate(config)
    shas = {model.role: model.sha256 for model in manifest.models}
    same_file = [
        msgspec.structs.replace(record, target_sha256=shas["draft-0.8b"])
        if record.cell.target == "dense-0.8b"
        else record
        for record in records
    ]
    rows = configurations(load_study(write_study(tmp_path, manifest, same_file)))
    assert [row.draft_alone_ms for row in rows] == pytest.approx([5.0] * 6)
    assert all(row.expected_draft_ms == row.draft_alone_ms < row.draft_ms.point for row in rows)


def test_the_best_gamma_is_the_one_with_the_least_time(tmp_path):
    config = but(
        EXACT, acceptance=lambda target, draft, prompt, position: 0.97, t1_ms={**T1_MS, "draft-0.8b": 0.5}
    )
    rows = rows_of(tmp_path, config)
    for best in best_gammas(rows):
        mine = {row.gamma: row for row in rows if row.target == best.target}
        assert best.observed.gamma == min(mine, key=lambda gamma: mine[gamma].tpot_ms.point)
        assert best.expected.gamma == min(mine, key=lambda gamma: mine[gamma].expected_tpot_ms)
        assert best.observed.gamma in best.possible


def test_overhead_that_grows_with_gamma_moves_the_best_gamma_down(tmp_path):
    def dear(target, n):
        return 1.0 + 0.3 * (n - 1)

    config = but(
        EXACT, verify_ratio=dear, n_predict_tokens=128, t1_ms={**T1_MS, "draft-0.8b": 0.3},
        acceptance=lambda target, draft, prompt, position: 0.95,
    )  # fmt: skip
    for best in best_gammas(rows_of(tmp_path, config)):
        assert best.observed.gamma < best.expected.gamma
        assert best.observed.tpot_ms > best.expected.tpot_ms


def altered(path, change):
    """A study in which every speculative run at γ = 4 was changed."""
    records = [change(record) if record.cell.gamma == 4 else record for record in simulate(EXACT)]
    return write_study(path, manifest_of(EXACT), records)


def broken_study(path):
    """A study in which every run at γ = 4 put out other tokens than its baseline."""

    def other_text(record):
        return with_measurement(record, tokens=[(t + 1) % 1000 for t in record.measurement.tokens])

    return altered(path, other_text)


def test_runs_with_wrong_output_are_left_out_and_counted(tmp_path):
    study = load_study(broken_study(tmp_path))
    assert {row.gamma for row in configurations(study)} == {8, 16}
    assert n_left_out(study) == 16
    assert "16 runs left out" in analysis("tpot", tmp_path).out


def test_runs_with_times_that_do_not_add_up_are_left_out_and_counted(tmp_path):
    study = altered(tmp_path, lambda record: with_measurement(record, decode_wall_ns=1))
    assert {row.gamma for row in configurations(load_study(study))} == {8, 16}
    assert "16 runs left out" in analysis("tpot", tmp_path).out


def test_controlled_experiments_are_no_rows(tmp_path):
    """A rollback that was asked for, or another drafter, is another question than what a draft model brings."""

    def forced(record):
        return reidentified(record, msgspec.structs.replace(record.cell, rollback="checkpoint"))

    assert {row.gamma for row in configurations(load_study(altered(tmp_path, forced)))} == {8, 16}


def test_runs_that_drafted_nothing_are_no_row(tmp_path):
    def idle(record):
        n = len(record.measurement.tokens)
        zeros, each_ns = [0] * n, [10_000] * n
        cycles = msgspec.structs.replace(
            record.measurement.cycles, drafted=zeros, accepted=zeros, draft_ns=zeros, verify_ns=each_ns,
            rollback_ns=zeros, sample_ns=zeros,
        )  # fmt: skip
        return with_measurement(record, cycles=cycles, decode_wall_ns=sum(each_ns), llama_ns=sum(each_ns))

    study = altered(tmp_path, idle)
    assert {row.gamma for row in configurations(load_study(study))} == {8, 16}
    assert analysis("tpot", tmp_path).status == 0


def test_a_study_without_speculation_is_refused(tmp_path):
    study = load_study(honest_study(tmp_path, but(EXACT, suites=("dense-baseline",))))
    with pytest.raises(DataError, match="no completed run with a draft"):
        configurations(study)


def test_the_published_notes_read_as_tables_in_every_format(tmp_path):
    markdown = analysis("tpot", "published", "--plot", tmp_path / "notes.svg")
    assert markdown.status == 0
    for figure in ("| 9.98 ms |", "| 2.66 ms |", "| 2.26× |", "| 2.37× |"):
        assert figure in markdown.out
    svg = (tmp_path / "notes.svg").read_text()
    assert "expected, best at 5" in svg
    assert "current, best at 4" in svg
    document = json.loads(analysis("tpot", "published", "--format", "json").out)
    assert [table["name"] for table in document["tables"]] == ["figures", "by-gamma"]
    assert len(document["notes"]) == 4
    rows = list(
        csv.DictReader(io.StringIO(analysis("tpot", "published", "--format", "csv").out.split("\n\n")[1]))
    )
    assert [row["gamma"] for row in rows] == list("12345678")


def test_a_study_reads_as_tables_and_a_panel_for_each_pair(tmp_path):
    study = honest_study(tmp_path / "study", EXACT)
    outcome = analysis("tpot", study, "--format", "csv", "--plot", tmp_path / "study.svg")
    first, second = (list(csv.DictReader(io.StringIO(block))) for block in outcome.out.split("\n\n"))
    assert len(first) == 6
    assert [(row["target"], row["best_observed"]) for row in second] == [("dense-4b", "4"), ("dense-9b", "4")]
    svg = (tmp_path / "study.svg").read_text()
    assert "dense-4b with draft-0.8b" in svg
    assert "dense-9b with draft-0.8b" in svg


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere",), "not a study"),
        (("published", "--plot", "figure.jpg"), "a plot is written as"),
        (("published", "--plot", "nowhere/figure.svg"), "does not exist"),
    ],
)
def test_what_cannot_be_read_or_written_is_one_line_and_status_2(arguments, message):
    assert message in analysis("tpot", *arguments).error_line
