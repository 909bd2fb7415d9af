"""Sleep is held off exactly as long as the study runs; a machine that cannot do so measures all the same."""

import os
import shutil
import subprocess
import sys

import psutil
import pytest

from runner.machine import awake
from runner.machine.awake import inhibitor, kept_awake

DEATH_S = 60
"""How long a test waits for a process to end before it fails."""
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


def test_the_command_is_in_a_session_of_its_own_so_that_ctrl_c_does_not_reach_it():
    with kept_awake(SLEEPER):
        [process] = (each for each in psutil.Process().children() if each.cmdline() == SLEEPER)
        assert os.getsid(process.pid) == process.pid != os.getsid(0)


KEPT_AWAKE_FOREVER = """
import os, subprocess, time
from runner.machine import awake
is_folder = os.path.isdir
awake.os.path.isdir = lambda path: path == "/run/systemd/system" or is_folder(path)
def start(argv):
    process = awake._start(argv)
    print(process.pid, flush=True)
    return process
with awake.kept_awake(awake.inhibitor("linux"), start):
    time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="`tail --pid` is GNU's")
def test_on_linux_it_ends_also_when_the_study_is_killed(tmp_path):
    fake = tmp_path / "systemd-inhibit"
    fake.write_text('#!/bin/sh\nshift 3\nexec "$@"\n')
    fake.chmod(0o755)
    command = [sys.executable, "-c", KEPT_AWAKE_FOREVER]
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PATH": path}) as study:
        held = psutil.Process(int(study.stdout.readline()))
        assert held.is_running()
        study.kill()
    _, alive = psutil.wait_procs([held], timeout=DEATH_S)
    assert not alive or held.status() == psutil.STATUS_ZOMBIE, "only whoever adopted it has to notice"
