"""The doctor says whether energy will be measured and how to get it, and never makes a fault of it."""

import sys

import msgspec
import pytest

from runner.doctor import energy as module
from runner.doctor.energy import energy_line
from runner.machine.energy_mac import PROBE
from tests.doctor.world import LINUX, MAC, linux_source, mac_source
from tests.machine.meters import Powercap, extra_installed, monitor_with


@pytest.fixture
def mac():
    source = mac_source()
    source.commands[sys.executable, "-c", PROBE] = ""
    return source


def test_a_mac_without_the_extra_is_told_how_to_get_it(monkeypatch):
    monkeypatch.setattr(module, "installed", lambda: False)
    line = energy_line(MAC, mac_source())
    assert (line.level, line.remedy) == ("ok", None)
    assert line.finding == "not measured: pip install -e '.[energy]' in the checkout adds it"


def test_a_mac_with_the_extra_is_told_what_is_counted(mac, monkeypatch):
    extra_installed(monkeypatch)
    line = energy_line(MAC, mac)
    assert line.level == "ok"
    assert line.finding == "measured in every run: CPU, GPU, GPU SRAM, DRAM, ANE"


def test_a_chip_that_counts_less_is_told_so(mac, monkeypatch):
    extra_installed(monkeypatch, lambda: monitor_with(gpu_mj=7))
    assert energy_line(MAC, mac).finding == "measured in every run: GPU"


@pytest.mark.parametrize("monitor", [monitor_with, lambda: 1 / 0], ids=["sees nothing", "raises"])
def test_an_extra_that_does_not_work_here_is_not_said_to_be_missing(mac, monkeypatch, monitor):
    extra_installed(monkeypatch, monitor)
    line = energy_line(MAC, mac)
    assert (line.level, line.finding) == (
        "ok", "not measured: zeus-apple-silicon is installed and does not work here",
    )  # fmt: skip


@pytest.mark.parametrize("machine", [LINUX, msgspec.structs.replace(MAC, architecture="x86_64", chip="Intel")])
def test_other_machines_are_not_told_to_install_what_they_cannot(machine):
    line = energy_line(machine, linux_source())
    assert (line.level, line.finding) == ("ok", "not measured: there is no counter here that this user may read")


def test_root_on_linux_is_told_what_is_counted():
    cap = Powercap({"0": ("package-0", [0, 0, 9000]), "0:0": ("dram", [0, 0, 100])})
    assert energy_line(LINUX, cap).finding == "measured in every run: CPU, DRAM"


def test_the_extra_that_is_named_exists():
    import tomllib
    from pathlib import Path

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (requirement,) = project["optional-dependencies"]["energy"]
    assert requirement.startswith("zeus-apple-silicon>=1.1")
    assert "darwin" in requirement
    assert module.INSTALL.endswith("'.[energy]'")
