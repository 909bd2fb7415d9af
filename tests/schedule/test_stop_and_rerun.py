"""A study that was stopped goes on, and failed runs are run again only when asked for."""

from __future__ import annotations

from pathlib import Path

from runner.errors import EngineError
from runner.executor import PlannedRun
from runner.interrupt import Stop
from runner.schedule import Outcome
from tests.fake_executor import (
    FakeExecutor,
    bench_for,
    records_in,
)
from tests.schedule.scripted_study import (
    ALL,
    IDS,
    attempts_at,
    run_study,
)


def test_failed_runs_stay_as_they_are_unless_asked_for(tmp_path: Path) -> None:
    executor = FakeExecutor()
    executor.fails(3, EngineError("once"))
    run_study(tmp_path, executor)
    again = FakeExecutor()
    assert run_study(tmp_path, again).failed == 1
    assert again.events == []


def test_failed_runs_are_run_again_when_asked_for_and_both_attempts_stay(tmp_path: Path) -> None:
    executor = FakeExecutor()
    executor.fails(3, EngineError("once"))
    run_study(tmp_path, executor)
    again = FakeExecutor()
    assert run_study(tmp_path, again, rerun=True).failed == 0
    assert again.ran == [3]
    assert [(record.attempt, record.status) for record in attempts_at(tmp_path, 3)] == [(1, "failed"), (2, "ok")]


def test_a_stop_among_runs_that_are_run_again_leaves_the_others_undone(tmp_path: Path) -> None:
    executor = FakeExecutor()
    for order in (3, 5, 7):
        executor.fails(order, EngineError("once"))
    run_study(tmp_path, executor)
    stop, again = Stop(), FakeExecutor()

    def request(planned: PlannedRun) -> None:
        stop.requested = True

    again.before_run = request
    outcome = run_study(tmp_path, again, bench_for(stop=stop), rerun=True)
    assert outcome == Outcome(ok=len(ALL) - 2, failed=2, undone=2, interrupted=True)


def test_a_stop_lets_the_current_run_end_and_the_study_goes_on_later(tmp_path: Path) -> None:
    stop, executor = Stop(), FakeExecutor()

    def request(planned: PlannedRun) -> None:
        stop.requested = stop.requested or planned.order == 4

    executor.before_run = request
    outcome = run_study(tmp_path, executor, bench_for(stop=stop))
    assert outcome == Outcome(ok=5, failed=0, undone=len(ALL) - 5, interrupted=True)
    assert executor.events[-2:] == ["run 4", "close"]
    run_study(tmp_path, FakeExecutor())
    assert [record.run_id for record in records_in(tmp_path)] == IDS


def test_a_stop_while_the_first_pair_loads_writes_nothing(tmp_path: Path) -> None:
    stop, executor = Stop(), FakeExecutor()

    def request(pair: object) -> None:
        stop.requested = True

    executor.before_open = request
    outcome = run_study(tmp_path / "study", executor, bench_for(stop=stop))
    assert outcome.interrupted
    assert list(tmp_path.iterdir()) == []
    assert executor.events == ["open moe-q4 + draft-0.8b", "close"]


def test_a_second_interrupt_ends_the_run_at_once_and_gives_the_pair_back(tmp_path: Path) -> None:
    executor = FakeExecutor()

    def interrupt(planned: PlannedRun) -> None:
        if planned.order == 4:
            raise KeyboardInterrupt

    executor.before_run = interrupt
    outcome = run_study(tmp_path, executor)
    assert outcome == Outcome(ok=4, failed=0, undone=len(ALL) - 4, interrupted=True)
    assert executor.events[-1] == "close"
    run_study(tmp_path, FakeExecutor())
    assert [record.run_id for record in records_in(tmp_path)] == IDS
