"""Energy of Apple Silicon through zeus-apple-silicon, an optional extra: IOReport's "Energy Model", without root.

Written against version 1.1.0 (its README, bindings and apple_energy.hpp), where three things matter:

- it follows a null pointer where IOReport has no such group, so it is tried in a process of its own first;
- `cpu_total_mj` keeps the last channel whose name holds "CPU Energy". An Ultra has one for each die ("DIE_0_CPU
  Energy"), so its figure would be that of one die, and is left out;
- a field is None where the chip has no such channel.
"""

from __future__ import annotations

import sys
from collections.abc import Collection
from importlib import import_module
from importlib.util import find_spec
from typing import Protocol

from runner.machine.darwin import MacProbes
from runner.machine.source import Source
from runner.record import Energy

MODULE = "zeus_apple_silicon"
PROBE = f"import {MODULE}; m = {MODULE}.AppleEnergyMonitor(); m.begin_window('probe'); m.end_window('probe')"
FIELDS = {
    "cpu_mj": "cpu_total_mj",
    "gpu_mj": "gpu_mj",
    "gpu_sram_mj": "gpu_sram_mj",
    "dram_mj": "dram_mj",
    "ane_mj": "ane_mj",
}
"""Field of `Energy` -> field of `AppleEnergyMetrics`, both in millijoules."""
_LABEL = "decode loop"


class Monitor(Protocol):
    """Of `AppleEnergyMonitor`, what is called."""

    def begin_window(self, key: str, /, *, restart: bool = False) -> None: ...

    def end_window(self, key: str, /) -> object: ...


class IoReportMeter:
    """Millijoules by component between `begin` and `end`; fields named in `unsound` are left out."""

    def __init__(self, monitor: Monitor, unsound: Collection[str] = ()) -> None:
        self._monitor = monitor
        self._fields = {ours: theirs for ours, theirs in FIELDS.items() if ours not in unsound}

    def begin(self) -> None:
        """Open the window, anew when the last one was never closed."""
        self._monitor.begin_window(_LABEL, restart=True)

    def end(self) -> Energy:
        """Close the window."""
        found = self._monitor.end_window(_LABEL)
        return Energy(**{ours: getattr(found, theirs) for ours, theirs in self._fields.items()})


def installed() -> bool:
    """Whether the extra is here; loads nothing."""
    return find_spec(MODULE) is not None


def open_ioreport(source: Source) -> IoReportMeter:
    """The meter of this Mac. Raises when the extra is not installed or does not work on this chip."""
    if not installed():
        raise ModuleNotFoundError(MODULE)
    source.command(sys.executable, "-c", PROBE)
    unsound = {"cpu_mj"} if MacProbes(source).chip().endswith("Ultra") else set[str]()
    return IoReportMeter(import_module(MODULE).AppleEnergyMonitor(), unsound)
