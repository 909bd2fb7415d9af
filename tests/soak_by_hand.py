"""A long study with the fake engine: is the parent's memory flat, is the file consistent?

python -m tests.soak_by_hand 3600 --runs-per-s 50
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
import psutil

from runner.executor import PlannedRun
from runner.schedule import execute, missing_runs
from runner.study import Study
from tests.fake_executor import FakeExecutor, bench_for, manifest_for, plan_of, records_in, small_suite

MIB = 2**20
RUNS_PER_BLOCK = 12
"""Of the small suite; the reference runs on top make the study a little longer than asked for."""


class _Silent:
    def loading(self, pair: object) -> None:
        """Nothing to draw, nothing to remember."""

    finished: Callable[..., None] = lambda *_: None


def _paced(executor: FakeExecutor, runs_per_s: float, samples: list[int]) -> None:
    process, started, count = psutil.Process(), time.monotonic(), 0

    def pace(planned: PlannedRun) -> None:
        nonlocal count
        count += 1
        executor.events.clear()
        if count % 500 == 0:
            samples.append(process.memory_info().rss)
        time.sleep(max(0.0, started + count / runs_per_s - time.monotonic()))

    executor.before_run = pace


@click.command()
@click.argument("seconds", type=float)
@click.option("--runs-per-s", type=float, default=50.0)
def main(seconds: float, runs_per_s: float) -> None:
    """Run a study for SECONDS and say how its memory and its file fared."""
    blocks = math.ceil(seconds * runs_per_s / RUNS_PER_BLOCK)
    plan = plan_of([small_suite(blocks=blocks)])
    samples: list[int] = []
    executor = FakeExecutor()
    _paced(executor, runs_per_s, samples)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        study_folder = Path(folder) / "study"
        with Study(study_folder, manifest_for(plan), [run.run_id for run in plan.runs]) as study:
            bench = bench_for(_Silent())  # type: ignore[arg-type]
            outcome = execute(plan, missing_runs(plan, study), executor, study, bench)
        elapsed_s = time.monotonic() - started
        ids = [record.run_id for record in records_in(study_folder)]
    assert ids == [run.run_id for run in plan.runs]
    assert outcome.ok == len(plan.runs)
    click.echo(
        f"{len(ids)} runs in {elapsed_s:.0f} s ({len(ids) / elapsed_s:.1f} a second), file consistent;"
        f" memory {samples[0] / MIB:.1f} MiB after 500 runs, {max(samples) / MIB:.1f} at most,"
        f" {samples[-1] / MIB:.1f} at the end"
    )


if __name__ == "__main__":
    main()
