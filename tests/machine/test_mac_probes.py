"""What a Mac prints is understood in every spelling, and one silent probe silences no other."""

import msgspec
import pytest

from runner.machine import machine_facts, machine_state
from runner.machine.darwin import MacProbes
from tests.machine.recorded import (
    BATT_BATTERY,
    BATT_DESKTOP,
    PMSET_NEW,
    PMSET_OLD,
    RecordedMac,
)


def state(mac):
    return machine_state(mac, system="Darwin")


def test_a_healthy_mac_is_told_in_full():
    found = state(RecordedMac())
    assert (found.power_source, found.low_power_mode) == ("mains", False)
    assert (found.thermal_level, found.memory_pressure) == ("nominal", "normal")
    assert found.available_memory_bytes == (20_000 + 1_000_000 + 4_000 + 500) * 16_384
    assert found.cpu_frequency_mhz is None


def test_facts_name_the_chip_its_cores_and_its_nominal_bandwidth():
    facts = machine_facts(RecordedMac(), system="Darwin")
    assert facts.chip == "Apple M2 Max"
    assert (facts.physical_cores, facts.performance_cores, facts.gpu_cores) == (12, 8, 38)
    assert facts.memory_bytes == 64 * 2**30
    assert facts.nominal_bandwidth_bytes_per_s == 400e9
    assert facts.measured_bandwidth_bytes_per_s > 1e8


@pytest.mark.parametrize("text", [PMSET_OLD, PMSET_NEW])
@pytest.mark.parametrize(("mode", "low"), [(0, False), (1, True), (2, False)])
def test_power_mode_is_read_under_both_of_its_names(text, mode, low):
    mac = RecordedMac()
    mac.commands["pmset", "-g"] = text.format(mode=mode)
    assert state(mac).low_power_mode is low


@pytest.mark.parametrize(("text", "source"), [(BATT_BATTERY, "battery"), (BATT_DESKTOP, "mains")])
def test_power_source_is_read_on_laptops_and_desktops(text, source):
    mac = RecordedMac()
    mac.commands["pmset", "-g", "batt"] = text
    assert state(mac).power_source == source


@pytest.mark.parametrize(
    ("notified", "process", "level"),
    [
        (0, 0, "nominal"),
        (1, 0, "fair"),
        (2, 1, "serious"),
        (3, 0, "critical"),
        (4, 0, "critical"),
        (0, 2, "serious"),
        (OSError("no such key"), 1, "fair"),
        (2, OSError("no Foundation"), "serious"),
        (77, 0, "nominal"),
        (0, -1, "nominal"),
        (OSError("no key"), OSError("no Foundation"), None),
    ],
)
def test_the_graver_of_both_thermal_sources_counts_and_each_stands_in_for_the_other(notified, process, level):
    assert state(RecordedMac(notified=notified, process_thermal=process)).thermal_level == level


@pytest.mark.parametrize(
    ("level", "pressure"), [("1", "normal"), ("2", "warning"), ("4", "critical"), ("9", None)]
)
def test_memory_pressure_is_the_kernels_own_level(level, pressure):
    mac = RecordedMac()
    mac.set_sysctl("kern.memorystatus_vm_pressure_level", level)
    assert state(mac).memory_pressure == pressure


def test_every_probe_that_fails_alone_leaves_the_others_working():
    whole = msgspec.structs.asdict(state(RecordedMac()))
    for argv in RecordedMac().commands:
        for broken in (None, "", "nonsense ☃\n"):
            mac = RecordedMac()
            if broken is None:
                del mac.commands[argv]
            else:
                mac.commands[argv] = broken
            found = msgspec.structs.asdict(state(mac))
            lost = {key for key in whole if found[key] is None and whole[key] is not None}
            kept = set(whole) - lost - {"load_1min"}
            assert len(lost) <= 1, (argv, broken)
            assert all(found[key] == whole[key] for key in kept)


def test_facts_survive_a_mac_that_answers_nothing():
    facts = machine_facts(RecordedMac(commands={}), system="Darwin")
    assert (facts.chip, facts.memory_bytes, facts.nominal_bandwidth_bytes_per_s) == (None, None, None)
    assert facts.measured_bandwidth_bytes_per_s > 0


@pytest.mark.parametrize(("text", "limit"), [("0", None), ("49152", 48 * 2**30)])
def test_a_wired_limit_of_zero_means_the_systems_default(text, limit):
    mac = RecordedMac()
    mac.set_sysctl("iogpu.wired_limit_mb", text)
    assert MacProbes(mac).gpu_wired_limit_bytes() == limit
