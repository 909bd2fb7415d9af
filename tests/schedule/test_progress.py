"""Progress counts runs, not attempts, and its time left follows what runs really took."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.progress import Progress, TextColumn

from runner.estimate import estimated_s
from runner.executor import Pair, PlannedRun
from runner.progress import BarWatcher, LineWatcher, TimeLeft, watching
from runner.prompts import likely_tokens
from runner.record import Failure, RunRecord
from tests.fake_executor import FACTS, small_plan

RUNS = list(small_plan().runs)


def assumed_s(run: PlannedRun) -> float:
    return estimated_s(run.cell, likely_tokens(run.prompt_text, run.prompt_tokens_wanted))


def record_of(run: PlannedRun, attempt: int = 1, failure: str | None = None) -> RunRecord:
    return RunRecord(
        run_id=run.run_id,
        attempt=attempt,
        order=run.order,
        cell=run.cell,
        status="failed" if failure else "ok",
        started_utc="",
        started_monotonic_ns=0,
        engine_version="",
        target_sha256=FACTS[run.cell.target].sha256,
        failure=Failure(kind="EngineError", message=failure) if failure else None,
    )


def watched(n_runs: int) -> tuple[LineWatcher, list[str]]:
    lines: list[str] = []
    return LineWatcher(RUNS[:n_runs], lines.append), lines


def test_there_is_no_time_left_to_tell_before_anything_was_measured() -> None:
    assert TimeLeft(RUNS).seconds is None


@given(scale=st.floats(0.01, 100), done=st.integers(1, len(RUNS)))
def test_a_machine_that_is_so_much_slower_takes_so_much_longer(scale: float, done: int) -> None:
    left = TimeLeft(RUNS)
    for run in RUNS[:done]:
        left.took(run, scale * assumed_s(run))
    assert left.seconds == pytest.approx(scale * sum(map(assumed_s, RUNS[done:])), rel=1e-6, abs=1e-9)


def test_a_kind_of_run_that_was_measured_is_not_judged_by_the_others() -> None:
    baseline = next(run for run in RUNS if run.cell.gamma == 0)
    others = [run for run in RUNS if run.cell.gamma == 4 and run.cell.target == "moe-q4"]
    left = TimeLeft([baseline, *others])
    left.took(baseline, 1000 * assumed_s(baseline))
    left.took(others[0], 2 * assumed_s(others[0]))
    assert left.seconds == pytest.approx(2 * sum(map(assumed_s, others[1:])))


def test_when_everything_is_done_nothing_is_left() -> None:
    left = TimeLeft(RUNS)
    for run in RUNS:
        left.took(run, 1.0)
    assert left.seconds == pytest.approx(0, abs=1e-9)


def test_lines_say_how_far_the_study_is_and_how_long_it_will_take() -> None:
    watcher, lines = watched(3)
    watcher.loading(Pair(target="moe-q4", draft="none", gammas=(0,)))
    for run in RUNS[:3]:
        watcher.finished(run, record_of(run), 3600 * assumed_s(run))
    assert lines[0] == "loading moe-q4"
    assert lines[1].startswith("1 of 3 runs, about ")
    assert lines[-1] == "3 of 3 runs, about 0:00:00 left"


def test_a_long_study_writes_about_twenty_lines() -> None:
    lines: list[str] = []
    many = RUNS * 20
    watcher = LineWatcher(many, lines.append)
    for run in many:
        watcher.finished(run, record_of(run), 1.0)
    assert 20 <= len(lines) <= 22


def test_a_failure_is_told_at_once_and_counted_until_an_attempt_succeeds() -> None:
    watcher, lines = watched(4)
    watcher.finished(RUNS[0], record_of(RUNS[0], failure="died"), 1.0)
    assert lines[0] == "run 0 failed (attempt 1, EngineError): died"
    assert "1 of 4 runs, 1 failed" in lines[1]
    watcher.finished(RUNS[0], record_of(RUNS[0], attempt=2), 1.0)
    assert "failed" not in lines[-1]
    assert lines[-1].startswith("1 of 4 runs")


def test_a_run_that_fails_twice_is_one_failed_run() -> None:
    watcher, lines = watched(4)
    for attempt in (1, 2):
        watcher.finished(RUNS[0], record_of(RUNS[0], attempt, failure="died"), 1.0)
    assert "1 of 4 runs, 1 failed" in lines[-1]


def test_the_bar_advances_and_prints_failures_above_itself() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=200)
    with Progress(TextColumn("{task.fields[note]}"), console=console) as progress:
        task = progress.add_task("starting", total=2, note="")
        watcher = BarWatcher(RUNS[:2], progress, task)
        watcher.loading(Pair(target="moe-q4", draft="draft-0.8b", gammas=(0, 4)))
        assert progress.tasks[0].description == "loading moe-q4 + draft-0.8b"
        watcher.finished(RUNS[0], record_of(RUNS[0], failure="died [1/2] of it"), 1.0)
        watcher.finished(RUNS[1], record_of(RUNS[1]), 1.0)
        assert progress.tasks[0].completed == 2
        assert progress.tasks[0].fields["note"] == "1 failed  about 0:00:00 left"
    assert "died [1/2] of it" in console.file.getvalue()  # type: ignore[attr-defined]


def test_where_there_is_no_terminal_lines_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    with watching(RUNS[:1]) as watcher:
        watcher.finished(RUNS[0], record_of(RUNS[0]), 1.0)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("1 of 1 runs")
