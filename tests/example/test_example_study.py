"""The committed example: a real run of the built-in family, seen first by a newcomer, and so it must be right."""

from pathlib import Path

import pytest

from analysis.accounting import pairs
from analysis.load import load_study
from tests.analysis_cli import analysis

EXAMPLE = Path(__file__).parents[2] / "data" / "example"


@pytest.fixture(scope="module")
def study():
    return load_study(EXAMPLE)


def test_the_published_matrix_is_complete_and_nothing_failed(study):
    counted = study.runs[study.runs["purpose"] == "cell"]
    assert counted.groupby("suite").size().to_dict() == {
        "moe-baseline": 18,
        "moe-sd": 144,
        "dense-baseline": 36,
        "dense-sd": 72,
        "prompt-sweep": 36,
    }
    assert set(study.runs["status"]) == {"ok"}


def test_every_record_recomputes_and_every_identity_closes(study):
    assert (study.runs["run_id"] == study.runs["recomputed_run_id"]).all()
    assert study.notes == ()
    paired = pairs(study)
    assert len(paired) == 234
    assert (paired["identity"] / paired["speedup"] - 1).abs().max() < 1e-9
    assert set(paired["verdict"]) <= {"identical", "near-tie"}


def test_every_rejecting_run_carries_its_proof(study):
    speculative = study.runs[study.runs["gamma"] > 0]
    assert speculative["target_proof_wrong_state"].notna().all()
    assert speculative["draft_proof_wrong_state"].notna().all()


def test_it_audits_clean():
    result = analysis("audit", EXAMPLE)
    assert result.status == 0, result.out
    assert "Nothing speaks against these figures" in result.out


def test_it_names_neither_its_machine_nor_its_owner(study):
    manifest = (EXAMPLE / "manifest.json").read_text(encoding="utf-8")
    for telling in ("/home/", "/Users/", "/root", "/tmp"):
        assert telling not in manifest


def test_it_stays_small_enough_to_commit():
    assert sum(path.stat().st_size for path in EXAMPLE.iterdir()) < 5_000_000
