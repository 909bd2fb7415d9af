"""Which parts a study is made of. The command line is given these; tests give it others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import click

from runner.attempts import THIS_MACHINE, Clock
from runner.executor import Executor, Pair
from runner.messages import Answer, Request
from runner.record import EngineFacts, MachineFacts, MachineState, ModelFacts, Settings

FamilyName = Literal["auto", "qwen3.5", "synthetic"]

DESPITE_DOCTOR = "--despite-doctor"
"""The option that starts a study although the doctor calls it worthless."""


class FoundFamily(Protocol):
    """A family as the study needs it: one GGUF per role, and why this family was taken."""

    @property
    def name(self) -> str: ...

    @property
    def reason(self) -> str: ...

    @property
    def paths(self) -> Mapping[str, Path]: ...

    @property
    def facts(self) -> Mapping[str, ModelFacts]: ...


class ResolveFamily(Protocol):
    """Finds, and where it is built in builds, the models of a family."""

    def __call__(
        self, name: FamilyName, *, models_dir: Path | None, overrides: Mapping[str, Path], roles: list[str]
    ) -> FoundFamily: ...


class Examine(Protocol):
    """Looks at machine, build and memory before a study starts; returns warnings to show.

    Raises UsageError when a study would be worthless.
    """

    def __call__(
        self,
        pairs: Sequence[Pair],
        family: FoundFamily,
        *,
        settings: Settings,
        machine: MachineFacts,
        engine: EngineFacts,
        out: Path,
    ) -> list[str]: ...


def _unexamined(*_positional: object, **_named: object) -> list[str]:
    return []


class Asker(Protocol):
    """A measuring process: answers requests, and is ended."""

    def ask(self, request: Request, expected: type[Answer], *, limit_s: float) -> Answer: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Wiring:
    """The parts of a study that reach outside this package's own logic."""

    resolve_family: ResolveFamily
    check_pair: Callable[[Path, Path], None]
    make_executor: Callable[[Mapping[str, Path], Settings], Executor]
    engine_facts: Callable[[], EngineFacts]
    machine_facts: Callable[[], MachineFacts]
    machine_state: Callable[[], MachineState]
    kept_awake: Callable[[], AbstractContextManager[object]]
    write_report: Callable[[Path], Path]
    """Study folder -> the page written into it. Raises StudyError."""
    tables: Callable[[Path], str]
    """Study folder -> its tables as text. Raises StudyError."""
    open_worker: Callable[[], Asker] = field(default_factory=lambda: _open_worker)
    """Starts a process that measures what is no run of a matrix."""
    examine: Examine = _unexamined
    clock: Clock = THIS_MACHINE


def real_wiring() -> Wiring:
    """llama.cpp in worker processes, real models, this machine."""
    from runner.machine import kept_awake, machine_facts, machine_state  # noqa: PLC0415  # plans and lists start without them
    from runner.models import check_pair  # noqa: PLC0415
    from runner.worker_client import ProcessExecutor, describe_engine  # noqa: PLC0415

    return Wiring(
        resolve_family=_resolve_family,
        check_pair=check_pair,
        make_executor=ProcessExecutor,
        engine_facts=describe_engine,
        machine_facts=machine_facts,
        machine_state=machine_state,
        kept_awake=kept_awake,
        write_report=_write_report,
        tables=_tables,
        examine=_examine,
    )


def _open_worker() -> Asker:
    from runner.worker_client import WorkerProcess  # noqa: PLC0415

    return WorkerProcess()


def _resolve_family(
    name: FamilyName, *, models_dir: Path | None, overrides: Mapping[str, Path], roles: list[str]
) -> FoundFamily:
    from runner.models import resolve_family  # noqa: PLC0415

    def tell(line: str) -> None:
        click.echo(line, err=True)

    return resolve_family(name, models_dir=models_dir, overrides=overrides, roles=roles, on_progress=tell)


def _examine(
    pairs: Sequence[Pair],
    family: FoundFamily,
    *,
    settings: Settings,
    machine: MachineFacts,
    engine: EngineFacts,
    out: Path,
) -> list[str]:
    from runner.doctor.gate import before_study, refuse_worthless  # noqa: PLC0415
    from runner.machine import machine_state  # noqa: PLC0415
    from runner.models import check_pair  # noqa: PLC0415

    lines = before_study(
        pairs,
        family,
        settings=settings,
        machine=machine,
        state=machine_state(),
        engine=engine,
        check_pair=check_pair,
        out=out,
    )
    return [f"{line.check}: {line.finding}" for line in refuse_worthless(lines, DESPITE_DOCTOR)]


def _tables(folder: Path) -> str:
    from analysis.load import load_study  # noqa: PLC0415
    from analysis.render import render  # noqa: PLC0415
    from analysis.tables import study_tables  # noqa: PLC0415

    return render(study_tables(load_study(folder)), "md")


def _write_report(folder: Path) -> Path:
    from analysis.report.build import study_page  # noqa: PLC0415
    from analysis.report.page import write_page  # noqa: PLC0415

    out = folder / "report.html"
    write_page(study_page(folder), out)
    return out
