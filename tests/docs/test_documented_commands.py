"""Every command that README and docs show exists, with the options shown, and every suite named can be loaded."""

import re
import shlex
from pathlib import Path

import click
import pytest

from analysis.cli import cli as analysis_cli
from runner.cli import cli as runner_cli
from suites.loader import load_suites

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
GROUPS = {"runner": runner_cli, "analysis": analysis_cli}
_COMMAND = re.compile(r"python -m (runner|analysis)((?: [^\n`#]*)?)")


def shown():
    for page in PAGES:
        for match in _COMMAND.finditer(page.read_text(encoding="utf-8")):
            words = shlex.split(match[2].replace("…", ""))
            if words:
                yield pytest.param(match[1], words, id=f"{page.name}: {match[1]} {' '.join(words)}"[:90])


def find_command(group: click.Command, words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that the words name, and the words that are left for it."""
    context = click.Context(group)
    while isinstance(group, click.Group) and words:
        command = group.get_command(context, words[0])
        assert command is not None, f"there is no command {words[0]!r}"
        group, words, context = command, words[1:], click.Context(command)
    return group, words


@pytest.mark.parametrize(("package", "words"), list(shown()))
def test_a_shown_command_exists_with_its_options(package, words):
    for first in words[0].split("|"):
        command, rest = find_command(GROUPS[package], [first, *words[1:]])
        known = {option for parameter in command.params for option in (*parameter.opts, "-h", "--help")}
        used = {word.split("=")[0] for word in rest if word.startswith("-")}
        assert used <= known, f"{first} has no {used - known}"


def test_the_suites_of_the_readme_exist():
    rows = re.findall(r"^\| ([a-z0-9, -]+) \| (?:\d+|.*?) \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    names = [name.strip() for row in rows for name in row.split(",") if name.strip() != "suite"]
    assert {"moe-sd", "oracle", "phantom"} <= set(names)
    matrix = [name for name in names if name not in {"moesd-grid", "routing"}]
    assert len(load_suites(tuple(matrix))) == len(matrix)


def test_links_between_pages_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            if "://" not in target and not target.startswith("mailto"):
                assert (page.parent / target).exists(), f"{page.name} links to {target}"
