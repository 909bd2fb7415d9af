"""The suite `phantom` with nothing replaced: every unchecked run that it makes is caught, one by one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from click.testing import CliRunner

from analysis.audit.from_study import study_evidence
from analysis.audit.rules import judge
from analysis.audit.sources import only_marked
from analysis.experiments.phantom import phantom_document
from analysis.load import Study, load_study
from analysis.tables import study_tables
from runner.cli import cli
from runner.synthetic import tiny_model

TARGETS = ("moe-q4", "moe-q8", "dense-4b", "dense-9b")
N_UNCHECKED = len(TARGETS) * 3 * 2


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("phantom")
    mixture = tiny_model("qwen35moe", folder / "mixture.gguf", seed=1, noise=0.3)
    dense = tiny_model("qwen35", folder / "dense.gguf", seed=1, noise=0.3)
    draft = tiny_model("qwen35", folder / "draft.gguf", seed=2, noise=0.5)
    roles = {role: mixture if role.startswith("moe") else dense for role in TARGETS} | {"draft-0.8b": draft}
    words = [word for role, path in roles.items() for word in ("--role", f"{role}={path}")]
    small = ["--repeats", "1", "--n-predict", "64", "--threads", "1", "--despite-doctor"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPECSTUDY_CACHE", str(folder / "cache"))
        result = CliRunner().invoke(cli, ["suite", "phantom", *small, "--out", str(folder / "study"), *words])
    assert result.exit_code == 0, f"{result.output}\n{result.exception!r}"
    return load_study(folder / "study")


def alone(study: Study, row: int) -> Study:
    """One marked run with the baseline of its comparison and nothing else; its mark is off."""
    found = only_marked(study)
    keep = (found.runs.index == row) | (found.runs["gamma"] == 0)
    return replace(found, runs=found.runs[keep])


def test_each_unchecked_run_is_caught_by_its_text_or_its_missing_proof(study: Study) -> None:
    marked = study.runs[study.runs["mark"].notna()]
    assert len(marked) == N_UNCHECKED
    for row, run_id in marked["run_id"].items():
        caught = {one.rule: one for one in judge(study_evidence(alone(study, int(str(row))))) if one.counts}
        assert "rollback-proved" in caught, f"{run_id} claims a rollback"
        assert {"repeated-output", "lossless"} & set(caught), f"{run_id}: its text looks honest"
        assert run_id in caught["rollback-proved"].where


def test_no_honest_run_of_the_same_study_is_accused(study: Study) -> None:
    errors = [one.message for one in judge(study_evidence(study)) if one.severity == "error"]
    assert errors == []


def test_the_unchecked_loop_accepts_less_than_one_percent_at_gamma_16(study: Study) -> None:
    for row in phantom_document(study).tables[0].rows:
        if row["gamma"] == 16:
            assert isinstance(row["phantom_alpha"], float)
            assert row["phantom_alpha"] < 0.01
        assert row["only_full_alpha"] in {None, 1.0}, "counting full drafts alone always prints 100 %"


def test_no_table_of_ordinary_comparisons_counts_an_unchecked_run(study: Study) -> None:
    rows = [row for table in study_tables(study).tables for row in table.rows]
    assert rows
    assert "unchecked" not in {row.get("draft") for row in rows}
