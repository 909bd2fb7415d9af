"""A small study run by the scheduler with a scripted executor; the tests of this folder share it."""

from __future__ import annotations

from pathlib import Path

from runner.record import RunRecord
from runner.schedule import Bench, Outcome, execute, missing_or_failed_runs, missing_runs
from runner.study import Study
from tests.fake_executor import (
    FakeExecutor,
    bench_for,
    manifest_for,
    records_in,
    small_plan,
)

PLAN = small_plan()
IDS = [run.run_id for run in PLAN.runs]
ALL = list(range(len(PLAN.runs)))
FIRST_OF_SECOND_PAIR = next(run.order for run in PLAN.runs if run.cell.target == "dense-4b")
SPECULATIVE = next(run for run in PLAN.runs if run.cell.gamma == 4)


def run_study(folder: Path, executor: FakeExecutor, bench: Bench | None = None, rerun: bool = False) -> Outcome:
    with Study(folder, manifest_for(PLAN), IDS) as study:
        wanted = missing_or_failed_runs(PLAN, study) if rerun else missing_runs(PLAN, study)
        return execute(PLAN, wanted, executor, study, bench or bench_for())


def attempts_at(folder: Path, order: int) -> list[RunRecord]:
    return [record for record in records_in(folder) if record.order == order]
