"""Fifty ways to spoil a study, each caught by a rule that names it; the study it was made from is clean."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.audit.evidence import Evidence
from analysis.audit.from_study import study_evidence
from analysis.audit.rules import RULES, judge
from analysis.load import load_study
from tests.audit.faults import FAULTS, FEW_EACH, LONG, SMALL, TWO_DRAFTS, WITH_REFERENCES, Fault, spoiled
from tests.simulated import Config, honest_study, write_study


def audited(path: Path) -> Evidence:
    return study_evidence(load_study(path))


def rules_that_speak(path: Path) -> set[str]:
    return {finding.rule for finding in judge(audited(path)) if finding.counts}


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_spoiled_study_is_caught_by_the_rule_that_names_the_fault(fault: Fault, tmp_path: Path) -> None:
    manifest, records = spoiled(fault)
    assert fault.rule in rules_that_speak(write_study(tmp_path / "study", manifest, records))


@pytest.mark.parametrize("config", [SMALL, TWO_DRAFTS, WITH_REFERENCES, LONG, FEW_EACH])
def test_the_study_that_was_spoiled_was_clean_before(config: Config, tmp_path: Path) -> None:
    assert judge(audited(honest_study(tmp_path / "study", config))) == ()


def test_an_edited_line_is_caught(tmp_path: Path) -> None:
    study = honest_study(tmp_path / "study", SMALL)
    log = study / "runs.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    lines[4] = lines[4].replace(b'"decode_wall_ns":', b'"decode_wall_ns":1')
    log.write_bytes(b"".join(lines))
    assert "bad-line" in rules_that_speak(study)


def test_a_truncated_file_is_caught(tmp_path: Path) -> None:
    study = honest_study(tmp_path / "study", SMALL)
    log = study / "runs.jsonl"
    log.write_bytes(log.read_bytes()[:-200])
    assert {"torn-line", "missing-cells"} <= rules_that_speak(study)


def test_a_log_of_nothing_but_damaged_lines_is_judged_and_not_a_crash(tmp_path: Path) -> None:
    study = honest_study(tmp_path / "study", SMALL)
    (study / "runs.jsonl").write_bytes(b"{}\n\n\xff\xfe\n")
    assert {"bad-line", "missing-cells"} <= rules_that_speak(study)


def test_an_empty_log_lacks_every_cell(tmp_path: Path) -> None:
    study = honest_study(tmp_path / "study", SMALL)
    (study / "runs.jsonl").write_bytes(b"")
    assert rules_that_speak(study) == {"missing-cells"}


def test_every_rule_about_studies_has_a_fault_in_the_catalogue() -> None:
    by_rule = {fault.rule for fault in FAULTS} | {"bad-line", "torn-line"}
    assert len(by_rule) >= 30
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 20
    assert len(RULES) == len(set(RULES))
