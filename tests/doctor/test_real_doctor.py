"""The doctor with nothing replaced: this machine, this llama.cpp, tiny models loaded in real processes."""

import json
import sys

import pytest
from click.testing import CliRunner

from runner.cli import cli
from runner.synthetic import tiny_foreign_model, tiny_model

CHECKS = [
    "machine", "bandwidth", "clock", "disk", "sleep", "llama.cpp", "backend", "power source", "power mode",
    "heat", "memory pressure", "other processes", "models", "vocabulary", "memory", "rollback",
]  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    return {
        "target": tiny_model("qwen35moe", folder / "target.gguf"),
        "draft": tiny_model("qwen35", folder / "draft.gguf", seed=2),
        "foreign": tiny_foreign_model("qwen35", folder / "foreign.gguf", seed=2),
    }


def lines_of(target, draft):
    words = ["doctor", "prompt-sweep", "--json", "--role", f"moe-q4={target}", "--role", f"draft-0.8b={draft}"]
    done = CliRunner().invoke(cli, words)
    told = json.loads(done.stdout)
    assert done.exit_code == int(told["worthless"])
    return {line["check"]: line for line in told["lines"]}


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
    assert "rollback" not in lines
