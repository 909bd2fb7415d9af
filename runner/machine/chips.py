"""Peak memory bandwidth of known chips (data/chips.toml); an unknown chip has only what is measured."""

from __future__ import annotations

import functools
from pathlib import Path

import msgspec

from runner.errors import DataError
from runner.parsing import MalformedError, parse_toml
from runner.paths import data_dir


class Chip(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One entry: a name, and the cores that tell it from another of that name."""

    name: str
    bandwidth_gb_per_s: int
    cpu_cores: int | None = None
    gpu_cores: list[int] = []


class ChipTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file; shares are of peak bandwidth."""

    attainable_share_low: float
    attainable_share_high: float
    chip: list[Chip]


@functools.cache
def chip_table() -> ChipTable:
    """The shipped table."""
    return parse_chips(data_dir() / "chips.toml")


def parse_chips(path: Path) -> ChipTable:
    """The table at `path`. Raises DataError naming what is wrong in it."""
    try:
        return parse_toml(path.read_bytes(), ChipTable)
    except (OSError, MalformedError) as error:
        raise DataError(f"{path.name}: cannot be used ({error}); restore it from the repository") from None


def nominal_bandwidth_bytes_per_s(name: str, cpu_cores: int | None, gpu_cores: int | None) -> float | None:
    """Peak bandwidth of the chip, or None when it is unknown or its cores leave open which one it is."""
    named = [chip for chip in chip_table().chip if chip.name == name]
    fitting = [chip for chip in named if _fits(chip, cpu_cores, gpu_cores)]
    figures = {chip.bandwidth_gb_per_s for chip in (named if len(named) == 1 else fitting)}
    return figures.pop() * 1e9 if len(figures) == 1 else None


def _fits(chip: Chip, cpu_cores: int | None, gpu_cores: int | None) -> bool:
    cpu_fits = chip.cpu_cores is None or cpu_cores is None or chip.cpu_cores == cpu_cores
    return cpu_fits and (not chip.gpu_cores or gpu_cores is None or gpu_cores in chip.gpu_cores)
