"""The commands: documents on stdout, one line on stderr when the input is wrong, and the exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from analysis.cli import cli
from analysis.decompose_tables import decompose_document, published_bounds
from analysis.load import load_study
from analysis.render import render
from tests.simulated import Config, but, honest_study

GOLDEN = Path(__file__).parent / "golden"
ROOT = Path(__file__).parents[2]
SMALL = Config(suites=("moe-sd", "dense-sd"), n_predict_tokens=48)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return honest_study(tmp_path_factory.mktemp("commands") / "simulated", SMALL)


def run(*arguments):
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def in_a_shell(*arguments):
    command = [sys.executable, "-m", "analysis", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


def check_golden(name, text):
    file = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


@pytest.mark.parametrize("form", ["md", "csv", "json"])
def test_the_decomposition_of_a_study_is_that_of_the_golden_file(study, form):
    check_golden(f"decompose.{form}", render(decompose_document(load_study(study)), form))


def test_the_bounds_of_the_published_figures_are_those_of_the_golden_file():
    check_golden("bounds.md", render(published_bounds(), "md"))


def test_no_published_row_is_possible_once_drafting_is_paid_for():
    (table,) = published_bounds().tables
    assert len(table.rows) == 18
    assert min(row["excess"] for row in table.rows) > 1.7


@pytest.mark.parametrize("command", ["tables", "decompose"])
def test_a_command_prints_the_same_bytes_every_time(study, command):
    first, second = run(command, study, "--format", "json"), run(command, study, "--format", "json")
    assert first.exit_code == 0
    assert first.output == second.output
    assert json.loads(first.output)["source"] == "simulated"


@pytest.mark.parametrize("command", ["tables", "decompose"])
def test_published_needs_no_study(command):
    result = run(command, "published")
    assert result.exit_code == 0
    assert "AtomGradient" in result.output


def test_comparing_a_study_with_itself_succeeds(study):
    result = run("compare", study, study)
    assert result.exit_code == 0
    assert "0 not reproduced" in result.output


def test_a_row_that_does_not_reproduce_ends_with_status_one(study):
    result = run("compare", "published", study)
    assert result.exit_code == 1
    assert "not reproduced" in result.output


def test_a_missing_study_is_one_line_and_status_two(tmp_path):
    for arguments in (("tables", tmp_path), ("decompose", tmp_path), ("compare", "published", tmp_path)):
        result = in_a_shell(*arguments)
        assert result.returncode == 2
        assert result.stdout == ""
        assert result.stderr.startswith("error: ")
        assert result.stderr.count("\n") == 1


def test_a_study_without_drafts_has_nothing_to_decompose(tmp_path):
    plain = honest_study(tmp_path / "plain", but(SMALL, suites=("moe-baseline",)))
    result = in_a_shell("decompose", plain)
    assert (result.returncode, result.stdout) == (2, "")
    assert "holds no speculative run" in result.stderr


def test_a_run_log_is_compared_by_its_figures(study, tmp_path):
    log = tmp_path / "log.csv"
    log.write_text("model,draft_model,draft_len,tps\ndense_9b,none,0,33\ndense_9b,draft_0.8b,4,67\n")
    options = ("--map", "model=target", "--map", "tps=tokens_per_s")
    result = run("compare", log, study, *options)
    assert result.exit_code == 1
    assert "| Dense 9B | Draft 0.8B | 4 | speedup | 2.03" in result.output
    assert run("compare", log, log, *options).exit_code == 0
    assert run("compare", "published", "published").exit_code == 0


def test_analysis_never_imports_what_only_measuring_needs(study):
    code = (
        "import sys; from analysis.cli import cli\n"
        f"for name in ('tables', 'decompose'): cli([name, {str(study)!r}], standalone_mode=False)\n"
        "assert not {'llama_cpp', 'gguf'} & set(sys.modules), 'measuring was imported'"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert result.returncode == 0, result.stderr
