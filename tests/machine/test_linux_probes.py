"""Linux tells its chip, pressure and heat through files, and this very machine answers sensibly."""

from types import SimpleNamespace

import psutil
import pytest

from runner.machine import linux, machine_facts, machine_state
from runner.machine.linux import LinuxProbes
from tests.machine.recorded import RecordedLinux

CPUINFO = "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Core(TM) Ultra 7 155H\n"
PRESSURE = "some avg10={some} avg60=0.00 avg300=0.00 total=1\nfull avg10={full} avg60=0.00 avg300=0.00 total=1\n"


def probes(**files):
    return LinuxProbes(RecordedLinux(dict(files)))


def test_the_chip_is_named_as_the_kernel_names_it():
    assert LinuxProbes(RecordedLinux({"/proc/cpuinfo": CPUINFO})).chip() == "Intel(R) Core(TM) Ultra 7 155H"


def test_an_unnamed_processor_is_unknown_rather_than_guessed():
    facts = machine_facts(RecordedLinux({"/proc/cpuinfo": "processor\t: 0\nBogoMIPS\t: 48.00\n"}), system="Linux")
    assert facts.chip is None
    assert facts.nominal_bandwidth_bytes_per_s is None


def test_efficiency_cores_are_not_counted_as_performance_cores(monkeypatch):
    monkeypatch.setattr(LinuxProbes, "physical_cores", lambda self: 16)
    assert LinuxProbes(RecordedLinux({"/sys/devices/cpu_atom/cpus": "6-13,20\n"})).performance_cores() == 16 - 9
    assert LinuxProbes(RecordedLinux({})).performance_cores() == 16


@pytest.mark.parametrize(
    ("some", "full", "level"),
    [("0.00", "0.00", "normal"), ("12.50", "0.30", "warning"), ("40.00", "25.10", "critical")],
)
def test_memory_pressure_is_the_share_of_time_that_tasks_stall(some, full, level):
    source = RecordedLinux({"/proc/pressure/memory": PRESSURE.format(some=some, full=full)})
    assert machine_state(source, system="Linux").memory_pressure == level


def test_a_kernel_without_pressure_files_leaves_only_that_unknown():
    found = machine_state(RecordedLinux({}), system="Linux")
    assert found.memory_pressure is None
    assert found.available_memory_bytes > 0
    assert found.power_source in {"mains", "battery"}


def test_memory_is_limited_by_the_control_group():
    limit = 2**30
    assert LinuxProbes(RecordedLinux({"/sys/fs/cgroup/memory.max": f"{limit}\n"})).memory_bytes() == limit
    assert LinuxProbes(RecordedLinux({"/sys/fs/cgroup/memory.max": "max\n"})).memory_bytes() > limit


@pytest.mark.parametrize(
    ("sensors", "level"),
    [
        ([(50, 90, 100)], "nominal"),
        ([(50, 90, 100), (91, 90, 100)], "serious"),
        ([(101, 90, 100)], "critical"),
        ([(99, None, None)], None),
        ([], None),
    ],
)
def test_heat_is_judged_by_the_sensors_own_limits(monkeypatch, sensors, level):
    readings = [SimpleNamespace(current=now, high=high, critical=critical) for now, high, critical in sensors]
    monkeypatch.setattr(psutil, "sensors_temperatures", lambda: {"chip": readings}, raising=False)
    assert machine_state(RecordedLinux({}), system="Linux").thermal_level == level


@pytest.mark.parametrize(("plugged", "source"), [(True, "mains"), (False, "battery"), (None, "mains")])
def test_only_a_battery_that_is_not_plugged_in_is_one(monkeypatch, plugged, source):
    monkeypatch.setattr(linux.psutil, "sensors_battery", lambda: SimpleNamespace(power_plugged=plugged))
    assert machine_state(RecordedLinux({}), system="Linux").power_source == source


@pytest.mark.parametrize(("profile", "low"), [("low-power\n", True), ("balanced\n", False)])
def test_the_firmwares_saving_profile_is_low_power(profile, low):
    source = RecordedLinux({"/sys/firmware/acpi/platform_profile": profile})
    assert machine_state(source, system="Linux").low_power_mode is low


def test_this_machine_tells_what_every_machine_knows():
    facts = machine_facts()
    assert facts.architecture
    assert 1 <= facts.physical_cores <= facts.logical_cores
    assert facts.memory_bytes > 2**28
    assert 1e8 < facts.measured_bandwidth_bytes_per_s < 1e13
