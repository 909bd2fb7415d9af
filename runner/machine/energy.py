"""Energy of the decode loop, where the machine has counters for it: one protocol, one window around the loop.

The process that decodes reads the counters itself, right before the first cycle and right after the last one: a
window kept by the parent would hold warm-up and prefill too, and would be no energy per token. Reading takes
milliseconds at most and is in no time of the run; it is the same for the baseline and for every gamma.
"""

from __future__ import annotations

import platform
from types import TracebackType
from typing import Protocol, Self

import msgspec

from runner.clock import PausableClock
from runner.machine.energy_linux import open_rapl
from runner.machine.energy_mac import open_ioreport
from runner.machine.source import Source, SystemSource, attempt
from runner.record import Energy


class EnergyMeter(Protocol):
    """Counts from `begin` to `end`. Both may raise anything; a `begin` without `end` leaves no trace."""

    def begin(self) -> None: ...

    def end(self) -> Energy: ...


def energy_meter(source: Source | None = None, system: str | None = None) -> EnergyMeter | None:
    """This machine's meter; None where there is none, where it is not installed, or where it may not be read."""
    source = source or SystemSource()
    if (system or platform.system()) == "Darwin":
        return attempt(lambda: open_ioreport(source))
    return attempt(lambda: open_rapl(source))


class EnergyWindow:
    """Measures the energy of one `with` block; `energy` stays None when that fails, and the block never notices.

    A block during which `clock` stood still did untimed work, whose energy no counter can tell apart: it stays
    None too.
    """

    def __init__(self, meter: EnergyMeter | None, clock: PausableClock) -> None:
        self.energy: Energy | None = None
        self._meter = meter
        self._clock = clock
        self._paused_ns: int | None = None

    def __enter__(self) -> Self:
        """Begin."""
        if (meter := self._meter) is not None:
            self._paused_ns = attempt(lambda: self._begin(meter))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End; an error of the block goes on."""
        if self._meter is None or self._paused_ns is None:
            return
        energy = attempt(self._meter.end)
        if energy is not None and kind is None and self._clock.paused_ns == self._paused_ns:
            self.energy = _plausible(energy)

    def _begin(self, meter: EnergyMeter) -> int:
        meter.begin()
        return self._clock.paused_ns


def _plausible(energy: Energy) -> Energy | None:
    """None where a counter ran backwards, as after a reset, and where nothing was counted.

    A run without one of its counters would shrink the sum of every run that it is averaged with.
    """
    counted = [mj for mj in msgspec.structs.asdict(energy).values() if mj is not None]
    return energy if counted and min(counted) >= 0 else None
