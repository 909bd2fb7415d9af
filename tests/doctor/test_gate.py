"""A study that would be worthless does not start; one that would be worth less says so and starts."""

from dataclasses import replace

import msgspec
import pytest
from click.testing import CliRunner

from runner.cli import cli
from runner.compose import Wish, design
from runner.doctor import examine as examining
from runner.doctor.gate import before_study, refuse_worthless
from runner.doctor.line import fail, ok, warn
from runner.doctor.state import Busy
from runner.errors import UsageError
from runner.paths import CACHE_VARIABLE
from runner.wiring import DESPITE_DOCTOR, real_wiring
from tests.doctor.test_single_checks import SETTINGS
from tests.doctor.world import (
    CPU_BUILD,
    HEALTHY,
    LINUX,
    Executor,
    family_of_tiny_files,
    linux_source,
    wiring_of,
)


def look(tmp_path, monkeypatch, **state):
    monkeypatch.setattr(examining, "other_load", list)
    executor = Executor()
    family = family_of_tiny_files(tmp_path)
    wiring = wiring_of(family, executor, state=msgspec.structs.replace(HEALTHY, **state))
    lines = before_study(
        design(Wish(names=("dense-sd",))).pairs,
        family,
        settings=SETTINGS,
        machine=LINUX,
        state=wiring.machine_state(),
        engine=CPU_BUILD,
        check_pair=wiring.check_pair,
        out=tmp_path,
        source=linux_source(),
    )
    assert executor.opened == []
    return lines


def test_a_sound_machine_passes_without_a_word(tmp_path, monkeypatch):
    assert refuse_worthless(look(tmp_path, monkeypatch), "--despite-doctor") == []


def test_warnings_come_back_to_be_shown(tmp_path, monkeypatch):
    (line,) = refuse_worthless(look(tmp_path, monkeypatch, power_source="battery"), "--despite-doctor")
    assert line.check == "power source"


def test_a_failure_stops_the_study_and_names_the_way_around(tmp_path, monkeypatch):
    lines = look(tmp_path, monkeypatch, thermal_level="serious")
    with pytest.raises(UsageError, match=r"heat: serious.*\(let the machine cool down.*\).*--despite-doctor"):
        refuse_worthless(lines, "--despite-doctor")


def test_all_failures_are_told_at_once():
    lines = [fail("a", "one", "do this"), ok("b", "fine"), warn("c", "so", "-"), fail("d", "two", "do that")]
    with pytest.raises(UsageError, match=r"worthless now: a: one \(do this\); d: two \(do that\)\. To start"):
        refuse_worthless(lines, "--go")


class TestInFrontOfAStudy:
    @pytest.fixture(autouse=True)
    def own_cache(self, tmp_path, monkeypatch):
        monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))

    def suite(self, tmp_path, examine, *arguments):
        executor = Executor()
        wiring = replace(wiring_of(family_of_tiny_files(tmp_path / "models"), executor), examine=examine)
        words = ["suite", "dense-sd", "--repeats", "1", "--out", str(tmp_path / "study"), *arguments]
        return CliRunner().invoke(cli, words, obj=wiring), executor

    def test_a_worthless_study_is_refused_with_nothing_written_or_loaded(self, tmp_path):
        shown, executor = self.suite(tmp_path, _worthless)
        assert "worthless now" in str(shown.exception)
        assert executor.opened == []
        assert not (tmp_path / "study").exists()

    def test_the_option_starts_it_all_the_same(self, tmp_path):
        shown, executor = self.suite(tmp_path, _worthless, DESPITE_DOCTOR)
        assert executor.opened
        assert (tmp_path / "study" / "manifest.json").exists()
        assert shown.exit_code == 1

    def test_warnings_are_shown_and_do_not_stop_it(self, tmp_path):
        shown, executor = self.suite(tmp_path, lambda *pairs, **facts: ["power source: battery"])
        assert "doctor: power source: battery" in shown.stderr
        assert executor.opened

    def test_the_real_gate_is_wired_to_this_machine(self, tmp_path, monkeypatch):
        monkeypatch.setattr(examining, "other_load", lambda: [Busy("render", 3.0)])
        family = family_of_tiny_files(tmp_path)
        pairs = design(Wish(names=("dense-sd",))).pairs
        warnings = real_wiring().examine(
            pairs, family, settings=SETTINGS, machine=LINUX, engine=CPU_BUILD, out=tmp_path
        )
        assert any(warning.startswith("other processes: busy: render 300%") for warning in warnings)


def _worthless(*pairs, **facts):
    raise UsageError("a study would be worthless now: heat")
