"""The suite command in a world of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from runner.cli import cli
from tests.runner_cli.world import Run, World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def run(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `suite` with the given arguments in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SPECSTUDY_CACHE", str(tmp_path / "cache"))

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(cli, ["suite", *arguments], obj=world.wiring)

    return invoke
