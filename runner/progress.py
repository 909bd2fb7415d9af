"""How far a study is, on standard error: a bar with the time left on a terminal, now and then a line elsewhere.

The time left starts from assumed costs and is corrected by every run that ends: what a kind of run really took
over what was assumed for it (`runner.estimate`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from runner.estimate import estimated_s
from runner.executor import Pair, PlannedRun
from runner.prompts import likely_tokens
from runner.record import RunRecord
from runner.schedule import Watcher

LINES = 20
"""Lines that a whole study writes where there is no terminal, failures aside."""

_Kind = tuple[str, str, int]


class TimeLeft:
    """Assumed seconds of the runs to come, scaled kind by kind to what runs really took."""

    def __init__(self, runs: Iterable[PlannedRun]) -> None:
        self._to_come: defaultdict[_Kind, float] = defaultdict(float)
        self._assumed: defaultdict[_Kind, float] = defaultdict(float)
        self._taken: defaultdict[_Kind, float] = defaultdict(float)
        for run in runs:
            self._to_come[_kind(run)] += _assumed_s(run)

    def took(self, run: PlannedRun, seconds: float) -> None:
        """A run ended after `seconds`."""
        kind = _kind(run)
        self._to_come[kind] -= _assumed_s(run)
        self._assumed[kind] += _assumed_s(run)
        self._taken[kind] += seconds

    @property
    def seconds(self) -> float | None:
        """Seconds to come; None before anything was measured."""
        assumed = sum(self._assumed.values())
        if not assumed:
            return None
        overall = sum(self._taken.values()) / assumed
        return sum(left * self._scale(kind, overall) for kind, left in self._to_come.items())

    def _scale(self, kind: _Kind, overall: float) -> float:
        return self._taken[kind] / self._assumed[kind] if self._assumed[kind] else overall


class _Counting:
    """What bar and lines share: a run counts once, however many attempts it needs."""

    def __init__(self, runs: list[PlannedRun]) -> None:
        self.total = len(runs)
        self.done = 0
        self.failed = 0
        self._time_left = TimeLeft(runs)
        self._last: tuple[str, bool] | None = None

    def count(self, planned: PlannedRun, record: RunRecord, seconds: float) -> None:
        """Enter an attempt; a repeated one corrects its predecessor."""
        failed = record.status == "failed"
        if self._last is not None and self._last[0] == planned.run_id:
            self.failed += failed - self._last[1]
        else:
            self.done += 1
            self.failed += failed
            self._time_left.took(planned, seconds)
        self._last = (planned.run_id, failed)

    @property
    def time_left(self) -> str:
        """`about 0:12:30 left`, or nothing before the first run."""
        seconds = self._time_left.seconds
        return "" if seconds is None else f"about {timedelta(seconds=round(seconds))} left"

    @property
    def failures(self) -> str:
        """`2 failed`, or nothing."""
        return f"{self.failed} failed" if self.failed else ""


class LineWatcher:
    """Writes a line when a pair is loaded, when a run fails, and about twenty times in between."""

    def __init__(self, runs: list[PlannedRun], write: Callable[[str], None]) -> None:
        self._counting = _Counting(runs)
        self._write = write
        self._every = max(1, len(runs) // LINES)

    def loading(self, pair: Pair) -> None:
        """Announce the pair."""
        self._write(f"loading {pair}")

    def finished(self, planned: PlannedRun, record: RunRecord, seconds: float) -> None:
        """Count the run; report failures at once."""
        counting = self._counting
        counting.count(planned, record, seconds)
        if record.failure is not None:
            self._write(failure_line(record))
        if counting.done % self._every == 0 or counting.done == counting.total:
            parts = (f"{counting.done} of {counting.total} runs", counting.failures, counting.time_left)
            self._write(", ".join(part for part in parts if part))


class BarWatcher:
    """Draws a bar; failures are printed above it."""

    def __init__(self, runs: list[PlannedRun], progress: Progress, task: TaskID) -> None:
        self._counting = _Counting(runs)
        self._progress = progress
        self._task = task

    def loading(self, pair: Pair) -> None:
        """Name the pair beside the bar."""
        self._progress.update(self._task, description=f"loading {pair}")

    def finished(self, planned: PlannedRun, record: RunRecord, seconds: float) -> None:
        """Advance the bar."""
        counting = self._counting
        counting.count(planned, record, seconds)
        if record.failure is not None:
            self._progress.console.print(failure_line(record), markup=False, highlight=False)
        note = "  ".join(part for part in (counting.failures, counting.time_left) if part)
        self._progress.update(self._task, completed=counting.done, description=describe(planned), note=note)


@contextmanager
def watching(runs: list[PlannedRun]) -> Iterator[Watcher]:
    """A bar on standard error when that is a terminal, else lines."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield LineWatcher(runs, lambda line: click.echo(line, err=True))
        return
    what, note = TextColumn("{task.description}"), TextColumn("{task.fields[note]}")
    with Progress(what, BarColumn(), MofNCompleteColumn(), note, console=console) as progress:
        yield BarWatcher(runs, progress, progress.add_task("starting", total=len(runs), note=""))


def describe(planned: PlannedRun) -> str:
    """A run in a few words: `moe-q4 + draft-0.8b, gamma 8, code`."""
    cell = planned.cell
    models = cell.target if not cell.gamma else f"{cell.target} + {cell.draft}"
    return f"{models}, gamma {cell.gamma}, {cell.prompt}"


def failure_line(record: RunRecord) -> str:
    """A failed attempt in one line."""
    failure = record.failure
    assert failure is not None
    return f"run {record.order} failed (attempt {record.attempt}, {failure.kind}): {failure.message}"


def _kind(run: PlannedRun) -> _Kind:
    return (run.cell.target, run.cell.draft, run.cell.gamma)


def _assumed_s(run: PlannedRun) -> float:
    return estimated_s(run.cell, likely_tokens(run.prompt_text, run.prompt_tokens_wanted))
