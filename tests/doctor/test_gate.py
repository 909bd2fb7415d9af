"""A study that would be worthless does not start; one that would be worth less says so and starts."""

import msgspec
import pytest

from runner.compose import Wish, design
from runner.doctor import examine as examining
from runner.doctor.gate import before_study, refuse_worthless
from runner.doctor.line import fail, ok, warn
from runner.errors import UsageError
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
    steps = design(Wish(names=("dense-sd",))).steps
    lines = before_study(
        steps,
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
    lines = [fail("a", "one", "do this"), ok("b", "fine"), warn("c", "so", "perhaps"), fail("d", "two", "do that")]
    with pytest.raises(UsageError, match=r"worthless now: a: one \(do this\); d: two \(do that\)\. To start"):
        refuse_worthless(lines, "--go")
