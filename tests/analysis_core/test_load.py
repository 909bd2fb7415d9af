"""A study is read whole or refused in one line; what is damaged inside it is named, never fatal."""

from __future__ import annotations

import msgspec
import pytest

from analysis.load import completed, load_study, measured
from runner.errors import DataError
from runner.record import Failure
from tests.simulated import (
    Config,
    honest_study,
    manifest_of,
    simulate,
    with_cycles,
    with_measurement,
    write_study,
)

SMALL = Config(suites=("dense-sd",), n_predict_tokens=24, blocks=1)


def rewrite(path, records):
    return load_study(write_study(path, manifest_of(SMALL), records))


def test_a_row_repeats_what_its_record_says(tmp_path):
    records = simulate(SMALL)
    study = rewrite(tmp_path, records)
    assert len(study.runs) == len(records) == len(study.arrays)
    for record, row in zip(records, study.runs.to_dict("records"), strict=True):
        assert row["run_id"] == record.run_id == row["recomputed_run_id"]
        assert (row["gamma"], row["prompt"]) == (record.cell.gamma, record.cell.prompt)
        assert row["decode_wall_ns"] == record.measurement.decode_wall_ns
        assert row["verify_ns"] == sum(record.measurement.cycles.verify_ns)
        assert row["emitted_tokens"] == row["n_tokens"] == record.cell.n_predict_tokens
        assert row["before_power_source"] == "mains"
    assert study.arrays[3].accepted.tolist() == records[3].measurement.cycles.accepted
    assert study.arrays[3].tokens.tolist() == records[3].measurement.tokens


def test_an_honest_study_leaves_no_notes(tmp_path):
    assert load_study(honest_study(tmp_path, SMALL)).notes == ()


def test_a_torn_last_line_becomes_a_note_and_costs_only_that_run(tmp_path):
    log = honest_study(tmp_path, SMALL) / "runs.jsonl"
    log.write_bytes(log.read_bytes()[:-40])
    study = load_study(tmp_path)
    assert [(note.kind, note.line) for note in study.notes] == [("torn-line", 32)]
    assert len(study.runs) == 31


def test_an_edited_line_in_the_middle_is_named_with_file_and_line(tmp_path):
    log = honest_study(tmp_path, SMALL) / "runs.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    lines[4] = lines[4].replace(b'"block":1', b'"block":2')
    log.write_bytes(b"".join(lines))
    (note,) = load_study(tmp_path).notes
    assert (note.kind, note.file, note.line) == ("bad-line", "runs.jsonl", 5)
    assert "runs.jsonl:5: the checksum does not fit" in note.message


@pytest.mark.parametrize("garbage", [b"\n", b"\xff\xfe\n", b"null\n", b"[" * 5000 + b"\n"])
def test_garbage_between_the_lines_is_a_note(tmp_path, garbage):
    log = honest_study(tmp_path, SMALL) / "runs.jsonl"
    log.write_bytes(garbage + log.read_bytes())
    study = load_study(tmp_path)
    assert [(note.kind, note.line) for note in study.notes] == [("bad-line", 1)]
    assert len(study.runs) == 32


def test_the_latest_attempt_counts_and_the_earlier_one_stays_visible(tmp_path):
    records = simulate(SMALL)
    again = msgspec.structs.replace(records[0], attempt=2)
    study = rewrite(tmp_path, [again, *records])
    assert study.runs["superseded"].tolist() == [False, True] + [False] * 31
    assert len(measured(study.runs)) == 32
    assert measured(study.runs).loc[0, "attempt"] == 2


def test_marked_runs_are_loaded_and_never_measured(tmp_path):
    records = simulate(SMALL)
    records[1] = msgspec.structs.replace(records[1], mark="phantom")
    study = rewrite(tmp_path, records)
    assert len(study.runs) == 32
    assert records[1].run_id not in set(measured(study.runs)["run_id"])


def test_failed_runs_are_measured_but_not_completed(tmp_path):
    records = simulate(SMALL)
    failure = Failure(kind="EngineError", message="llama_decode returned -1", llama_code=-1)
    records[2] = msgspec.structs.replace(records[2], status="failed", measurement=None, failure=failure)
    study = rewrite(tmp_path, records)
    assert len(measured(study.runs)) == 32
    assert len(completed(study.runs)) == 31
    assert study.runs.loc[2, "failure_kind"] == "EngineError"
    assert len(study.arrays[2].tokens) == 0


def test_cycle_lists_of_different_lengths_are_refused(tmp_path):
    records = simulate(SMALL)
    records[0] = with_cycles(records[0], drafted=[1, 2])
    (note,) = rewrite(tmp_path, records).notes
    assert "different lengths" in note.message


def test_a_token_that_no_vocabulary_holds_is_refused(tmp_path):
    records = simulate(SMALL)
    records[0] = with_measurement(records[0], tokens=[2**40])
    (note,) = rewrite(tmp_path, records).notes
    assert "too large" in note.message


def test_a_study_without_a_single_run_has_all_columns(tmp_path):
    study = rewrite(tmp_path, [])
    assert completed(study.runs).empty


def test_a_folder_that_is_no_study_is_refused_in_one_line(tmp_path):
    with pytest.raises(DataError, match=r"holds no manifest\.json"):
        load_study(tmp_path)
    with pytest.raises(DataError, match=r"holds no manifest\.json"):
        load_study(tmp_path / "missing")


def test_a_study_that_never_ran_is_refused(tmp_path):
    (honest_study(tmp_path, SMALL) / "runs.jsonl").unlink()
    with pytest.raises(DataError, match="never run"):
        load_study(tmp_path)


def test_a_broken_manifest_is_refused(tmp_path):
    honest_study(tmp_path, SMALL)
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(DataError, match="not a manifest"):
        load_study(tmp_path)


def test_a_study_of_another_schema_is_refused(tmp_path):
    newer = msgspec.structs.replace(manifest_of(SMALL), schema_version=99)
    with pytest.raises(DataError, match="schema version 99"):
        load_study(write_study(tmp_path, newer, []))


def test_a_role_the_manifest_does_not_know_is_an_error(tmp_path):
    study = load_study(honest_study(tmp_path, SMALL))
    assert study.model("dense-4b").quantisation == "Q8_0"
    with pytest.raises(DataError, match="no model has the role 'dense-70b'"):
        study.model("dense-70b")
