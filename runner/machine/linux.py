"""Probes of Linux, from /proc, /sys and psutil; on any other system those of them that psutil answers."""

from __future__ import annotations

import os
import platform
import re

import psutil

from runner.machine.source import (
    THERMAL_LEVELS,
    MemoryPressure,
    PowerSource,
    Source,
    ThermalLevel,
    attempt,
)

STALLED_PERCENT = 10.0
"""Share of time that tasks wait for memory (PSI, averaged over 10 s) from which a measurement is disturbed."""


class LinuxProbes:
    """One method a fact; each raises when the system does not tell."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def system_name(self) -> str:
        """The kernel and its version."""
        return f"{platform.system()} {platform.release()}"

    def chip(self) -> str:
        """The processor's name as the kernel tells it."""
        found = re.search(
            r"^(?:model name|Model|Hardware)\s*:\s*(.+)$", self.source.read("/proc/cpuinfo"), re.MULTILINE
        )
        if found is None:
            raise ValueError("/proc/cpuinfo names no model")
        return found[1].strip()

    def physical_cores(self) -> int:
        """Cores of all kinds, as far as this process may use them."""
        physical = psutil.cpu_count(logical=False)
        if physical is None:
            raise ValueError("the number of cores is unknown")
        return min(physical, self.logical_cores())

    def performance_cores(self) -> int:
        """Cores of the fastest kind; all of them where the kernel knows of only one kind."""
        atoms = attempt(lambda: self.source.read("/sys/devices/cpu_atom/cpus"))
        return self.physical_cores() - (len(_cpu_list(atoms)) if atoms else 0)

    def logical_cores(self) -> int:
        """Hardware threads this process may use."""
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

    def gpu_cores(self) -> int:
        """Only Apple states them."""
        raise NotImplementedError

    def memory_bytes(self) -> int:
        """Memory this process may use: the machine's, or the control group's limit below it."""
        limit = attempt(lambda: int(self.source.read("/sys/fs/cgroup/memory.max")))
        total = int(psutil.virtual_memory().total)
        return min(total, limit) if limit else total

    def power_source(self) -> PowerSource:
        """A machine without a battery is on the mains."""
        battery = psutil.sensors_battery()
        return "battery" if battery is not None and battery.power_plugged is False else "mains"

    def low_power_mode(self) -> bool:
        """Whether the firmware's platform profile is a saving one; fails where there is no such profile."""
        return self.source.read("/sys/firmware/acpi/platform_profile").strip() in {"low-power", "quiet"}

    def thermal_level(self) -> ThermalLevel:
        """The hottest sensor against its own limits; fails where no sensor states one."""
        levels = [
            _level(sensor.current, sensor.high, sensor.critical)
            for sensors in psutil.sensors_temperatures().values()
            for sensor in sensors
            if sensor.high or sensor.critical
        ]
        return max(levels, key=THERMAL_LEVELS.index)

    def memory_pressure(self) -> MemoryPressure:
        """From pressure stall information: some task stalls, or all of them do."""
        text = self.source.read("/proc/pressure/memory")
        shares = re.findall(r"^(some|full) avg10=([\d.]+)", text, re.MULTILINE)
        stalled = {kind: float(share) for kind, share in shares}
        if stalled["full"] >= STALLED_PERCENT:
            return "critical"
        return "warning" if stalled["some"] >= STALLED_PERCENT else "normal"

    def available_memory_bytes(self) -> int:
        """Memory to be had without swapping, within the control group's limit."""
        return min(int(psutil.virtual_memory().available), self.memory_bytes())

    def cpu_frequency_mhz(self) -> float:
        """Mean over the cores, at this moment."""
        return float(psutil.cpu_freq().current)


def _level(current: float, high: float | None, critical: float | None) -> ThermalLevel:
    if critical and current >= critical:
        return "critical"
    return "serious" if high and current >= high else "nominal"


def _cpu_list(text: str) -> list[int]:
    """`0-3,8` as the kernel writes lists of CPUs."""
    cpus: list[int] = []
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        cpus.extend(range(int(first), int(last or first) + 1))
    return cpus
