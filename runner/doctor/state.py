"""Checks of what can change: power, heat, memory pressure, other processes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import psutil

from runner.doctor.line import Line, fail, ok, warn
from runner.record import MachineState

WATCHED = "not to be had on this system; the reference cells of a study watch for it instead"
BUSY_SHARE = 0.25
"""Share of one core that a process may use without being named: a tenth of that disturbs nothing."""
SAMPLE_S = 0.5
_NAMED = 3


class Busy(NamedTuple):
    """A process of someone else and the share of one core it takes."""

    name: str
    share: float


def state_lines(state: MachineState) -> list[Line]:
    """Power, power mode, heat and memory pressure."""
    return [_power(state), _power_mode(state), _heat(state), _pressure(state)]


def _power(state: MachineState) -> Line:
    if state.power_source == "battery":
        return warn("power source", "battery", "plug in: macOS and laptops lower their clocks on battery")
    return ok("power source", state.power_source or WATCHED)


def _power_mode(state: MachineState) -> Line:
    if state.low_power_mode:
        remedy = "switch it off (System Settings, Battery, Low Power Mode; `platform_profile` on Linux)"
        return warn("power mode", "low power mode is on", remedy)
    return ok("power mode", WATCHED if state.low_power_mode is None else "not low")


def _heat(state: MachineState) -> Line:
    level = state.thermal_level
    if level in {"serious", "critical"}:
        return fail("heat", f"{level}: clocks are already lowered", "let the machine cool down, then start again")
    if level == "fair":
        return warn("heat", "fair: the machine is warm", "let it cool down, or give it air, before a long study")
    return ok("heat", level or WATCHED)


def _pressure(state: MachineState) -> Line:
    level = state.memory_pressure
    if level == "critical":
        return fail(
            "memory pressure", "critical: memory is being swapped", "close other programs, then start again"
        )
    if level == "warning":
        return warn("memory pressure", "warning: memory is short", "close other programs before a long study")
    return ok("memory pressure", level or WATCHED)


def other_load(sample_s: float = SAMPLE_S) -> list[Busy]:
    """Other processes and the share of one core each took during `sample_s`, busiest first."""
    mine = psutil.Process()
    own = {mine.pid, *(child.pid for child in mine.children(recursive=True))}
    others = [process for process in psutil.process_iter(["name"]) if process.pid not in own]
    before = {process.pid: _cpu_s(process) for process in others}
    psutil.cpu_percent(sample_s)
    shares = [
        Busy(process.info["name"] or "?", (_cpu_s(process) - before[process.pid]) / sample_s)
        for process in others
    ]
    return sorted(shares, key=lambda busy: -busy.share)


def load_line(busy: Iterable[Busy], load_1min: float | None) -> Line:
    """Whether others take enough of the machine to show in the numbers."""
    loud = [process for process in busy if process.share >= BUSY_SHARE]
    told = "" if load_1min is None else f" (load {load_1min:.1f})"
    if not loud:
        return ok("other processes", f"quiet{told}")
    names = ", ".join(f"{process.name} {process.share:.0%}" for process in loud[:_NAMED])
    more = f" and {len(loud) - _NAMED} more" if len(loud) > _NAMED else ""
    return warn(
        "other processes", f"busy: {names}{more} of a core{told}", "close them, or wait until they are done"
    )


def _cpu_s(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)
