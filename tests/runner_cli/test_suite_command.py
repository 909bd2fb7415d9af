"""`python -m runner suite` as its user meets it: plans, studies, refusals in one line, and exit statuses."""

from __future__ import annotations

import json
import os
import shlex
import signal
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from runner.cli import cli
from runner.errors import EngineError, ModelError, StudyError, WorkerError
from runner.executor import PlannedRun
from runner.go_on import same_command
from runner.locks import hold, machine_lock_path
from runner.record import Manifest
from runner.suite_command import suite
from tests.fake_executor import FACTS, FakeExecutor, records_in
from tests.runner_cli.world import FakeFamily, Run, World, refusal
from tests.simulated import MACHINE

SMALL = ("prompt-sweep", "--repeats", "1", "--n-predict", "12")
N_SMALL = 12 + 2


def studies_in(folder: Path) -> list[Path]:
    return sorted((folder / "data/studies").glob("*"))


def test_the_list_names_every_suite_with_its_cells(run: Run) -> None:
    lines = run("list").stdout.splitlines()
    assert [line.split()[:2] for line in lines[:5]] == [
        ["moe-baseline", "18"], ["moe-sd", "144"], ["dense-baseline", "36"], ["dense-sd", "72"],
        ["prompt-sweep", "36"],
    ]  # fmt: skip


def test_the_list_can_be_had_as_json(run: Run) -> None:
    assert json.loads(run("list", "--json").stdout)["suites"]["moe-sd"] == 144


def test_a_dry_run_of_all_reports_the_published_matrix(run: Run, world: World, tmp_path: Path) -> None:
    result = run("all", "--dry-run", "--json")
    assert result.exit_code == 0
    plan = json.loads(result.stdout)
    assert list(plan["suites"].values()) == [18, 144, 36, 72, 36]
    assert plan["paired_baselines"] == {
        "moe-baseline": 0, "moe-sd": 48, "dense-baseline": 0, "dense-sd": 24, "prompt-sweep": 0,
    }  # fmt: skip
    assert plan["runs"] == len(plan["plan"]) == 306 + 72 + plan["reference_runs"]
    assert [step["order"] for step in plan["plan"]] == list(range(plan["runs"]))
    assert plan["estimated_s"] > 0
    assert world.executor.events == []
    assert list(tmp_path.iterdir()) == [], "a dry run writes nothing"


def test_a_dry_run_shows_the_order_that_the_study_then_has(run: Run, tmp_path: Path) -> None:
    planned = json.loads(run(*SMALL, "--seed", "5", "--dry-run", "--json").stdout)["plan"]
    run(*SMALL, "--seed", "5", "--out", "study")
    cells = [msgspec.to_builtins(record.cell) for record in records_in(tmp_path / "study")]
    assert [{"order": order, **cell} for order, cell in enumerate(cells)] == planned


def test_a_dry_run_for_people_ends_with_counts_and_the_estimated_time(run: Run) -> None:
    lines = run("moe-sd", "--dry-run").stdout.splitlines()
    assert lines[0].split()[:3] == ["0", "reference", "moe-q4"]
    assert "moe-sd            144 cells, 48 paired baselines on top" in lines
    assert lines[-1].startswith("144 cells, ")
    assert "about 0:" in lines[-1]


def test_repeats_and_tokens_change_the_plan(run: Run) -> None:
    plan = json.loads(run("moe-sd", "--repeats", "6", "--n-predict", "20", "--dry-run", "--json").stdout)
    assert plan["suites"] == {"moe-sd": 288}
    measured = {step["n_predict_tokens"] for step in plan["plan"] if step["purpose"] != "reference"}
    assert measured == {20}


def test_a_dry_run_of_auto_names_the_family_without_building_it(run: Run, world: World) -> None:
    assert json.loads(run("all", "--dry-run", "--json").stdout)["family"] == "synthetic"
    assert world.asked == ["qwen3.5"]
    world.has_real_models = True
    assert json.loads(run("all", "--dry-run", "--json").stdout)["family"] == "qwen3.5"


def test_a_study_ends_with_its_tables_and_where_it_is(run: Run, tmp_path: Path) -> None:
    result = run(*SMALL)
    assert result.exit_code == 0, result.output
    [folder] = studies_in(tmp_path)
    assert result.stdout.splitlines() == [
        f"tables of {folder.name}",
        f"report: data/studies/{folder.name}/report.html",
        f"results: data/studies/{folder.name}",
    ]
    assert folder.name.startswith("synthetic-prompt-sweep-2")
    assert len(records_in(folder)) == N_SMALL


def test_the_family_taken_and_why_is_said_on_standard_error(run: Run, world: World) -> None:
    result = run(*SMALL)
    assert "family synthetic (auto: no real models are here)" in result.stderr
    assert "not Qwen3.5" in result.stderr
    world.has_real_models = True
    assert "family qwen3.5 (auto: all real models are here)" in run(*SMALL, "--out", "b").stderr


def test_the_manifest_fixes_what_was_asked_for(run: Run, world: World, tmp_path: Path) -> None:
    run(*SMALL, "--seed", "9", "--threads", "3", "--out", "study")
    manifest = msgspec.json.decode((tmp_path / "study/manifest.json").read_bytes(), type=Manifest)
    assert manifest.arguments == ["suite", *SMALL, "--seed", "9", "--threads", "3", "--out", "study"]
    assert manifest.suites == ["prompt-sweep"]
    assert manifest.n_cells == 12
    assert manifest.settings == world.settings[0]
    assert (manifest.settings.seed, manifest.settings.n_threads) == (9, 3)
    assert manifest.settings.n_ctx_tokens == 1280
    assert [facts.role for facts in manifest.models] == ["moe-q4", "draft-0.8b"]


def test_where_tokens_are_chosen_is_the_same_for_all_runs_and_written_down(
    run: Run, world: World, tmp_path: Path
) -> None:
    run(*SMALL, "--out", "host")
    run(*SMALL, "--choose-on", "device", "--out", "device")
    assert [settings.chooses_on_device for settings in world.settings] == [False, True]
    assert b"choose_on" not in (tmp_path / "host/manifest.json").read_bytes()
    assert b'"choose_on": "device"' in (tmp_path / "device/manifest.json").read_bytes()
    assert "settings.choose_on is missing there and device here" in refusal(
        run(*SMALL, "--choose-on", "device", "--out", "host")
    )


def test_by_default_all_fast_cores_but_one_of_those_this_process_may_use(run: Run, world: World) -> None:
    world.machine = msgspec.structs.replace(MACHINE, performance_cores=1, physical_cores=64)
    run(*SMALL)
    world.machine = msgspec.structs.replace(MACHINE, performance_cores=None, physical_cores=4096)
    run(*SMALL, "--out", "b")
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert [settings.n_threads for settings in world.settings] == [1, max(1, usable - 1)]


def test_the_same_command_in_the_same_folder_runs_what_is_missing(run: Run, world: World, tmp_path: Path) -> None:
    def stop_at_four(planned: PlannedRun) -> None:
        if planned.order == 4:
            raise KeyboardInterrupt

    world.executor.before_run = stop_at_four
    result = run(*SMALL, "--out", "study")
    assert result.exit_code == 130
    assert f"stopped with {N_SMALL - 4} runs to do" in result.stderr
    go_on = result.stderr.rsplit("to go on: python -m runner suite ", 1)[1]

    world.executor = FakeExecutor()
    result = run(*shlex.split(go_on))
    assert result.exit_code == 0, result.output
    assert f"continuing study: {N_SMALL - 4} of {N_SMALL} runs are left to do" in result.stderr
    assert world.executor.ran == list(range(4, N_SMALL))
    assert len(records_in(tmp_path / "study")) == N_SMALL


def test_a_first_interrupt_ends_after_the_run_with_status_130_and_names_the_new_folder(
    run: Run, world: World, tmp_path: Path
) -> None:
    world.executor.before_run = lambda planned: planned.order == 2 and os.kill(os.getpid(), signal.SIGINT)
    result = run(*SMALL)
    assert result.exit_code == 130
    [folder] = studies_in(tmp_path)
    assert len(records_in(folder)) == 3
    assert f"--out data/studies/{folder.name}" in result.stderr


def test_sigterm_is_an_interrupt_too(run: Run, world: World) -> None:
    world.executor.before_run = lambda planned: planned.order == 2 and os.kill(os.getpid(), signal.SIGTERM)
    assert run(*SMALL).exit_code == 130


def test_an_interrupt_during_the_last_run_leaves_nothing_to_go_on_with(run: Run, world: World) -> None:
    last = N_SMALL - 1
    world.executor.before_run = lambda planned: planned.order == last and os.kill(os.getpid(), signal.SIGINT)
    assert run(*SMALL).exit_code == 0


def test_an_interrupt_before_anything_was_measured_leaves_nothing_behind(
    run: Run, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*arguments: object, **options: object) -> FakeFamily:
        raise KeyboardInterrupt

    monkeypatch.setattr(World, "resolve", interrupt)
    assert run(*SMALL).exit_code == 130
    assert studies_in(tmp_path) == []


def test_failed_runs_give_status_1_and_can_be_run_again(run: Run, world: World, tmp_path: Path) -> None:
    world.executor.fails(3, EngineError("decode failed", code=-1))
    world.executor.fails(5, WorkerError("died"), WorkerError("died"))
    result = run(*SMALL, "--out", "study")
    assert result.exit_code == 1
    assert "run 3 failed (attempt 1, EngineError): decode failed" in result.stderr
    assert f"2 of {N_SMALL} runs failed; to try them again: python -m runner suite" in result.stderr
    again = result.stderr.rsplit("python -m runner suite ", 1)[1]

    world.executor = FakeExecutor()
    assert run(*shlex.split(again)).exit_code == 0
    assert world.executor.ran == [3, 5]
    assert len(records_in(tmp_path / "study")) == N_SMALL + 1 + 2


def test_an_interrupted_repetition_of_failed_runs_says_how_to_go_on_with_it(
    run: Run, world: World, tmp_path: Path
) -> None:
    for order in (3, 5, 8):
        world.executor.fails(order, EngineError("once"))
    run(*SMALL, "--out", "study")

    world.executor = FakeExecutor()
    world.executor.before_run = lambda planned: planned.order == 3 and os.kill(os.getpid(), signal.SIGINT)
    result = run(*SMALL, "--out", "study", "--rerun", "failed")
    assert result.exit_code == 130
    assert "stopped with 2 runs to do" in result.stderr
    assert "tables of" not in result.stdout
    go_on = result.stderr.rsplit("to go on: python -m runner suite ", 1)[1]

    world.executor = FakeExecutor()
    assert run(*shlex.split(go_on)).exit_code == 0
    assert world.executor.ran == [5, 8]


def test_a_folder_may_be_named_like_what_is_asked_for(run: Run, world: World, tmp_path: Path) -> None:
    world.executor.fails(3, EngineError("once"))
    result = run(*SMALL, "--out", "failed")
    assert result.stderr.endswith("--out failed --rerun failed\n")
    again = result.stderr.rsplit("python -m runner suite ", 1)[1]

    world.executor = FakeExecutor()
    world.executor.fails(3, EngineError("twice"))
    result = run(*shlex.split(again))
    assert result.stderr.endswith("--out failed --rerun failed\n"), "and said once"
    assert world.executor.ran == [3]
    assert len(records_in(tmp_path / "failed")) == N_SMALL + 1


@pytest.mark.parametrize(
    ("typed", "continued"),
    [
        (["suite", "all"], "suite all --out study"),
        (["suite", "all", "--rerun=failed", "--out=failed"], "suite all --out=failed"),
        (["suite", "--rerun", "failed", "all", "--out", "failed"], "suite all --out failed"),
        (["suite", "all", "--out", "--rerun", "--seed", "2"], "suite all --out --rerun --seed 2"),
    ],
)
def test_the_same_command_is_what_was_typed_but_for_what_to_run_again(typed: list[str], continued: str) -> None:
    assert same_command(typed, Path("study")) == f"python -m runner {continued}"


def test_a_command_may_be_repeated_when_everything_is_done(run: Run, world: World) -> None:
    run(*SMALL, "--out", "study")
    world.executor = FakeExecutor()
    result = run(*SMALL, "--out", "study")
    assert result.exit_code == 0
    assert "results: study" in result.stdout
    assert world.executor.events == []


def test_tables_that_cannot_be_made_do_not_hide_the_results(run: Run, world: World) -> None:
    def refuse(folder: Path) -> str:
        raise StudyError("it holds no baseline")

    result = CliRunner().invoke(cli, ["suite", *SMALL], obj=replace(world.wiring, tables=refuse))
    assert result.exit_code == 0
    assert "no tables: it holds no baseline" in result.stderr
    assert "results: " in result.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "name a suite, or `all`"),
        (("nothing",), "there is no suite 'nothing'; known suites: moe-baseline"),
        (("../x",), "there is no suite '../x'"),
        (("list", "all"), "there is no suite 'list'"),
        (("moe-sd", "--n-predict", "16"), "moe-sd.toml: axes.gammas[2] = 16 can never be drafted"),
        (("prompt-sweep", "--n-ctx", "1000"), "prompt natural-1024 (up to 1024 tokens)"),
        (("all", "--rerun", "failed"), "--rerun needs --out"),
        (("all", "--json"), "--json belongs to"),
        (("phantom", "--choose-on", "device"), "the drafter unchecked lives on logits left over on the host"),
        (("routing", "--choose-on", "device"), "--choose-on device does not apply to routing"),
        (("all", "--role", "moe-q4"), "is not of the form ROLE=PATH"),
        (("all", "--family", "qwen3.5"), "no file for moe-q4; name one with --role moe-q4=PATH"),
        (("all", "--models-dir", "nowhere", "--dry-run"), "no file for moe-q4"),
    ],
)
def test_a_bad_request_is_one_line_and_leaves_nothing_behind(
    run: Run, world: World, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    assert said in refusal(run(*arguments))
    assert studies_in(tmp_path) == []
    assert world.executor.events == []


@pytest.mark.parametrize(
    "arguments",
    [("all", "--repeats", "0"), ("all", "--seed", "x"), ("all", "--family", "gpt"), ("all", "--unknown")],
)
def test_a_bad_option_is_refused_with_status_2(run: Run, arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


def test_another_plan_in_the_same_folder_is_refused_by_field(run: Run, tmp_path: Path) -> None:
    run(*SMALL, "--out", "study")
    before = (tmp_path / "study/runs.jsonl").read_bytes()
    assert "settings.seed is 1 there and 2 here" in refusal(run(*SMALL, "--seed", "2", "--out", "study"))
    assert "suites is ['prompt-sweep'] there" in refusal(run("dense-sd", "--n-predict", "40", "--out", "study"))
    assert (tmp_path / "study/runs.jsonl").read_bytes() == before


def test_a_draft_of_another_vocabulary_is_refused_before_anything_is_loaded(
    run: Run, world: World, tmp_path: Path
) -> None:
    world.facts["draft-0.8b"] = msgspec.structs.replace(FACTS["draft-0.8b"], vocab_sha256="cd" * 32)
    assert "draft-0.8b.gguf: another vocabulary than moe-q4.gguf" in refusal(run(*SMALL))
    assert studies_in(tmp_path) == []
    assert world.executor.events == []


def test_a_model_that_proves_unusable_leaves_nothing_behind(run: Run, world: World, tmp_path: Path) -> None:
    world.executor.refuses("moe-q4", ModelError("moe-q4.gguf: truncated; download it again"))
    assert "truncated" in refusal(run(*SMALL))
    assert studies_in(tmp_path) == []


def test_a_second_study_on_the_machine_is_refused(run: Run, world: World, tmp_path: Path) -> None:
    with hold(machine_lock_path(), "the test holds it"):
        assert "another study is running on this machine (process " in refusal(run(*SMALL))
    assert studies_in(tmp_path) == []
    assert run(*SMALL).exit_code == 0


def test_nothing_private_is_written_even_when_it_was_typed(
    run: Run, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/adalovelace")
    monkeypatch.setenv("LOGNAME", "adalovelace")
    monkeypatch.setattr("platform.node", lambda: "ada-laptop")
    world.has_real_models = True
    path = "/home/adalovelace/secret-models/qwen.gguf"
    world.executor.fails(1, EngineError(f"cannot read {path} on ada-laptop"))
    result = run(*SMALL, "--role", f"moe-q4={path}", "--models-dir", "/Volumes/Ada/secret-models")
    assert result.exit_code == 1
    [folder] = studies_in(tmp_path)
    written = b"".join(file.read_bytes() for file in folder.iterdir())
    for secret in (b"adalovelace", b"ada-laptop", b"secret-models/qwen", str(tmp_path).encode()):
        assert secret not in written
    assert b"moe-q4=<path>/qwen.gguf" in written


def test_the_manifest_never_holds_where_the_study_lies(run: Run, tmp_path: Path) -> None:
    run(*SMALL, "--out", str(tmp_path / "deep/down/study"))
    manifest = (tmp_path / "deep/down/study/manifest.json").read_text()
    assert str(tmp_path) not in manifest
    assert "<path>/study" in manifest


def test_every_option_is_explained() -> None:
    help_text = CliRunner().invoke(suite, ["--help"]).output
    for parameter in suite.params:
        for name in parameter.opts:
            if name.startswith("--"):
                assert name in help_text
    assert "130 interrupted" in help_text
