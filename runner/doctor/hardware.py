"""Checks of what stays: chip, bandwidth, clock, disk, whether sleep can be held off."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from runner.doctor.line import Line, fail, ok, warn
from runner.machine.awake import inhibitor
from runner.machine.chips import chip_table
from runner.record import MachineFacts
from runner.units import scaled

SLOW_SHARE = 0.25
"""Processor threads reach a third of an Ultra's bandwidth; below a quarter something is wrong."""
COARSE_CLOCK_S = 1e-6
LITTLE_DISK_BYTES = 500 * 10**6


def hardware_lines(machine: MachineFacts, results: Path) -> list[Line]:
    """Chip, bandwidth, clock, room for results, sleep."""
    return [_chip(machine), _bandwidth(machine), _clock(), _disk(results), _sleep(machine)]


def _chip(machine: MachineFacts) -> Line:
    cores = f"{machine.physical_cores or '?'} cores"
    fast = machine.performance_cores
    if fast is not None and fast != machine.physical_cores:
        cores += f", {fast} of them fast"
    gpu = f", {machine.gpu_cores} GPU cores" if machine.gpu_cores else ""
    memory = f", {scaled(machine.memory_bytes, 'B')} memory" if machine.memory_bytes else ""
    return ok("machine", f"{machine.chip or 'unknown chip'}, {cores}{gpu}{memory}, {machine.system}")


def _bandwidth(machine: MachineFacts) -> Line:
    measured, nominal = machine.measured_bandwidth_bytes_per_s, machine.nominal_bandwidth_bytes_per_s
    if measured is None:
        return warn("bandwidth", "cannot be measured", "close other programs: half a GB of free memory is enough")
    told = f"{scaled(measured, 'B/s')} copied by the processor"
    if nominal is None:
        return ok("bandwidth", f"{told}; no nominal figure is known for this chip")
    table = chip_table()
    low, high = nominal * table.attainable_share_low, nominal * table.attainable_share_high
    told += f", {scaled(nominal, 'B/s')} nominal ({scaled(low, 'B/s')} to {scaled(high, 'B/s')} attainable)"
    if measured < SLOW_SHARE * nominal:
        return warn(
            "bandwidth", told, "something else uses the memory, or the machine is throttled: wait, look again"
        )
    return ok("bandwidth", told)


def _clock() -> Line:
    resolution_s = time.get_clock_info("monotonic").resolution
    if resolution_s > COARSE_CLOCK_S:
        return warn("clock", f"ticks every {resolution_s * 1e6:.0f} µs", "mistrust steps shorter than 1000 ticks")
    return ok("clock", f"monotonic, ticks every {resolution_s * 1e9:.0f} ns")


def _disk(results: Path) -> Line:
    existing = next(folder for folder in (results.absolute(), *results.absolute().parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    if free < LITTLE_DISK_BYTES:
        return fail(
            "disk", f"{scaled(free, 'B')} free for results", "free some space, or give --out another disk"
        )
    return ok("disk", f"{scaled(free, 'B')} free for results")


def _sleep(machine: MachineFacts) -> Line:
    if inhibitor() is not None:
        return ok("sleep", "held off while a study runs")
    if machine.system.startswith("macOS"):
        return warn("sleep", "caffeinate is missing", "keep the machine from sleeping by hand during a study")
    return ok("sleep", "nothing here to hold it off with; servers do not sleep")
