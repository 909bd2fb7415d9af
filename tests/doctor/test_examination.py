"""The whole examination: what is loaded, what stops it, what it prints, and with which exit status."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from runner.cli import cli
from runner.compose import Wish, design
from runner.doctor import examine as examining
from runner.doctor.examine import examine
from runner.doctor.proof import proofs_of, worth_loading
from runner.doctor.work import work_of
from runner.errors import ModelError, RollbackError, StoreError, WorkerError
from runner.locks import hold, machine_lock_path
from runner.paths import CACHE_VARIABLE
from tests.doctor.world import (
    CPU_BUILD,
    HEALTHY,
    LINUX,
    MAC,
    METAL_BUILD,
    Executor,
    broken_engine,
    family_of_tiny_files,
    linux_source,
    mac_source,
    wiring_of,
)
from tests.models.tiny_gguf import TOKENS, write_tiny

WISH = Wish(names=("all",))


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    monkeypatch.setattr(examining, "other_load", list)


@pytest.fixture(scope="module")
def designed():
    return work_of(WISH, None)


@pytest.fixture
def own_lock(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))


@pytest.fixture
def family(tmp_path):
    return family_of_tiny_files(tmp_path)


def run(designed, wiring, source=None):
    return list(examine(WISH, designed, wiring, source or linux_source()))


def failed(lines):
    return [line.check for line in lines if line.level == "fail"]


def test_a_sound_world_is_sound_in_every_line(designed, family):
    executor = Executor()
    lines = run(designed, wiring_of(family, executor))
    assert {line.level for line in lines} == {"ok"}
    assert [str(pair) for pair in executor.opened] == [
        "moe-q4 + draft-0.8b",
        "moe-q8 + draft-2b",
        "dense-4b + draft-0.8b",
        "dense-9b + draft-0.8b",
        "dense-0.8b",
        "dense-2b",
    ]
    assert "proved for γ 4, 8, 16" in lines[-8].finding
    assert "of the same models" in lines[-2].finding
    assert lines[-1].finding == "all layers of the 8 files loaded were put on CPU"
    assert executor.open_workers == 0


def test_a_mac_is_examined_with_its_gpu_limit(designed, family):
    executor = Executor(layers={"MTL0": 25})
    wiring = wiring_of(family, executor, machine=MAC, engine=METAL_BUILD)
    lines = run(designed, wiring, mac_source(iogpu__wired_limit_mb="1\n"))
    assert set(failed(lines)) == {"memory"}
    assert "iogpu.wired_limit_mb=" in next(line.remedy for line in lines if line.level == "fail")


def test_missing_models_are_one_line_and_nothing_is_loaded(designed):
    executor = Executor()
    lines = run(designed, wiring_of(ModelError("no file for moe-q4; fetch it"), executor))
    assert failed(lines) == ["models"]
    assert executor.opened == []


def test_a_damaged_file_is_told_before_anything_is_loaded(designed, family):
    executor = Executor()
    family.paths["draft-2b"].write_bytes(b"GGUF")
    assert failed(run(designed, wiring_of(family, executor))) == ["models"]
    assert executor.opened == []


def test_a_draft_of_another_vocabulary_is_told_pair_by_pair(designed, tmp_path):
    executor = Executor()
    family = family_of_tiny_files(tmp_path, draft_2b=[*TOKENS[:-1], "other"])
    lines = run(designed, wiring_of(family, executor))
    assert failed(lines) == ["vocabulary", "vocabulary"]
    assert all("first difference at token 5" in line.finding for line in lines if line.level == "fail")
    assert executor.opened == []


def test_a_rollback_that_cannot_be_proved_fails_its_pair_and_no_other(designed, family):
    executor = Executor({"dense-4b": RollbackError("no strategy holds")})
    lines = run(designed, wiring_of(family, executor))
    assert failed(lines) == ["rollback"]
    assert len(executor.opened) == 6


def test_a_worker_that_dies_while_loading_is_a_failed_line(designed, family):
    executor = Executor({"moe-q8": WorkerError("the measuring process died (signal 9)")})
    assert failed(run(designed, wiring_of(family, executor))) == ["rollback"]


def test_a_missing_llama_cpp_stops_before_loading(designed, family):
    executor = Executor()
    wiring = broken_engine(wiring_of(family, executor), WorkerError("no module named llama_cpp"))
    assert failed(run(designed, wiring)) == ["llama.cpp"]
    assert executor.opened == []


def test_the_proof_leaves_a_core_to_others(designed, family):
    executor = Executor()
    run(designed, wiring_of(family, executor))
    assert executor.settings.n_threads < LINUX.performance_cores


def test_what_is_loaded_proves_every_file_for_every_gamma_asked_of_it(designed, family):
    pairs = designed.pairs
    chosen = worth_loading(pairs, family.paths)
    wanted = set().union(*(proofs_of(pair, family.paths) for pair in pairs))
    assert set().union(*(proofs_of(pair, family.paths) for pair in chosen)) == wanted
    assert len(chosen) == len(set(chosen)) < len(pairs)


def test_a_file_that_fills_two_roles_of_one_side_is_loaded_for_one_of_them(designed, family):
    family.paths["dense-9b"] = family.paths["dense-4b"]
    chosen = worth_loading(designed.pairs, family.paths)
    assert len({pair.target for pair in chosen} & {"dense-4b", "dense-9b"}) == 1


def test_what_a_file_proved_as_a_draft_says_nothing_of_it_as_a_target(family):
    family.paths["dense-0.8b"] = family.paths["draft-0.8b"]
    pairs = design(Wish(names=("all", "rollback"))).pairs
    chosen = worth_loading(pairs, family.paths)
    forced = {pair.target: pair.forced for pair in chosen if pair.forced}
    assert forced["dense-0.8b"] == forced["moe-q4"]
    assert (16, "snapshots") in forced["dense-0.8b"]


def test_a_baselines_file_that_loads_in_any_pair_is_not_loaded_again(designed, family):
    family.paths["dense-0.8b"] = family.paths["draft-0.8b"]
    assert "dense-0.8b" not in {pair.target for pair in worth_loading(designed.pairs, family.paths)}


def test_a_draft_is_proved_at_the_largest_gamma_only(family):
    (pair,) = design(Wish(names=("prompt-sweep",))).pairs
    sides = {(proof.side, proof.gamma) for proof in proofs_of(pair, family.paths)}
    assert sides == {("loads", 0), ("target", 8), ("draft", 8)}


def test_a_refused_forced_rollback_is_told_with_what_else_was_proved(family):
    wish = Wish(names=("rollback",))
    executor = Executor(unproved={"dense-4b": ("dense-4b.gguf: checkpoint: no room",)})
    wiring = wiring_of(family, executor)
    lines = list(examine(wish, work_of(wish, wiring), wiring, linux_source()))
    assert [line.finding for line in lines if line.level == "fail"] == [
        "dense-4b: dense-4b.gguf: checkpoint: no room"
    ]
    assert "moe-q4: proved for γ 4, 8, 16, also by checkpoint, snapshots" in {line.finding for line in lines}


def test_what_was_not_examined_after_a_failure_is_told(designed, family):
    wiring = wiring_of(family, Executor(), state=_with(HEALTHY, thermal_level="critical"))
    last = run(designed, wiring)[-1]
    assert (last.check, last.level) == ("rollback", "warn")
    assert last.finding.startswith("not examined")


class TestOffload:
    def lines(self, designed, family, layers, machine=MAC):
        build = METAL_BUILD if machine is MAC else CPU_BUILD
        source = mac_source() if machine is MAC else linux_source()
        lines = run(designed, wiring_of(family, Executor(layers=layers), machine=machine, engine=build), source)
        return [line for line in lines if line.check == "offload"]

    def test_a_mac_whose_layers_all_went_to_metal_is_sound(self, designed, family):
        (line,) = self.lines(designed, family, {"MTL0": 41})
        assert (line.level, line.finding) == ("ok", "all layers of the 8 files loaded were put on MTL0")

    def test_a_mac_whose_layers_stay_on_the_processor_makes_a_study_worthless(self, designed, family):
        lines = self.lines(designed, family, {"CPU": 31, "MTL0": 10})
        assert {line.level for line in lines} == {"fail"}
        assert lines[0].finding.endswith(".gguf: 31 of 41 layers stay on the processor")
        assert len(lines) == 8

    def test_elsewhere_the_processor_is_where_layers_may_be(self, designed, family):
        (line,) = self.lines(designed, family, {"CPU": 41}, LINUX)
        assert (line.level, line.finding) == ("ok", "all layers of the 8 files loaded were put on CPU")

    def test_a_log_that_does_not_say_is_not_taken_for_an_answer(self, designed, family):
        assert {line.level for line in self.lines(designed, family, {})} == {"warn"}


class TestExperiments:
    def lines(self, family, name):
        wish = Wish(names=(name,))
        wiring = wiring_of(family, executor := Executor())
        return list(examine(wish, work_of(wish, wiring), wiring, linux_source())), executor

    def test_a_grid_is_examined_and_what_only_its_points_can_tell_is_named(self, family, tmp_path):
        moe = write_tiny(tmp_path / "moe-64.gguf")
        many = SimpleNamespace(
            name="synthetic",
            reason="asked for",
            paths={**family.paths, "moe-64": moe, "draft-tiny": family.paths["draft-0.8b"]},
            facts={"moe-64": SimpleNamespace(n_experts=64)},
        )
        lines, executor = self.lines(many, "moesd-grid")
        assert {line.level for line in lines} == {"ok"}
        assert [(str(pair), pair.gammas) for pair in executor.opened] == [("moe-64 + draft-tiny", (0, 2, 4))]
        told = [line.finding for line in lines if line.check == "memory"]
        assert any("not in this estimate" in finding for finding in told)

    def test_a_target_with_too_few_experts_fails(self, family):
        facts = {"moe-64": SimpleNamespace(n_experts=16, file="moe-64.gguf")}
        few = SimpleNamespace(name="synthetic", reason="", paths=family.paths, facts=facts)
        lines, executor = self.lines(few, "moesd-grid")
        assert failed(lines) == ["models"]
        assert executor.opened == []

    def test_routing_loads_its_targets_and_says_who_proves_the_draft(self, family):
        many = SimpleNamespace(
            name="qwen3.5", reason="", paths={**family.paths, "moe-64": family.paths["moe-q4"]}, facts={}
        )
        lines, executor = self.lines(many, "routing")
        assert {line.level for line in lines} == {"ok"}
        assert [pair.target for pair in executor.opened] == ["moe-q4", "moe-q8"]
        assert "each text proves the draft's" in str(lines)


@pytest.mark.usefixtures("own_lock")
class TestCommand:
    def doctor(self, wiring, *arguments):
        return CliRunner().invoke(cli, ["doctor", *arguments], obj=wiring)

    def test_exits_with_zero_when_a_study_is_worth_running(self, family):
        shown = self.doctor(wiring_of(family, Executor()))
        assert shown.exit_code == 0, shown.output
        assert "ok    rollback        moe-q4 + draft-0.8b: proved for γ 4, 8, 16" in shown.stdout

    def test_exits_with_one_and_the_remedy_when_it_would_be_worthless(self, family):
        hot = wiring_of(family, Executor(), state=_with(HEALTHY, thermal_level="critical"))
        shown = self.doctor(hot)
        assert shown.exit_code == 1
        assert "fail  heat            critical: clocks are already lowered\n" in shown.stdout
        assert "→ let the machine cool down" in shown.stdout

    def test_warnings_alone_do_not_make_it_worthless(self, family):
        shown = self.doctor(wiring_of(family, Executor(), state=_with(HEALTHY, power_source="battery")))
        assert shown.exit_code == 0
        assert "warn  power source    battery" in shown.stdout

    def test_prints_the_same_for_programs(self, family):
        shown = self.doctor(wiring_of(family, Executor({"moe-q4": RollbackError("none holds")})), "--json")
        told = json.loads(shown.stdout)
        assert (shown.exit_code, told["worthless"]) == (1, True)
        assert [line["check"] for line in told["lines"] if line["level"] == "fail"] == ["rollback"]
        assert all(set(line) == {"check", "level", "finding", "remedy"} for line in told["lines"])

    def test_examines_only_what_the_named_suites_need(self, family):
        executor = Executor()
        self.doctor(wiring_of(family, executor), "dense-baseline")
        assert [str(pair) for pair in executor.opened] == ["dense-0.8b", "dense-2b", "dense-4b", "dense-9b"]

    def test_while_a_study_runs_it_says_so_and_touches_nothing(self, family):
        executor = Executor()
        measured = []
        wiring = replace(wiring_of(family, executor), machine_facts=lambda: measured.append("bandwidth"))
        with hold(machine_lock_path(), "for a test"):
            shown = self.doctor(wiring, "--json")
        assert isinstance(shown.exception, StoreError)
        assert str(shown.exception).startswith("a study is running on this machine (process ")
        assert (executor.opened, measured, shown.stdout) == ([], [], "")

    def test_a_study_cannot_start_beside_it(self, family):
        class Watching(Executor):
            def open(self, pair):
                with pytest.raises(StoreError), hold(machine_lock_path(), "for a test"):
                    pass
                return super().open(pair)

        assert self.doctor(wiring_of(family, executor := Watching())).exit_code == 0
        assert executor.opened

    def test_refuses_a_suite_that_does_not_exist(self, family):
        shown = self.doctor(wiring_of(family, Executor()), "nope")
        assert "no suite 'nope'" in str(shown.exception)


def _with(state, **fields):
    import msgspec

    return msgspec.structs.replace(state, **fields)
