"""Sleep is held off exactly as long as the study runs; a machine that cannot do so measures all the same."""

import os
import shutil
import subprocess
import sys

import pytest

from runner.machine import awake
from runner.machine.awake import inhibitor, kept_awake

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]


def test_a_mac_is_kept_awake_by_caffeinate_bound_to_this_process(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    assert inhibitor("darwin") == ["caffeinate", "-i", "-m", "-s", "-w", str(os.getpid())]


@pytest.mark.parametrize("system", ["darwin", "linux", "win32"])
def test_without_such_a_command_nothing_is_tried(monkeypatch, system):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert inhibitor(system) is None


def test_the_command_runs_within_the_block_and_ends_with_it():
    started = []

    def start(argv):
        started.append(subprocess.Popen(argv))
        return started[0]

    with kept_awake(SLEEPER, start) as held:
        assert held
        assert started[0].poll() is None
    assert started[0].poll() is not None


def test_it_ends_also_when_the_study_fails():
    started = []

    def start(argv):
        started.append(subprocess.Popen(argv))
        return started[0]

    with pytest.raises(ValueError, match="study"), kept_awake(SLEEPER, start):
        raise ValueError("study")
    assert started[0].poll() is not None


def test_a_command_that_is_missing_is_no_reason_to_stop():
    with kept_awake(["specstudy-no-such-command"]) as held:
        assert not held


def test_no_command_means_not_held(monkeypatch):
    monkeypatch.setattr(awake, "inhibitor", lambda: None)
    with kept_awake() as held:
        assert not held
