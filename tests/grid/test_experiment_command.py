"""`suite moesd-grid` and `suite routing` as their user meets them: plans, studies, resumption, refusals."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from runner.cli import cli
from runner.errors import EngineError, ModelError, StudyError, UsageError, WorkerError
from runner.grid_record import GRID_LOG, ROUTING_LOG, GridPoint, GridRecord, RoutingRecord
from runner.lines import decode_line_as
from runner.record import Manifest
from runner.suite_command import suite
from tests.grid_world import GridWorld, grid_experiment, plan_of

POINTS = 228


@pytest.fixture(autouse=True)
def own_lock(tmp_path, monkeypatch):
    monkeypatch.setenv("SPECSTUDY_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def world() -> GridWorld:
    return GridWorld()


@pytest.fixture
def out(tmp_path) -> Path:
    return tmp_path / "study"


def call(world: GridWorld, *arguments: object) -> Result:
    return CliRunner().invoke(suite, [str(one) for one in arguments], obj=world.wiring)


def refusal(world: GridWorld, *arguments: object) -> str:
    result = call(world, *arguments)
    assert isinstance(result.exception, StudyError), result.output
    return str(result.exception)


def records(folder: Path, log: str = GRID_LOG, kind: type = GridRecord) -> list:
    lines = (folder / log).read_bytes().splitlines(keepends=True)
    return [decode_line_as(kind, line, f"line {number}") for number, line in enumerate(lines, 1)]


def only(result: Result, folder: Path, *, run: int) -> None:
    assert result.exit_code == 0, result.output
    assert len(records(folder)) == run


def some_point(order: int) -> GridPoint:
    return grid_experiment().points()[order]


def test_the_whole_grid_is_measured_into_one_folder(world, out):
    only(call(world, "moesd-grid", "--out", out), out, run=POINTS)
    found = records(out)
    assert {record.status for record in found} == {"ok"}
    assert [record.point for record in found] == grid_experiment().points()
    manifest = msgspec.json.decode((out / "manifest.json").read_bytes(), type=Manifest)
    assert (manifest.suites, manifest.n_cells) == (["moesd-grid"], POINTS)
    assert [model.role for model in manifest.models] == ["moe-64", "draft-tiny"]
    assert manifest.settings.n_ubatch_tokens >= 100 * 5
    assert world.open_workers == 0


def test_the_grid_is_the_papers_and_its_order_is_the_seeds():
    points = grid_experiment(seed=1).points()
    assert len(points) == len(set(map(str, points))) == POINTS
    assert {point.experts_used for point in points} == {1, 2, 4, 8, 16, 32}
    assert len({point.n_sequences for point in points}) == 19
    assert points != sorted(points, key=str)
    assert points == grid_experiment(seed=1).points()
    assert points != grid_experiment(seed=2).points()


def test_an_interrupted_grid_goes_on_where_it_was(world, out):
    world.fails(some_point(10), KeyboardInterrupt())
    result = call(world, "moesd-grid", "--out", out)
    assert result.exit_code == 130
    assert "to go on: python -m runner" in result.output
    assert len(records(out)) == 10
    again = call(world, "moesd-grid", "--out", out)
    only(again, out, run=POINTS)
    assert f"{POINTS - 10} of {POINTS} points to measure" in again.output
    assert len({record.run_id for record in records(out)}) == POINTS


def test_a_finished_grid_is_not_measured_again(world, out):
    call(world, "moesd-grid", "--out", out)
    world.asked.clear()
    only(call(world, "moesd-grid", "--out", out), out, run=POINTS)
    assert world.asked == []


def test_a_torn_last_line_is_moved_aside_and_its_point_measured_again(world, out):
    call(world, "moesd-grid", "--out", out)
    log = out / GRID_LOG
    log.write_bytes(log.read_bytes()[:-40])
    only(call(world, "moesd-grid", "--out", out), out, run=POINTS)
    assert (out / "moesd-grid.torn-1.jsonl").exists()


def test_a_point_that_fails_is_a_record_and_is_tried_again_on_request(world, out):
    world.fails(some_point(3), EngineError("llama_decode returned -3", code=-3))
    result = call(world, "moesd-grid", "--out", out)
    assert result.exit_code == 1
    assert "1 of 228 points failed" in result.output
    failed = [record for record in records(out) if record.status == "failed"]
    assert [(record.point, record.failure.llama_code) for record in failed] == [(some_point(3), -3)]
    assert call(world, "moesd-grid", "--out", out).exit_code == 1, "failed points are kept, not repeated unasked"
    again = call(world, "moesd-grid", "--out", out, "--rerun", "failed")
    assert again.exit_code == 0
    last = records(out)[-1]
    assert (last.point, last.attempt, last.status) == (some_point(3), 2, "ok")


def test_an_interrupted_repetition_of_failed_points_says_how_to_go_on_with_it(world, out):
    for order in (3, 8):
        world.fails(some_point(order), EngineError("once"))
    call(world, "moesd-grid", "--out", out)
    world.fails(some_point(3), KeyboardInterrupt())
    result = call(world, "moesd-grid", "--out", out, "--rerun", "failed")
    assert result.exit_code == 130
    assert "stopped with 2 points to measure" in result.output
    assert result.output.endswith("--rerun failed\n")
    assert call(world, "moesd-grid", "--out", out, "--rerun", "failed").exit_code == 0


def test_a_worker_that_died_is_replaced_once_and_then_the_point_has_failed(world, out):
    world.fails(some_point(0), WorkerError("died"))
    world.fails(some_point(5), WorkerError("died"), WorkerError("died again"))
    assert call(world, "moesd-grid", "--out", out).exit_code == 1
    attempts = [(record.order, record.attempt, record.status) for record in records(out)]
    assert attempts[:2] == [(0, 1, "failed"), (0, 2, "ok")]
    assert attempts[6:8] == [(5, 1, "failed"), (5, 2, "failed")]
    assert len(attempts) == POINTS + 2
    assert world.asked.count("open") == 1 + 3
    assert world.open_workers == 0


@pytest.mark.parametrize("jump_s", [600.0, -3600.0])
def test_a_point_during_which_the_machine_slept_is_measured_again(world, out, jump_s):
    world.naps[str(some_point(4))].append(jump_s)
    assert call(world, "moesd-grid", "--out", out).exit_code == 0
    slept, again = (record for record in records(out) if record.order == 4)
    assert (slept.status, slept.failure.kind) == ("failed", "ClockJump")
    assert f"{jump_s} s" in slept.failure.message
    assert slept.measurement is not None, "every sample is kept"
    assert (again.status, again.attempt) == ("ok", 2)
    assert len(records(out)) == POINTS + 1


def test_a_point_during_which_the_machine_always_sleeps_has_failed_after_three_attempts(world, out):
    world.naps[str(some_point(4))].extend([60.0] * 4)
    result = call(world, "moesd-grid", "--out", out)
    assert result.exit_code == 1
    assert "1 of 228 points failed" in result.output
    assert [record.attempt for record in records(out) if record.order == 4] == [1, 2, 3]


def test_a_text_during_whose_counting_the_machine_slept_is_counted_again(world, out):
    world.naps["moe-q4"].append(600.0)
    assert call(world, "routing", "--out", out).exit_code == 0
    failed = [record for record in records(out, ROUTING_LOG, RoutingRecord) if record.failure]
    assert [record.failure.kind for record in failed] == ["ClockJump"]


def test_a_pair_that_cannot_be_loaded_is_refused_before_anything_is_written(world, out):
    world.fails("open", ModelError("moe-64.gguf: llama.cpp cannot load it"))
    assert "cannot load it" in refusal(world, "moesd-grid", "--out", out)
    assert not out.exists()
    assert world.open_workers == 0


def test_a_target_with_too_few_experts_is_refused(world, out):
    world.facts["moe-64"] = msgspec.structs.replace(world.facts["moe-64"], n_experts=16)
    assert "a layer has 16 experts and moesd-grid uses up to 32" in refusal(world, "moesd-grid", "--out", out)
    assert not out.exists()


def test_another_seed_is_another_study(world, out):
    call(world, "moesd-grid", "--out", out)
    assert "settings.seed is 1 there and 2 here" in refusal(world, "moesd-grid", "--out", out, "--seed", 2)


def test_more_rounds_are_other_points(world):
    assert plan_of(grid_experiment())[0][0].run_id != plan_of(grid_experiment(seed=2))[0][0].run_id


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("moesd-grid", "routing"), "has a study of its own"),
        (("moesd-grid", "moe-sd"), "has a study of its own"),
        (("moesd-grid", "--n-ctx", "512"), "--n-ctx does not apply"),
        (("moesd-grid", "--n-predict", "9"), "--n-predict does not apply"),
        (("routing", "--repeats", "3"), "--repeats does not apply"),
        (("moesd-grid", "--rerun", "failed"), "--rerun needs --out"),
        (("moesd-grid", "--json"), "--json belongs to"),
        (("moesd-grid", "--family", "qwen3.5"), "no file for moe-64"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(world, arguments, message):
    assert message in refusal(world, *arguments)


def test_a_dry_run_shows_every_point_and_measures_none(world, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = call(world, "moesd-grid", "--dry-run", "--threads", 2).output.splitlines()
    assert len(shown) == POINTS + 2
    assert shown[0].endswith(str(some_point(0)))
    assert shown[-1].startswith("228 points; about 0:0")
    plan = json.loads(call(world, "moesd-grid", "--dry-run", "--json").output)
    assert plan["points"] == len(plan["plan"]) == POINTS
    assert world.asked == []
    assert not (tmp_path / "data").exists()


def test_the_assumed_time_of_the_grid_on_two_threads_is_below_a_quarter_of_an_hour():
    experiment = grid_experiment()
    assert sum(experiment.assumed_s(point, 2) for point in experiment.points()) < 15 * 60


def test_suite_list_shows_them_beside_the_others(world):
    listed = CliRunner().invoke(cli, ["suite", "list"]).output
    assert "moesd-grid        228 points" in listed
    assert "routing             6 texts" in listed
    machine = json.loads(CliRunner().invoke(cli, ["suite", "list", "--json"]).output)
    assert machine["experiments"] == {"moesd-grid": 228, "routing": 6}


def test_routing_counts_every_text(world, out):
    assert call(world, "routing", "--out", out).exit_code == 0
    found = records(out, ROUTING_LOG, RoutingRecord)
    assert {(record.subject.target, record.subject.prompt) for record in found} == {
        (target, prompt) for target in ("moe-q4", "moe-q8", "moe-64") for prompt in ("code", "reasoning")
    }
    assert all(len(record.counts) == 99 for record in found)


def test_routing_on_the_real_family_leaves_the_built_in_mixture_out(world, out):
    world.has_real_models = True
    assert call(world, "routing", "--out", out).exit_code == 0
    found = records(out, ROUTING_LOG, RoutingRecord)
    assert {record.subject.target for record in found} == {"moe-q4", "moe-q8"}


def test_routing_takes_another_length_of_text(world, out):
    assert call(world, "routing", "--out", out, "--n-predict", 64).exit_code == 0
    assert {record.subject.n_text_tokens for record in records(out, ROUTING_LOG, RoutingRecord)} == {64}


class TestGate:
    @pytest.fixture(params=["moesd-grid", "routing"])
    def name(self, request) -> str:
        return request.param

    def call(self, world, examine, *arguments: object) -> Result:
        wiring = replace(world.wiring, examine=examine)
        return CliRunner().invoke(suite, [str(one) for one in arguments], obj=wiring)

    def test_a_worthless_experiment_is_refused_with_nothing_written_or_loaded(self, world, out, name):
        result = self.call(world, worthless, name, "--out", out)
        assert str(result.exception) == "a study would be worthless now: heat"
        assert world.asked == []
        assert not out.exists()

    def test_the_option_starts_it_all_the_same(self, world, out, name):
        assert self.call(world, worthless, name, "--out", out, "--despite-doctor").exit_code == 0
        assert out.exists()

    def test_warnings_are_shown_and_the_pairs_are_those_that_will_be_loaded(self, world, out, name):
        seen = []

        def examine(pairs, family, **facts):
            seen.extend(pairs)
            return ["power source: battery"]

        result = self.call(world, examine, name, "--out", out)
        assert "doctor: power source: battery" in result.stderr
        targets = {"moesd-grid": ["moe-64"], "routing": ["moe-q4", "moe-q8", "moe-64"]}[name]
        assert [pair.target for pair in seen] == targets


def worthless(*pairs, **facts):
    raise UsageError("a study would be worthless now: heat")
