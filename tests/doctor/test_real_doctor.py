"""The doctor with nothing replaced: this machine, this llama.cpp, tiny models loaded in real processes."""

import json
import sys
import time

import pytest
from click.testing import CliRunner

from runner.cli import cli
from runner.doctor import command
from runner.models import resolve_family
from runner.synthetic import tiny_foreign_model, tiny_model
from suites.roles import DRAFTS, TARGETS

CHECKS = [
    "machine", "bandwidth", "clock", "disk", "sleep", "llama.cpp", "backend", "power source", "power mode",
    "heat", "memory pressure", "energy", "other processes", "models", "vocabulary", "memory", "rollback",
    "offload",
]  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    return {
        "target": tiny_model("qwen35moe", folder / "target.gguf"),
        "draft": tiny_model("qwen35", folder / "draft.gguf", seed=2),
        "foreign": tiny_foreign_model("qwen35", folder / "foreign.gguf", seed=2),
    }


@pytest.fixture(autouse=True)
def own_lock(tmp_path, monkeypatch):
    """The built-in family stays where it is; a study of somebody else is no matter of these tests."""
    monkeypatch.setattr(command, "machine_lock_path", lambda: tmp_path / "study.lock")


def told_by_doctor(*words):
    done = CliRunner().invoke(cli, ["doctor", *words, "--json"])
    told = json.loads(done.stdout)
    assert done.exit_code == int(told["worthless"])
    return told["lines"]


def lines_of(target, draft):
    words = ["prompt-sweep", "--role", f"moe-q4={target}", "--role", f"draft-0.8b={draft}"]
    return {line["check"]: line for line in told_by_doctor(*words)}


@pytest.mark.skipif(sys.platform == "darwin", reason="a virtual Mac may lack Metal, and the doctor says so")
def test_this_machine_is_told_in_every_line_and_the_models_are_proved(files):
    lines = lines_of(files["target"], files["draft"])
    assert [check for check in CHECKS if check not in lines] == []
    assert lines["rollback"]["level"] == "ok"
    assert lines["rollback"]["finding"] == "moe-q4 + draft-0.8b: proved for γ 8"
    assert "0.3.36" in lines["llama.cpp"]["finding"]
    assert "CPU" in lines["backend"]["finding"]
    assert all((line["remedy"] is None) == (line["level"] == "ok") for line in lines.values())


def test_a_draft_of_another_vocabulary_is_told_and_not_loaded(files):
    lines = lines_of(files["target"], files["foreign"])
    assert lines["vocabulary"]["level"] == "fail"
    assert "another vocabulary than target.gguf (first difference at token" in lines["vocabulary"]["finding"]
    assert lines["rollback"]["finding"].startswith("not examined")


@pytest.mark.skipif(sys.platform == "darwin", reason="a virtual Mac may lack Metal, and the doctor says so")
def test_with_the_built_in_family_no_line_fails_and_every_check_is_there(capsys):
    resolve_family("synthetic", roles=TARGETS[:6] + DRAFTS[:2])
    started = time.monotonic()
    lines = told_by_doctor("--family", "synthetic")
    with capsys.disabled():
        print(f"\nthe doctor took {time.monotonic() - started:.1f} s with the built-in family")
    assert {line["level"] for line in lines} <= {"ok", "warn"}, lines
    told = {line["check"]: line for line in lines}
    assert [check for check in CHECKS if check not in told] == []
    assert told["energy"]["finding"].startswith(("measured in every run: CPU", "not measured: there is no "))
    assert told["backend"]["finding"] == "CPU: everything runs on the processor"
    assert told["offload"]["finding"].endswith("files loaded were put on CPU")
    proved = [line["finding"] for line in lines if line["check"] == "rollback"]
    assert "the other 8 loads of the study are of the same models" in proved
    assert sum("proved for γ 4, 8, 16" in finding for finding in proved) == 4
