"""Runs an experiment that is no matrix of cells, point by point: planned first, resumed by identity.

A point that fails is a record and not the end. A measuring process that died is replaced and its point tried once
more, a point during which the machine slept is measured again, and every attempt is a record. What a point is and
how it is measured, `runner.grid_suite` and `runner.routing_suite` say.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

import click
import msgspec

from runner import compose
from runner.attempts import Cause, Stopwatch, until_it_counts
from runner.compose import Wish
from runner.errors import StudyError, UsageError, WorkerError
from runner.executor import Pair
from runner.go_on import to_go_on, to_try_again
from runner.grid_record import Logged
from runner.history import Log
from runner.interrupt import Stop, stop_on_signals
from runner.locks import hold, machine_lock_path
from runner.measure import ALL_OK, INTERRUPTED, SOME_FAILED, announce_stop
from runner.plan_view import announce
from runner.record import NO_DRAFT, EngineFacts, Failure, MachineFacts, Settings, Status, fingerprint
from runner.redact import Private, of_this_machine, redact_all
from runner.schedule import failure_of
from runner.study import Study
from runner.wiring import Asker, FoundFamily, Wiring

LINES = 12
"""Lines of progress that a whole experiment writes."""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One point of the plan."""

    order: int
    run_id: str
    subject: Any
    assumed_s: float


class Experiment(Protocol):
    """What `run` needs to know of an experiment; all of it is fixed before anything is measured."""

    name: str
    sha256: str
    log: Log
    unexamined: tuple[tuple[str, str], ...]
    """Check of the doctor, and what of it only the measuring itself can see."""

    def pairs(self) -> list[tuple[str, str]]:
        """Roles that are loaded together: target, and draft or `none`."""

    def proofs(self) -> list[Pair]:
        """The same pairs with the gammas of which a rollback is needed, for the doctor."""

    def settings(self, wish: Wish, machine: MachineFacts) -> Settings:
        """What all points share."""

    def refuse(self, family: FoundFamily) -> None:
        """Raise StudyError when these models cannot do it."""

    def tasks(self, settings: Settings, engine: EngineFacts, family: FoundFamily) -> list[Task]:
        """Every point in its order."""

    def open(self, worker: Asker, family: FoundFamily, settings: Settings) -> None:
        """Load what all points need. Raises StudyError."""

    def measure(self, worker: Asker, task: Task, family: FoundFamily, settings: Settings) -> dict[str, Any]:
        """Fields of the record that say what was measured. Raises StudyError."""

    def record(self, task: Task, fields: dict[str, Any]) -> Logged:
        """The record of a point."""


def roles_of(experiment: Experiment) -> list[str]:
    """Every role that is needed, once."""
    return list(dict.fromkeys(role for pair in experiment.pairs() for role in pair if role != NO_DRAFT))


def identity(subject: object, design: object, settings: Settings, engine: EngineFacts, *sha256: str) -> str:
    """Sixteen hex digits over what changes a point's measurement."""
    return fingerprint(subject, design, settings, engine, sha256)[:16]


def run(experiment: Experiment, wish: Wish, wiring: Wiring) -> int:
    """Measure every point, or those that an existing study lacks; returns the exit status.

    Raises StudyError for what is refused; then nothing was written.
    """
    if wish.rerun and wish.out is None:
        raise UsageError("--rerun needs --out FOLDER: the study whose failed points are to be measured again")
    with hold(machine_lock_path(), "another study is running on this machine"):
        family = wiring.resolve_family(
            wish.family, models_dir=wish.models_dir, overrides=wish.roles, roles=roles_of(experiment)
        )
        announce(family.name, family.reason)
        compose.refuse_strange_pairs(experiment.pairs(), family, wiring)
        experiment.refuse(family)
        folder = wish.out or compose.default_out(wish, family.name)
        with _Bench(experiment, wish, family, wiring) as bench, bench.study(folder) as study:
            wanted = bench.wanted(study)
            with stop_on_signals(announce_stop) as stop, wiring.kept_awake():
                _measure_all(bench, wanted, study, stop)
            undone = sum(not study.was_attempted(task.run_id) for task in wanted) if stop.requested else 0
            counts = Counter(study.state(task.run_id) for task in bench.tasks)
    if undone:
        _say(f"stopped with {undone} points to measure; to go on: {to_go_on(wish, folder)}")
        return INTERRUPTED
    return _conclude(counts, wish, folder)


class _Bench:
    """Plan, settings and measuring process of one command."""

    def __init__(self, experiment: Experiment, wish: Wish, family: FoundFamily, wiring: Wiring) -> None:
        self.experiment, self._wish, self._family, self.wiring = experiment, wish, family, wiring
        self.private: Private = of_this_machine()
        self._machine = wiring.machine_facts()
        self._engine = wiring.engine_facts()
        self._settings = experiment.settings(wish, self._machine)
        self.tasks = experiment.tasks(self._settings, self._engine, family)
        self._worker: Asker | None = None

    def __enter__(self) -> _Bench:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def study(self, folder: Path) -> Study:
        """The folder, checked against this plan when entered. Raises UsageError when it would be worthless."""
        self._examine(folder)
        manifest = compose.manifest_of(
            suite_sha256={self.experiment.name: self.experiment.sha256},
            plan_sha256=fingerprint([task.run_id for task in self.tasks]),
            n_cells=len(self.tasks),
            arguments=redact_all(self._wish.arguments, self.private),
            family=self._family,
            roles=roles_of(self.experiment),
            settings=self._settings,
            machine=self._machine,
            engine=self._engine,
        )
        return Study(folder, manifest, [task.run_id for task in self.tasks], self.experiment.log)

    def _examine(self, folder: Path) -> None:
        if self._wish.despite_doctor:
            return
        for warning in self.wiring.examine(
            self.experiment.proofs(),
            self._family,
            settings=self._settings,
            machine=self._machine,
            engine=self._engine,
            out=folder,
        ):
            _say(f"doctor: {warning}")

    def wanted(self, study: Study) -> list[Task]:
        """Points without a result, and failed ones where these were asked for."""
        skipped = {"ok"} if self._wish.rerun else {"ok", "failed"}
        return [task for task in self.tasks if study.state(task.run_id) not in skipped]

    def ready(self) -> None:
        """Have a process with everything loaded. Raises StudyError."""
        if self._worker is None:
            self._worker = self.wiring.open_worker()
            try:
                self.experiment.open(self._worker, self._family, self._settings)
            except BaseException:
                self.close()
                raise

    def measure(self, task: Task) -> dict[str, Any]:
        """Fields of the record. Raises StudyError; after a WorkerError another process has to be had."""
        try:
            self.ready()
            assert self._worker is not None
            return self.experiment.measure(self._worker, task, self._family, self._settings)
        except WorkerError:
            self.close()
            raise

    def close(self) -> None:
        """End the process."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.close()


def _measure_all(bench: _Bench, wanted: Sequence[Task], study: Study, stop: Stop) -> None:
    if not wanted:
        return
    _say(
        f"{len(wanted)} of {len(bench.tasks)} points to measure, about {_shown(sum(t.assumed_s for t in wanted))}"
    )
    progress = _Progress(wanted)
    try:
        bench.ready()
        study.begin()
        for task in wanted:
            if stop.requested:
                return
            started = time.monotonic()
            until_it_counts(partial(_attempt, bench, task, study))
            progress.finished(task, time.monotonic() - started)
    except KeyboardInterrupt:
        stop.requested = True


def _attempt(bench: _Bench, task: Task, study: Study) -> Cause | None:
    common: dict[str, Any] = {
        "run_id": task.run_id,
        "attempt": study.next_attempt(task.run_id),
        "order": task.order,
        "started_utc": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "state_before": bench.wiring.machine_state(),
    }
    stopwatch = Stopwatch(bench.wiring.clock)
    fields, failure, cause = _measured(bench, task)
    disturbance = stopwatch.read().disturbance
    if disturbance is not None:
        failure, cause = disturbance, "clock jump"
    ending = {"status": "failed" if failure else "ok", "failure": failure}
    state = bench.wiring.machine_state()
    study.append(bench.experiment.record(task, {**common, **fields, **ending, "state_after": state}))
    if failure is not None:
        _say(f"failed: {task.subject}: {failure.message}")
    return cause


def _measured(bench: _Bench, task: Task) -> tuple[dict[str, Any], Failure | None, Cause | None]:
    try:
        return bench.measure(task), None, None
    except StudyError as error:
        cause: Cause | None = "worker lost" if isinstance(error, WorkerError) else None
        return {}, failure_of(error, bench.private), cause


class _Progress:
    """A line now and then: how far, and how long it takes by what the points so far took."""

    def __init__(self, wanted: Sequence[Task]) -> None:
        self._count, self._total = 0, len(wanted)
        self._to_come_s = sum(task.assumed_s for task in wanted)
        self._assumed_s = self._taken_s = 0.0

    def finished(self, task: Task, seconds: float) -> None:
        """A point ended after `seconds`, all attempts at it together."""
        self._count += 1
        self._to_come_s -= task.assumed_s
        self._assumed_s += task.assumed_s
        self._taken_s += seconds
        if self._count % max(1, self._total // LINES) == 0:
            left = _shown(self._to_come_s * self._taken_s / self._assumed_s)
            _say(f"{self._count} of {self._total} points, about {left} left")


def _conclude(counts: Counter[Status | Literal["missing"]], wish: Wish, folder: Path) -> int:
    click.echo(f"results: {folder}")
    if counts["failed"]:
        again = to_try_again(wish, folder)
        _say(f"{counts['failed']} of {counts.total()} points failed; to try them again: {again}")
        return SOME_FAILED
    return ALL_OK


def _shown(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


def _say(line: str) -> None:
    click.echo(line, err=True)
