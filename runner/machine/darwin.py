"""Probes of macOS, none of which needs root. Each parses one output that can be recorded.

Traps (facts sheet "anchors", 5.2): `pmset -g therm` says "no warning" on Apple Silicon whatever happens, so the
Darwin notification and NSProcessInfo are asked instead; the power mode's key is `lowpowermode` or `powermode`.
"""

from __future__ import annotations

import platform
import re

from runner.machine.source import THERMAL_LEVELS, MemoryPressure, PowerSource, Source, ThermalLevel, attempt

THERMAL_KEY = "com.apple.system.thermalpressurelevel"
_OF_PRESSURE: dict[int, ThermalLevel] = {0: "nominal", 1: "fair", 2: "serious", 3: "critical", 4: "critical"}
"""nominal, moderate, heavy (clocks really fall), trapping, sleeping."""
_OF_VM_LEVEL: dict[int, MemoryPressure] = {1: "normal", 2: "warning", 4: "critical"}


class MacProbes:
    """One method a fact; each raises when its source does not tell."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def system_name(self) -> str:
        """macOS and its version."""
        return f"macOS {platform.mac_ver()[0]}".strip()

    def sysctl_int(self, name: str) -> int:
        """One number of sysctl."""
        return int(self.source.command("sysctl", "-n", name).strip())

    def chip(self) -> str:
        """The marketing name, as in `Apple M2 Max`."""
        name = self.source.command("sysctl", "-n", "machdep.cpu.brand_string").strip()
        if not name:
            raise ValueError("sysctl gave no chip name")
        return name

    def physical_cores(self) -> int:
        """Cores of all kinds."""
        return self.sysctl_int("hw.physicalcpu")

    def logical_cores(self) -> int:
        """As many as physical ones: Apple's have no second thread."""
        return self.sysctl_int("hw.logicalcpu")

    def memory_bytes(self) -> int:
        """Unified memory, shared with the GPU."""
        return self.sysctl_int("hw.memsize")

    def performance_cores(self) -> int:
        """Cores of the fastest kind."""
        return self.sysctl_int("hw.perflevel0.physicalcpu")

    def gpu_cores(self) -> int:
        """GPU cores, from the graphics driver's registry entry."""
        text = self.source.command("ioreg", "-r", "-d", "1", "-c", "AGXAccelerator")
        return int(_match(r'"gpu-core-count"\s*=\s*(\d+)', text))

    def gpu_wired_limit_bytes(self) -> int | None:
        """Memory the GPU may wire, when its owner has set it; None at the system's own default (0)."""
        mebibytes = self.sysctl_int("iogpu.wired_limit_mb")
        return mebibytes * 2**20 if mebibytes > 0 else None

    def power_source(self) -> PowerSource:
        """What the machine draws from; a desktop Mac says AC Power as well."""
        kind = _match(r"drawing from '([^']+)'", self.source.command("pmset", "-g", "batt"))
        return "mains" if kind == "AC Power" else "battery"

    def low_power_mode(self) -> bool:
        """Whether low power mode is on; high power (powermode 2) is not low."""
        text = self.source.command("pmset", "-g")
        return _match(r"^\s*(?:lowpowermode|powermode)\s+(\d+)", text) == "1"

    def thermal_level(self) -> ThermalLevel:
        """The graver of the Darwin notification's level and NSProcessInfo's.

        Either may say nominal while clocks have fallen, so neither clears the machine; a reference cell does.
        """
        answers = (attempt(self._notified_level), attempt(self._process_level))
        return max((level for level in answers if level), key=THERMAL_LEVELS.index)

    def memory_pressure(self) -> MemoryPressure:
        """The kernel's own level: 1 normal, 2 warning, 4 critical."""
        return _OF_VM_LEVEL[self.sysctl_int("kern.memorystatus_vm_pressure_level")]

    def available_memory_bytes(self) -> int:
        """Memory to be had without swapping: free, speculative, inactive and purgeable pages of vm_stat."""
        text = self.source.command("vm_stat")
        page_bytes = int(_match(r"page size of (\d+) bytes", text))
        names = ("Pages free", "Pages speculative", "Pages inactive", "Pages purgeable")
        return page_bytes * sum(int(_match(rf"^{name}:\s+(\d+)\.", text)) for name in names)

    def cpu_frequency_mhz(self) -> float:
        """Not to be had without root on Apple Silicon."""
        raise NotImplementedError

    def _notified_level(self) -> ThermalLevel:
        return _OF_PRESSURE[self.source.notify_state(THERMAL_KEY)]

    def _process_level(self) -> ThermalLevel:
        state = self.source.process_thermal_state()
        if not 0 <= state < len(THERMAL_LEVELS):
            raise ValueError(f"thermal state {state}")
        return THERMAL_LEVELS[state]


def _match(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.MULTILINE)
    if found is None:
        raise ValueError(f"no {pattern} in {text[:80]!r}")
    return found[1]
