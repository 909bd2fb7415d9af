"""The real source asks the real system, and what it cannot have it says by raising, at once."""

import subprocess
import sys

import pytest

from runner.machine import source as module
from runner.machine.source import SystemSource, attempt

ON_MAC = sys.platform == "darwin"


def test_a_command_gives_what_it_prints():
    assert SystemSource().command(sys.executable, "-c", "print('12\\n', end='')") == "12\n"


@pytest.mark.parametrize("argv", [(sys.executable, "-c", "raise SystemExit(3)"), ("specstudy-no-such-command",)])
def test_a_command_that_fails_or_is_missing_raises(argv):
    with pytest.raises((subprocess.CalledProcessError, FileNotFoundError)):
        SystemSource().command(*argv)


def test_a_command_that_hangs_is_given_up(monkeypatch):
    monkeypatch.setattr(module, "COMMAND_TIMEOUT_S", 0.1)
    with pytest.raises(subprocess.TimeoutExpired):
        SystemSource().command(sys.executable, "-c", "import time; time.sleep(60)")


def test_a_file_is_read_whatever_bytes_it_holds(tmp_path):
    (tmp_path / "odd").write_bytes(b"a\xffb")
    assert SystemSource().read(str(tmp_path / "odd")) == "a\ufffdb"


def test_thermal_sources_answer_on_a_mac_and_nowhere_else():
    asked = SystemSource()
    notified = attempt(lambda: asked.notify_state("com.apple.system.thermalpressurelevel"))
    process = attempt(asked.process_thermal_state)
    if ON_MAC:
        assert notified in range(5)
        assert process in range(4)
    else:
        assert (notified, process) == (None, None)


def test_whatever_a_probe_raises_becomes_none():
    for error in (ValueError, OSError, KeyError, MemoryError, RecursionError, AssertionError):

        def probe(error=error):
            raise error

        assert attempt(probe) is None
    assert attempt(lambda: 0) == 0
