"""Energy is measured around the decode loop and nowhere else, and a meter that fails costs nothing."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.clock import PausableClock
from runner.decode import NoDraft, generate
from runner.machine import energy_mac
from runner.machine.energy import EnergyWindow, energy_meter
from runner.machine.energy_linux import RaplMeter, open_rapl, zones
from runner.machine.energy_mac import FIELDS, PROBE, IoReportMeter
from runner.machine.source import SystemSource
from runner.record import Energy
from tests.machine.meters import FakeMonitor, Powercap, ScriptedMeter, extra_installed, monitor_with
from tests.machine.recorded import RecordedMac
from tests.scripted_models import HashTarget, greedy, ticking_clock


def decoded(meter, clock=None, target=None):
    """What the loop yielded under a window, and the window."""
    window = EnergyWindow(meter, clock or PausableClock())
    generation = generate(
        target or HashTarget(1), NoDraft(), [0, 1], gamma=0, n_predict=5, clock=ticking_clock(), watch=window
    )
    return generation, window


def mac_with(chip="Apple M2 Max"):
    """A Mac on which the extra was tried in a process of its own and lived."""
    mac = RecordedMac()
    mac.set_sysctl("machdep.cpu.brand_string", f"{chip}\n")
    mac.commands[sys.executable, "-c", PROBE] = ""
    return mac


class TestWindow:
    def test_the_energy_is_that_between_begin_and_end(self):
        meter = ScriptedMeter()
        _, window = decoded(meter)
        assert window.energy == meter.energy
        assert (meter.begun, meter.ended) == (1, 1)

    def test_the_prefill_lies_outside(self):
        events = []

        class Target(HashTarget):
            def begin(self, tokens):
                events.append("prefill")
                super().begin(tokens)

            def verify(self, tokens):
                events.append("verify")
                super().verify(tokens)

        class Meter(ScriptedMeter):
            def begin(self):
                events.append("begin")

            def end(self):
                events.append("end")
                return super().end()

        decoded(Meter(), target=Target(1))
        assert events == ["prefill", "begin", *["verify"] * 5, "end"]

    def test_what_the_meter_takes_is_in_no_time_of_the_run(self):
        watched, _ = decoded(ScriptedMeter())
        alone, _ = decoded(None)
        assert watched == alone

    @pytest.mark.parametrize(
        "meter",
        [
            None,
            ScriptedMeter(begin_error=RuntimeError("no subscription")),
            ScriptedMeter(end_error=PermissionError("energy_uj")),
            ScriptedMeter(begin_error=OSError(), end_error=OSError()),
            ScriptedMeter(Energy()),
        ],
        ids=["no meter", "fails to begin", "fails to end", "fails throughout", "sees nothing"],
    )
    def test_without_a_reading_there_is_no_energy_and_the_run_is_what_it_was(self, meter):
        generation, window = decoded(meter)
        assert window.energy is None
        assert generation.tokens == greedy(1, [0, 1], 5)

    def test_a_meter_that_could_not_begin_is_not_ended(self):
        meter = ScriptedMeter(begin_error=RuntimeError())
        decoded(meter)
        assert meter.ended == 0

    def test_an_error_of_the_loop_passes_through_and_leaves_the_meter_closed(self):
        meter = ScriptedMeter()
        with pytest.raises(ZeroDivisionError), EnergyWindow(meter, PausableClock()) as window:
            raise ZeroDivisionError
        assert (meter.ended, window.energy) == (1, None)

    def test_a_loop_whose_clock_was_stopped_did_untimed_work_and_has_no_energy(self):
        clock = PausableClock()
        with EnergyWindow(ScriptedMeter(), clock) as window, clock.paused():
            clock()
        assert window.energy is None

    def test_a_pause_before_the_loop_spoils_nothing(self):
        clock = PausableClock()
        with clock.paused():
            clock()
        with EnergyWindow(ScriptedMeter(), clock) as window:
            pass
        assert window.energy is not None

    def test_a_counter_that_ran_backwards_spoils_the_run_for_it_would_shrink_the_sum_of_all(self):
        _, window = decoded(ScriptedMeter(Energy(cpu_mj=-7.0, gpu_mj=300.0)))
        assert window.energy is None


class TestMac:
    def test_each_component_comes_under_its_own_name_in_millijoules(self):
        meter = IoReportMeter(FakeMonitor())
        meter.begin()
        assert meter.end() == Energy(cpu_mj=11, gpu_mj=22, gpu_sram_mj=3, dram_mj=4, ane_mj=0)

    @pytest.mark.parametrize("ours", FIELDS)
    def test_a_component_that_the_chip_does_not_count_is_missing_alone(self, ours):
        meter = IoReportMeter(monitor_with(**{theirs: 5 for theirs in FIELDS.values() if theirs != FIELDS[ours]}))
        meter.begin()
        found = meter.end()
        assert [name for name in FIELDS if getattr(found, name) is None] == [ours]

    def test_a_window_that_was_never_closed_does_not_stop_the_next(self):
        meter = IoReportMeter(FakeMonitor())
        meter.begin()
        meter.begin()
        assert meter.end().gpu_mj == 22

    def test_a_mac_with_the_extra_has_a_meter(self, monkeypatch):
        extra_installed(monkeypatch)
        meter = energy_meter(mac_with(), system="Darwin")
        _, window = decoded(meter)
        assert window.energy == Energy(cpu_mj=11, gpu_mj=22, gpu_sram_mj=3, dram_mj=4, ane_mj=0)

    def test_an_ultras_cpu_would_be_that_of_one_die_and_is_left_out(self, monkeypatch):
        extra_installed(monkeypatch)
        _, window = decoded(energy_meter(mac_with("Apple M2 Ultra"), system="Darwin"))
        assert window.energy == Energy(gpu_mj=22, gpu_sram_mj=3, dram_mj=4, ane_mj=0)

    def test_a_mac_without_the_extra_has_none_and_starts_nothing(self, monkeypatch):
        monkeypatch.setattr(energy_mac, "installed", lambda: False)
        assert energy_meter(mac_with(), system="Darwin") is None

    def test_an_extra_that_kills_its_process_is_never_loaded_into_ours(self, monkeypatch):
        def refuse():
            raise AssertionError("loaded")

        extra_installed(monkeypatch, refuse)
        mac = mac_with()
        del mac.commands[sys.executable, "-c", PROBE]
        assert energy_meter(mac, system="Darwin") is None

    def test_an_extra_that_cannot_subscribe_is_no_meter(self, monkeypatch):
        def refuse():
            raise RuntimeError("Failed to create IOReport subscription.")

        extra_installed(monkeypatch, refuse)
        assert energy_meter(mac_with(), system="Darwin") is None

    def test_the_trial_is_a_program_that_calls_the_monitor_as_we_do(self, tmp_path):
        (tmp_path / f"{energy_mac.MODULE}.py").write_text(
            "class AppleEnergyMonitor:\n"
            "    def begin_window(self, key, restart=False): print('begin', key)\n"
            "    def end_window(self, key): print('end', key)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", PROBE], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert done.stdout.split() == ["begin", "probe", "end", "probe"]


class TestLinux:
    def test_packages_and_their_memory_are_summed(self):
        cap = Powercap({
            "0": ("package-0", [0, 1_000_000, 3_500_000]), "0:0": ("core", []),
            "0:1": ("dram", [0, 5_000, 25_000]),
            "1": ("package-1", [0, 2_000_000, 2_250_000]), "1:0": ("dram", [0, 0, 1_000]),
        })  # fmt: skip
        _, window = decoded(energy_meter(cap, system="Linux"))
        assert window.energy == Energy(cpu_mj=2750.0, dram_mj=21.0)

    def test_parts_of_a_package_and_the_whole_platform_are_not_counted_twice(self):
        cap = Powercap({
            "0": ("psys", []), "1": ("package-0", []), "1:0": ("core", []), "1:1": ("uncore", []),
            "1:2": ("dram", []),
        })  # fmt: skip
        assert [(zone.path[-3:], zone.kind) for zone in zones(cap)] == [("l:1", "package"), ("1:2", "dram")]

    def test_a_processor_without_a_memory_counter_tells_of_itself_alone(self):
        cap = Powercap({"0": ("package-0", [0, 1000, 4000])})
        _, window = decoded(energy_meter(cap, system="Linux"))
        assert window.energy == Energy(cpu_mj=3.0)

    @given(st.integers(1, 10**12), st.data())
    def test_a_counter_that_starts_again_from_0_loses_nothing(self, range_uj, data):
        begun = data.draw(st.integers(0, range_uj - 1))
        spent = data.draw(st.integers(0, range_uj - 1))
        cap = Powercap({"0": ("package-0", [begun, (begun + spent) % range_uj])}, range_uj)
        meter = RaplMeter(cap, list(zones(cap)))
        meter.begin()
        assert meter.end().cpu_mj == pytest.approx(spent / 1000)

    def test_counters_for_root_alone_are_no_meter(self):
        cap = Powercap({"0": ("package-0", [])})
        cap.readable = False
        assert energy_meter(cap, system="Linux") is None
        with pytest.raises(PermissionError):
            open_rapl(cap)

    def test_a_machine_without_counters_has_no_meter(self):
        assert energy_meter(Powercap({}), system="Linux") is None


def test_this_machine_has_a_working_meter_or_none():
    meter = energy_meter(SystemSource())
    _, window = decoded(meter)
    assert meter is not None or window.energy is None
