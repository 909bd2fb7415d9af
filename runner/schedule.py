"""Runs what a plan still lacks, pair by pair, and writes down how each attempt ended.

A failed run is a record, not the end: llama.cpp's refusal fails that run; a worker that died or hung is replaced
and the run tried once more; a pair that cannot be loaded fails all its runs. Only a model that cannot be used
before anything was written is a refusal. A run during which the clocks disagree (the lid was closed) is repeated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

import msgspec

from runner.attempts import Cause, Clock, Stopwatch, until_it_counts
from runner.cells import drafting_role
from runner.consistency import objection
from runner.drafter_names import UNCHECKED
from runner.errors import EngineError, ModelError, StudyError, WorkerError
from runner.executor import Executor, Pair, PlannedRun, Session
from runner.interrupt import Stop
from runner.plan import Plan
from runner.record import Failure, MachineState, Measurement, RunRecord
from runner.redact import Private, redact, redact_all
from runner.study import Study


class Watcher(Protocol):
    """Is told what happens; draws progress."""

    def loading(self, pair: Pair) -> None:
        """A pair is about to be loaded."""

    def finished(self, planned: PlannedRun, record: RunRecord, seconds: float) -> None:
        """An attempt ended and is on the disk."""


class Bench(msgspec.Struct, frozen=True, kw_only=True):
    """What the scheduler stands on besides plan, executor and study."""

    state: Callable[[], MachineState]
    clock: Clock
    stop: Stop
    watcher: Watcher
    private: Private
    engine_version: str
    sha256_of: Mapping[str, str]
    """Role -> SHA-256 of its GGUF."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a command ended: how many runs of the plan are ok or failed by now."""

    ok: int
    failed: int
    undone: int
    """Wanted runs that it did not get to; those of them that had failed before still count as failed."""
    interrupted: bool


def missing_runs(plan: Plan, study: Study) -> list[PlannedRun]:
    """Runs that were never completed."""
    return [run for run in plan.runs if study.state(run.run_id) == "missing"]


def missing_or_failed_runs(plan: Plan, study: Study) -> list[PlannedRun]:
    """Runs that were never completed, or whose latest attempt failed."""
    return [run for run in plan.runs if study.state(run.run_id) != "ok"]


def execute(plan: Plan, wanted: Sequence[PlannedRun], executor: Executor, study: Study, bench: Bench) -> Outcome:
    """Execute the wanted runs of a plan in its order.

    Raises ModelError when the first pair cannot be used; then nothing was written. Raises StoreError when the
    study's folder cannot be written any more.
    """
    wanted_ids = {run.run_id for run in wanted}
    try:
        for pair, runs in plan.by_pair():
            todo = [run for run in runs if run.run_id in wanted_ids]
            if todo and not bench.stop.requested:
                _run_pair(pair, todo, executor, study, bench)
    except KeyboardInterrupt:
        bench.stop.requested = True
    states = Counter(study.state(run.run_id) for run in plan.runs)
    undone = sum(not study.was_attempted(run.run_id) for run in wanted)
    return Outcome(ok=states["ok"], failed=states["failed"], undone=undone, interrupted=bench.stop.requested)


def _run_pair(pair: Pair, todo: Sequence[PlannedRun], executor: Executor, study: Study, bench: Bench) -> None:
    loaded = _Loaded(pair, executor, bench.watcher)
    try:
        for planned in todo:
            loaded.ensure()
            if bench.stop.requested:
                return
            if isinstance(loaded.refusal, ModelError) and not study.has_begun:
                raise loaded.refusal
            study.begin()
            _run(planned, loaded, study, bench)
    finally:
        loaded.close()


class _Loaded:
    """The session of a pair, opened anew when it was lost. A refusal to open is kept: it would only repeat."""

    def __init__(self, pair: Pair, executor: Executor, watcher: Watcher) -> None:
        self._pair = pair
        self._executor = executor
        self._watcher = watcher
        self._session: Session | None = None
        self.refusal: StudyError | None = None

    def ensure(self) -> None:
        """Have a session, or a refusal."""
        if self._session is None and self.refusal is None:
            self._watcher.loading(self._pair)
            try:
                self._session = self._open()
            except StudyError as error:
                self.refusal = error

    def run(self, planned: PlannedRun) -> Measurement:
        """Execute one run; a lost session is closed. Raises what opening or running raised."""
        if self._session is None:
            assert self.refusal is not None, "ensure() comes before run()"
            raise self.refusal
        try:
            return self._session.run(planned)
        except WorkerError:
            self.close()
            raise

    def close(self) -> None:
        """Give the models' memory back."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _open(self) -> Session:
        try:
            return self._executor.open(self._pair)
        except WorkerError:
            return self._executor.open(self._pair)


def _run(planned: PlannedRun, loaded: _Loaded, study: Study, bench: Bench) -> None:
    until_it_counts(partial(_attempt, planned, loaded, study, bench))


def _attempt(planned: PlannedRun, loaded: _Loaded, study: Study, bench: Bench) -> Cause | None:
    loaded.ensure()
    started_utc = datetime.now(UTC).isoformat(timespec="milliseconds")
    before = bench.state()
    stopwatch = Stopwatch(bench.clock)
    measured = _measure(planned, loaded, bench.private)
    span = stopwatch.read()
    if span.disturbance is not None:
        measured = _Measured(measurement=measured.measurement, failure=span.disturbance, cause="clock jump")
    drafting = drafting_role(planned.cell)
    record = RunRecord(
        run_id=planned.run_id,
        attempt=study.next_attempt(planned.run_id),
        order=planned.order,
        cell=planned.cell,
        status="failed" if measured.failure else "ok",
        started_utc=started_utc,
        started_monotonic_ns=stopwatch.started_ns,
        engine_version=bench.engine_version,
        target_sha256=bench.sha256_of[planned.cell.target],
        draft_sha256=bench.sha256_of[drafting] if drafting else None,
        measurement=measured.measurement,
        failure=measured.failure,
        state_before=before,
        state_after=bench.state(),
        mark="phantom" if planned.cell.draft == UNCHECKED else None,
    )
    study.append(record)
    bench.watcher.finished(planned, record, span.elapsed_ns / 1e9)
    return measured.cause


class _Measured(msgspec.Struct, frozen=True, kw_only=True):
    measurement: Measurement | None = None
    failure: Failure | None = None
    cause: Cause | None = None


def _measure(planned: PlannedRun, loaded: _Loaded, private: Private) -> _Measured:
    try:
        measurement = loaded.run(planned)
    except StudyError as error:
        lost = isinstance(error, WorkerError) and loaded.refusal is None
        return _Measured(failure=failure_of(error, private), cause="worker lost" if lost else None)
    contradiction = objection(planned.cell, measurement)
    if contradiction is None:
        return _Measured(measurement=measurement)
    message = f"the measurement contradicts its cell: {contradiction}"
    return _Measured(measurement=measurement, failure=Failure(kind="Inconsistent", message=message))


def failure_of(error: StudyError, private: Private) -> Failure:
    """Why it failed, as the record says it: without names and paths of this machine."""
    return Failure(
        kind=type(error).__name__,
        message=redact(str(error), private),
        llama_code=error.code if isinstance(error, EngineError) else None,
        log_tail=redact_all(error.log_tail, private) if isinstance(error, EngineError | WorkerError) else [],
    )
