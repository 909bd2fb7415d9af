"""The whole examination: what is loaded, what stops it, what it prints, and with which exit status."""

import json

import pytest
from click.testing import CliRunner

from runner.cli import cli
from runner.compose import Wish, design
from runner.doctor import examine as examining
from runner.doctor.examine import examine, pairs_of, worth_loading
from runner.errors import ModelError, RollbackError, WorkerError
from tests.doctor.world import (
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
from tests.models.tiny_gguf import TOKENS

WISH = Wish(names=("all",))


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    monkeypatch.setattr(examining, "other_load", list)


@pytest.fixture(scope="module")
def designed():
    return design(WISH)


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
    assert "proved for γ 4, 8, 16" in lines[-7].finding
    assert "of the same models" in lines[-1].finding


def test_a_mac_is_examined_with_its_gpu_limit(designed, family):
    wiring = wiring_of(family, Executor(), machine=MAC, engine=METAL_BUILD)
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
    pairs = pairs_of(designed.steps)
    chosen = worth_loading(pairs, family.paths)
    wanted = set().union(*(examining._proofs(pair, family.paths) for pair in pairs))
    assert set().union(*(examining._proofs(pair, family.paths) for pair in chosen)) == wanted
    assert len(chosen) == len(set(chosen)) < len(pairs)


def test_a_file_that_fills_two_roles_is_loaded_for_one_of_them(designed, family):
    family.paths["dense-0.8b"] = family.paths["draft-0.8b"]
    chosen = worth_loading(pairs_of(designed.steps), family.paths)
    assert "dense-0.8b" not in {pair.target for pair in chosen}


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

    def test_refuses_a_suite_that_does_not_exist(self, family):
        shown = self.doctor(wiring_of(family, Executor()), "nope")
        assert "no suite 'nope'" in str(shown.exception)


def _with(state, **fields):
    import msgspec

    return msgspec.structs.replace(state, **fields)
