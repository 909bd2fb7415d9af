"""What the documentation shows can be typed in as it stands."""

from __future__ import annotations

import doctest
import re
import textwrap
from pathlib import Path

import pytest

import analysis.moesd.facts
import analysis.moesd.times
import analysis.tpot.model
from analysis.moesd.facts import read_facts
from analysis.moesd.grid import COLUMNS
from tests.analysis_cli import analysis as run

DOCS = Path(__file__).parents[2] / "docs"
MOESD = (DOCS / "moesd.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("module", [analysis.moesd.times, analysis.tpot.model])
def test_examples_in_docstrings_give_what_they_say(module):
    outcome = doctest.testmod(module)
    assert outcome.attempted > 0
    assert outcome.failed == 0


@pytest.mark.parametrize("text", [MOESD, analysis.moesd.facts.__doc__], ids=["docs", "docstring"])
def test_the_facts_shown_are_facts(tmp_path, text):
    block = re.search(r"(?:^    (?:\S.*)?\n|^\n)*?^    verified = (?:.*\n)(?:^    .*\n|^\n)*", text, re.MULTILINE)
    file = tmp_path / "facts.toml"
    file.write_text(textwrap.dedent(block.group()))
    assert read_facts(file).target.experts == 64


def test_every_column_of_the_data_is_documented():
    assert all(name in MOESD for name in COLUMNS)


def test_every_command_shown_exists():
    commands = re.findall(r"python -m analysis (moesd \w+|tpot)", MOESD + (DOCS / "tpot.md").read_text("utf-8"))
    assert {"moesd strides", "moesd fit", "moesd predict", "tpot"} <= set(commands)
    for command in set(commands):
        assert run(*command.split(), "--help").status == 0


def test_the_errors_said_of_the_stride_table_are_those_of_the_golden_table():
    golden = (Path(__file__).parent / "golden" / "strides.md").read_text(encoding="utf-8")
    for m, error in (("12", "5.471"), ("18", "2.201"), ("21", "1.574"), ("228", "1.295")):
        assert re.search(rf"^\| {m} \|.*\| {error} \|", golden, re.MULTILINE)
        assert error in MOESD
