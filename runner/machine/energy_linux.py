"""Energy of a Linux machine's processor packages and memory: the powercap counters of Intel and AMD (RAPL).

Files and their meaning: the kernel's Documentation/power/powercap/powercap.rst. Most systems let only root read
`energy_uj` (CVE-2020-8694).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from runner.machine.source import Source, attempt
from runner.record import Energy

ROOT = "/sys/class/powercap/intel-rapl"
_MOST_ZONES = 64
"""A machine has a package a socket or die; each has a handful of zones within."""


class Zone(NamedTuple):
    """One counter. `core` and `uncore` are parts of their package, `psys` is the whole platform: none is read."""

    path: str
    kind: Literal["package", "dram"]
    range_uj: int
    """The counter starts again from 0 here."""


class RaplMeter:
    """Millijoules of all packages and of their memory between `begin` and `end`.

    One turn of a counter is made good. A second within one window would be lost: with the usual 262 kJ a turn
    that takes over forty minutes at 100 W.
    """

    def __init__(self, source: Source, zones: list[Zone]) -> None:
        self._source = source
        self._zones = zones
        self._begun_uj: list[int] = []

    def begin(self) -> None:
        """Read every counter. Raises PermissionError for any but root on most systems."""
        self._begun_uj = [self._read_uj(zone) for zone in self._zones]

    def end(self) -> Energy:
        """Read every counter again."""
        spent = [
            (zone.kind, (self._read_uj(zone) - begun) % zone.range_uj / 1000)
            for zone, begun in zip(self._zones, self._begun_uj, strict=True)
        ]
        packages = [mj for kind, mj in spent if kind == "package"]
        memories = [mj for kind, mj in spent if kind == "dram"]
        return Energy(cpu_mj=sum(packages) if packages else None, dram_mj=sum(memories) if memories else None)

    def _read_uj(self, zone: Zone) -> int:
        return int(self._source.read(f"{zone.path}/energy_uj"))


def open_rapl(source: Source) -> RaplMeter:
    """The meter of this machine. Raises when it has no counters or when this user may not read them."""
    found = list(zones(source))
    if not found:
        raise FileNotFoundError(ROOT)
    meter = RaplMeter(source, found)
    meter.begin()
    return meter


def zones(source: Source) -> Iterator[Zone]:
    """Packages, and the memory of each."""
    for package in range(_MOST_ZONES):
        path = f"{ROOT}:{package}"
        name = _name(source, path)
        if name is None:
            return
        if name.startswith("package"):
            yield _zone(source, path, "package")
        yield from _memory(source, path)


def _memory(source: Source, package: str) -> Iterator[Zone]:
    for part in range(_MOST_ZONES):
        path = f"{package}:{part}"
        name = _name(source, path)
        if name is None:
            return
        if name == "dram":
            yield _zone(source, path, "dram")


def _name(source: Source, path: str) -> str | None:
    return attempt(lambda: source.read(f"{path}/name").strip())


def _zone(source: Source, path: str, kind: Literal["package", "dram"]) -> Zone:
    return Zone(path, kind, int(source.read(f"{path}/max_energy_range_uj")))
