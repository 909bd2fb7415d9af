"""Stops a study that would be worthless before it starts, and shows what would make it worth less."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from runner.doctor.examine import capacity_of, environment_lines, pair_lines
from runner.doctor.line import Line
from runner.errors import UsageError
from runner.executor import Pair
from runner.machine.source import Source, SystemSource
from runner.record import EngineFacts, MachineFacts, MachineState, Settings
from runner.wiring import FoundFamily


def before_study(
    pairs: Sequence[Pair],
    family: FoundFamily,
    *,
    settings: Settings,
    machine: MachineFacts,
    state: MachineState,
    engine: EngineFacts,
    check_pair: Callable[[Path, Path], None],
    out: Path,
    source: Source | None = None,
) -> list[Line]:
    """Every check but finding and loading models, which a study does itself; takes half a second."""
    source = source or SystemSource()
    return [
        *environment_lines(machine, state, lambda: engine, out, source),
        *pair_lines(pairs, family, settings, capacity_of(machine, state, source), check_pair),
    ]


def refuse_worthless(lines: Iterable[Line], override: str) -> list[Line]:
    """The warnings among `lines`. Raises UsageError when one failed; `override` is the option to start anyway."""
    found = list(lines)
    failures = [f"{line.check}: {line.finding} ({line.remedy})" for line in found if line.level == "fail"]
    if failures:
        raise UsageError(f"a study would be worthless now: {'; '.join(failures)}. To start anyway: {override}")
    return [line for line in found if line.level == "warn"]
