"""Says whether energy will be measured. A study is worth as much without it, so this line is always `ok`."""

from __future__ import annotations

import msgspec

from runner.clock import PausableClock
from runner.doctor.engine import is_apple_silicon
from runner.doctor.line import Line, ok
from runner.machine.energy import EnergyWindow, energy_meter
from runner.machine.energy_mac import installed
from runner.machine.source import Source
from runner.record import Energy, MachineFacts

INSTALL = "pip install -e '.[energy]'"


def energy_line(machine: MachineFacts, source: Source) -> Line:
    """Which counters this machine has, or why it has none."""
    system = "Darwin" if machine.system.startswith("macOS") else "Linux"
    with EnergyWindow(energy_meter(source, system), PausableClock()) as window:
        pass
    if window.energy is not None:
        return ok("energy", f"measured in every run: {_counters(window.energy)}")
    return ok("energy", f"not measured: {_why(machine)}")


def _counters(energy: Energy) -> str:
    counted = [name for name, mj in msgspec.structs.asdict(energy).items() if mj is not None]
    return ", ".join(name.removesuffix("_mj").replace("_", " ").upper() for name in counted)


def _why(machine: MachineFacts) -> str:
    if not is_apple_silicon(machine):
        return "there is no counter here that this user may read"
    if installed():
        return "zeus-apple-silicon is installed and does not work here"
    return f"{INSTALL} in the checkout adds it"
