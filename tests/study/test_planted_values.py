"""Private values planted wherever a study meets them reach no file of its folder, the page included."""

from __future__ import annotations

import base64
import re
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from runner.errors import EngineError
from runner.grid_record import GRID_LOG, ROUTING_LOG
from runner.suite_command import suite
from runner.wiring import Wiring, real_wiring
from tests.grid_world import GridWorld, grid_experiment
from tests.runner_cli.world import World

HOME, USER, HOST, TOKEN = "/home/adalovelace", "adalovelace", "ada-laptop", "hf_AbCdEfGhIjKlMnOpQr"
MODEL = f"{HOME}/secret-models/qwen.gguf"
SECRETS = (HOME, USER, HOST, TOKEN, "secret-models")


def trouble() -> EngineError:
    """A failure that says all of it, as a library's message may."""
    said = f"cannot map {MODEL} for {USER} on {HOST} with {TOKEN}"
    return EngineError(said, code=-3, log_tail=(said, f"retry by {USER}@{HOST}.local: {TOKEN}"))


@pytest.fixture(autouse=True)
def _owned_by_ada(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", HOME)
    monkeypatch.setenv("LOGNAME", USER)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr("platform.node", lambda: HOST)
    monkeypatch.setenv("SPECSTUDY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path / "matplotlib"))
    monkeypatch.chdir(tmp_path)


def studied(wiring: Wiring, *arguments: str) -> Path:
    """The folder of a study in which something failed."""
    folders = ("--models-dir", f"{HOME}/secret-models/gguf", "--out", f"{Path.cwd()}/study")
    private = ("--role", f"moe-q4={MODEL}", *folders)
    result = CliRunner().invoke(suite, [*arguments, *private], obj=wiring)
    assert result.exit_code == 1, f"{result.output}\n{result.exception!r}"
    return Path("study")


def all_text(folder: Path) -> str:
    """Every file of a folder, and what its page carries packed."""
    texts = [file.read_text(encoding="utf-8") for file in folder.iterdir()]
    packed = [unpacked(text) for whole in texts for text in re.findall(r"[A-Za-z0-9+/]{200,}={0,2}", whole)]
    return "\n".join([*texts, *packed])


def unpacked(text: str) -> str:
    try:
        return zlib.decompress(base64.b64decode(text), wbits=47).decode("utf-8", "replace")
    except (ValueError, zlib.error):
        return ""


def assert_nothing_private(text: str) -> None:
    for secret in (*SECRETS, str(Path.cwd())):
        assert secret not in text


def test_a_study_of_runs_with_its_page_names_nobody() -> None:
    world = World(has_real_models=True)
    world.executor.fails(1, trouble())
    real = real_wiring()
    wiring = replace(world.wiring, tables=real.tables, write_report=real.write_report)
    folder = studied(wiring, "prompt-sweep", "--repeats", "1", "--n-predict", "12")
    assert {file.name for file in folder.iterdir()} >= {"manifest.json", "runs.jsonl", "report.html"}
    assert "cannot map &lt;path&gt;/qwen.gguf" in (folder / "report.html").read_text(encoding="utf-8")
    written = all_text(folder)
    assert written.count("cannot map <path>/qwen.gguf") == 2 * 2, "message and log line, in the log and packed"
    assert_nothing_private(written)


def test_a_grid_of_points_names_nobody() -> None:
    world = GridWorld()
    world.fails(grid_experiment().points()[3], trouble())
    folder = studied(world.wiring, "moesd-grid")
    assert "cannot map <path>/qwen.gguf" in (folder / GRID_LOG).read_text(encoding="utf-8")
    assert_nothing_private(all_text(folder))


def test_counted_experts_name_nobody() -> None:
    world = GridWorld(has_real_models=True)
    world.fails("moe-q8", trouble())
    folder = studied(world.wiring, "routing")
    assert "cannot map <path>/qwen.gguf" in (folder / ROUTING_LOG).read_text(encoding="utf-8")
    assert_nothing_private(all_text(folder))
