"""Kills a study again and again at random instants and proves after each that nothing was lost or doubled.

The study is real but for its engine: the same store, scheduler and locks, in a process of its own that is ended
by SIGKILL. `tests.kill_by_hand` runs more of it than the test suite does.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import time
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from runner.executor import Pair, PlannedRun
from runner.lines import decode_line
from runner.record import RunRecord
from runner.schedule import execute, missing_runs
from runner.study import Study
from tests.fake_executor import FakeExecutor, bench_for, manifest_for, published_plan, records_in

PLAN = published_plan(blocks=1)
IDS = [run.run_id for run in PLAN.runs]
LIFE = 0.5
"""Longest life of a process over the time that a whole study takes on this machine, processes' start included."""

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["tests.kill_study"])


@dataclass
class Report:
    """What was done; any fault raised AssertionError before."""

    kills: int = 0
    studies: int = 0
    torn: int = 0
    runs_at_kill: list[int] = field(default_factory=list)

    def __str__(self) -> str:
        places = len(set(self.runs_at_kill))
        return (
            f"{self.kills} kills in {self.studies} studies of {len(IDS)} runs, at {places} different places,"
            f" {self.torn} torn lines: no completed run lost, none doubled, same order, same measurements"
        )


class _Acknowledging:
    """Tells over a pipe which runs the study has reported as written, before it can be killed."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    def loading(self, pair: Pair) -> None:
        """Nothing to tell."""

    def finished(self, planned: PlannedRun, record: RunRecord, seconds: float) -> None:
        """This run is on the disk."""
        os.write(self._pipe, f"{planned.order}\n".encode())


def continue_study(folder: Path, pipe: int) -> None:
    """Run what the study lacks; the body of the process that is killed."""
    with Study(folder, manifest_for(PLAN), IDS) as study:
        bench = msgspec.structs.replace(bench_for(), watcher=_Acknowledging(pipe))
        execute(PLAN, missing_runs(PLAN, study), FakeExecutor(), study, bench)


def _child(folder: Path, connection: multiprocessing.connection.Connection) -> None:
    continue_study(folder, connection.fileno())


def continued(folder: Path, life_s: float | None) -> tuple[bool, list[int]]:
    """Continue the study in a process and kill it after `life_s` seconds; None lets it live.

    Returns whether it was killed, and the orders of the runs that it reported as written.
    """
    reader, writer = _processes.Pipe(duplex=False)
    process = _processes.Process(target=_child, args=(folder, writer))
    process.start()
    writer.close()
    if life_s is not None:
        time.sleep(life_s)
        process.kill()
    with os.fdopen(os.dup(reader.fileno())) as pipe:
        acknowledged = [int(line) for line in pipe]
    reader.close()
    process.join()
    assert process.exitcode in {0, -9}, "the study failed"
    return process.exitcode != 0, acknowledged


def whole_lines(folder: Path) -> list[bytes]:
    """Lines of the run log that were written to their end."""
    log = folder / "runs.jsonl"
    lines = log.read_bytes().splitlines(keepends=True) if log.exists() else []
    return [line for line in lines if line.endswith(b"\n")]


def comparable(record: RunRecord) -> RunRecord:
    """The record but for when it was measured."""
    return msgspec.structs.replace(record, started_utc="", started_monotonic_ns=0)


def kill_repeatedly(folder: Path, n_kills: int, rng: random.Random) -> Report:
    """Kill studies below `folder` `n_kills` times. Raises AssertionError at the first fault."""
    continued(folder / "first", None)
    started = time.monotonic()
    continued(folder / "whole", None)
    longest_life_s = LIFE * (time.monotonic() - started)
    whole = [comparable(record) for record in records_in(folder / "whole")]
    assert [record.run_id for record in whole] == IDS
    report = Report()
    while report.kills < n_kills:
        study = folder / f"study-{report.studies}"
        report.studies += 1
        _kill_until_whole(study, n_kills, longest_life_s, rng, report)
        assert [comparable(record) for record in records_in(study)] == whole
        report.torn += len(list(study.glob("runs.torn-*.jsonl")))
    return report


def _kill_until_whole(
    study: Path, n_kills: int, longest_life_s: float, rng: random.Random, report: Report
) -> None:
    killed = True
    while killed:
        before = whole_lines(study)
        life_s = rng.uniform(0, longest_life_s) if report.kills < n_kills else None
        killed, acknowledged = continued(study, life_s)
        after = whole_lines(study)
        orders = [decode_line(line, "log").order for line in after]
        assert orders == list(range(len(orders))), "a run is missing, doubled or out of order"
        assert after[: len(before)] == before, "a line that was whole has changed"
        assert acknowledged == orders[len(before) :][: len(acknowledged)]
        assert len(after) >= len(before) + len(acknowledged), "a run that was reported as written is lost"
        report.kills += killed
        report.runs_at_kill.append(len(after))
