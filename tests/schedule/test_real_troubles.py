"""Abort, hang and exhausted memory in real measuring processes: the study goes on, exactly those runs failed."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import psutil
import pytest

from runner.executor import Pair, PlannedRun
from runner.plan import Plan
from runner.record import RunRecord
from runner.schedule import Outcome, execute, missing_or_failed_runs, missing_runs
from runner.study import Study
from runner.worker_client import ProcessExecutor
from tests.fake_executor import (
    FACTS,
    SilentWatcher,
    bench_for,
    manifest_for,
    measurement_of,
    records_in,
    small_plan,
)
from tests.schedule.worker_in_trouble import MODULE, REASON
from tests.simulated import SETTINGS

ABORTS, HANGS, BLOWS_UP = 3, 8, 14
TROUBLES = (f"abort:{ABORTS}", f"hang:{HANGS}", f"memory:{BLOWS_UP}")
HANG_LIMIT_S = 1.0


def plan_with_a_short_limit() -> Plan:
    """The hanging run alone is given up soon, so that no slow machine fails another."""
    plan = small_plan()
    runs = tuple(
        msgspec.structs.replace(run, time_limit_s=HANG_LIMIT_S if run.order == HANGS else 120.0)
        for run in plan.runs
    )
    return msgspec.structs.replace(plan, runs=runs)


PLAN = plan_with_a_short_limit()
TROUBLED = {ABORTS, HANGS, BLOWS_UP}


def workers() -> list[int]:
    """Measuring processes of this test that are alive."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if MODULE in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except psutil.NoSuchProcess:
            pass
    return found


@dataclass
class CountingWatcher(SilentWatcher):
    """Counts the measuring processes that are alive when a pair is about to be loaded."""

    alive: list[int] = field(default_factory=list)
    told: list[tuple[int, str, int]] = field(default_factory=list)

    def loading(self, pair: Pair) -> None:
        self.alive.append(len(workers()))


@dataclass
class Ended:
    """A study that went through trouble."""

    folder: Path
    outcome: Outcome
    watcher: CountingWatcher

    @property
    def records(self) -> list[RunRecord]:
        return records_in(self.folder)

    def failures_at(self, order: int) -> list[tuple[str, list[str]]]:
        """Message and last lines of both attempts at a run that took its process down."""
        failures = [record.failure for record in self.records if record.order == order]
        assert [failure and failure.kind for failure in failures] == ["WorkerError"] * 2
        return [(failure.message, failure.log_tail) for failure in failures if failure]


def run_study(folder: Path, *troubles: str, rerun: bool = False) -> Ended:
    watcher = CountingWatcher()
    paths = {role: Path(f"{role}.gguf") for role in FACTS}
    executor = ProcessExecutor(paths, SETTINGS, command=(sys.executable, "-m", MODULE, *troubles))
    with Study(folder, manifest_for(PLAN), [run.run_id for run in PLAN.runs]) as study:
        wanted = missing_or_failed_runs(PLAN, study) if rerun else missing_runs(PLAN, study)
        outcome = execute(PLAN, wanted, executor, study, bench_for(watcher))
    return Ended(folder, outcome, watcher)


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    return run_study(tmp_path_factory.mktemp("troubled"), *TROUBLES)


def test_exactly_the_troubled_runs_failed_and_all_others_are_ok_in_the_order_of_the_plan(ended: Ended) -> None:
    n_runs = len(PLAN.runs)
    assert ended.outcome == Outcome(ok=n_runs - len(TROUBLED), failed=len(TROUBLED), undone=0, interrupted=False)
    expected = [
        (run.order, attempt, "failed" if run.order in TROUBLED else "ok")
        for run in PLAN.runs
        for attempt in ((1, 2) if run.order in TROUBLED else (1,))
    ]
    assert [(record.order, record.attempt, record.status) for record in ended.records] == expected


def test_other_runs_have_what_was_measured(ended: Ended) -> None:
    by_order: dict[int, PlannedRun] = {run.order: run for run in PLAN.runs}
    for record in ended.records:
        measured = measurement_of(by_order[record.order], seed=1)
        assert record.measurement == (None if record.order in TROUBLED else measured)


def test_an_abort_is_recorded_with_its_signal_and_its_assertion(ended: Ended) -> None:
    for message, log_tail in ended.failures_at(ABORTS):
        assert "died (signal 6)" in message
        assert log_tail[-1].endswith(REASON)


def test_a_hang_is_recorded_with_the_limit_that_it_passed(ended: Ended) -> None:
    for message, _ in ended.failures_at(HANGS):
        assert "no answer within" in message


def test_exhausted_memory_is_recorded_as_such(ended: Ended) -> None:
    for message, log_tail in ended.failures_at(BLOWS_UP):
        assert "died (exit status 1)" in message
        assert log_tail[-1].startswith("MemoryError")


def test_memory_is_given_back_before_anything_else_is_loaded(ended: Ended) -> None:
    assert len(ended.watcher.alive) == len({run.loads for run in PLAN.runs}) + 2 * len(TROUBLED)
    assert set(ended.watcher.alive) == {0}
    assert workers() == []


def test_failed_runs_are_all_made_good_when_the_trouble_is_over(ended: Ended) -> None:
    again = run_study(ended.folder, rerun=True)
    assert again.outcome.failed == 0
    assert {order for order, _, _ in again.watcher.told} == TROUBLED
