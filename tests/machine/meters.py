"""Energy meters that follow a script, and the monitor of zeus-apple-silicon 1.1.0 as far as it is called."""

from __future__ import annotations

from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace

from runner.machine.energy_mac import FIELDS, MODULE
from runner.record import Energy


class ScriptedMeter:
    """Yields the same energy for every window; counts windows, and fails where told to."""

    def __init__(self, energy=None, *, begin_error=None, end_error=None):
        self.energy = energy or Energy(cpu_mj=100.0, gpu_mj=300.0)
        self.begin_error, self.end_error = begin_error, end_error
        self.begun = self.ended = 0

    def begin(self):
        self.begun += 1
        if self.begin_error:
            raise self.begin_error

    def end(self):
        self.ended += 1
        if self.end_error:
            raise self.end_error
        return self.energy


class FakeMonitor:
    """Keeps to the rules of the real one: a label is open once, and only an open one can be closed."""

    def __init__(self):
        self.open = set()
        self.metrics = {"cpu_total_mj": 11, "gpu_mj": 22, "gpu_sram_mj": 3, "dram_mj": 4, "ane_mj": 0}

    def begin_window(self, key, restart=False):
        if key in self.open and not restart:
            raise RuntimeError("Measurement with specified key already exists.")
        self.open.add(key)

    def end_window(self, key):
        if key not in self.open:
            raise RuntimeError("No measurement with provided key had been started.")
        self.open.remove(key)
        return SimpleNamespace(**self.metrics)


def monitor_with(**metrics):
    """A monitor with these figures, the other fields None as on a chip without such channels."""
    monitor = FakeMonitor()
    monitor.metrics = dict.fromkeys(FIELDS.values()) | metrics
    return monitor


def extra_installed(monkeypatch, monitor=FakeMonitor):
    """The extra, as a module that `import` finds."""
    module = ModuleType(MODULE)
    module.__spec__ = ModuleSpec(MODULE, None)
    module.AppleEnergyMonitor = monitor
    monkeypatch.setitem(__import__("sys").modules, MODULE, module)


class Powercap:
    """Counters under /sys/class/powercap: `zones` maps `0` or `0:2` to a name and its readings in microjoules."""

    def __init__(self, zones, range_uj=262_143_328_850):
        self.zones = {key: (name, list(readings)) for key, (name, readings) in zones.items()}
        self.range_uj = range_uj
        self.readable = True

    def read(self, path):
        zone, _, file = path.removeprefix("/sys/class/powercap/intel-rapl:").partition("/")
        if zone not in self.zones:
            raise FileNotFoundError(path)
        name, readings = self.zones[zone]
        if file == "energy_uj":
            if not self.readable:
                raise PermissionError(path)
            return f"{readings.pop(0)}\n"
        return {"name": f"{name}\n", "max_energy_range_uj": f"{self.range_uj}\n"}[file]
