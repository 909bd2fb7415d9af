"""Kills real studies of the built-in family at random instants: python -m tests.kill_real_by_hand 30

Only the parent is killed, as the system would; its measuring process has to notice and end by itself.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import chain, repeat
from pathlib import Path

import click
import psutil

from runner.record import RunRecord
from tests.fake_executor import records_in
from tests.kill_study import whole_lines

COMMAND = (
    sys.executable, "-m", "runner", "suite", "prompt-sweep", "--family", "synthetic", "--repeats", "1",
    "--n-predict", "24", "--threads", "1", "--out",
)  # fmt: skip
SECONDS_TO_DIE = 20
LIFE = (0.3, 0.9)
"""Life of a process over what a whole study takes; starting and proving the models fills the first third."""


def _measured(record: RunRecord) -> tuple[int, str, str, list[int]]:
    """What of a record does not depend on time."""
    assert record.measurement is not None, record.failure
    return record.order, record.run_id, record.status, record.measurement.tokens


def _continue(folder: Path, life_s: float | None) -> bool:
    """Continue the study; True when it was killed."""
    process = subprocess.Popen([*COMMAND, str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        _, said = process.communicate(timeout=life_s)
    except subprocess.TimeoutExpired:
        workers = psutil.Process(process.pid).children(recursive=True)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        _, alive = psutil.wait_procs(workers, timeout=SECONDS_TO_DIE)
        assert not alive, f"measuring processes outlived their parent: {alive}"
        return True
    assert process.returncode == 0, said.decode()
    return False


def _kill_until_whole(folder: Path, lives_s: Iterator[float | None]) -> tuple[int, set[int]]:
    """Kill and continue a study until it is whole: number of kills, and after how many runs they fell."""
    kills, places = 0, set()
    for life_s in lives_s:
        before = whole_lines(folder)
        killed = _continue(folder, life_s)
        after = whole_lines(folder)
        assert after[: len(before)] == before, "a completed run is lost or changed"
        if not killed:
            break
        kills += 1
        places.add(len(after))
    return kills, places


@click.command()
@click.argument("n_kills", type=int)
@click.option("--seed", type=int, default=1)
def main(n_kills: int, seed: int) -> None:
    """Kill real studies N_KILLS times and say what was found."""
    rng = random.Random(seed)
    places: set[int] = set()
    kills = studies = 0
    with tempfile.TemporaryDirectory() as name:
        started = time.monotonic()
        _continue(Path(name) / "whole", None)
        took_s = time.monotonic() - started
        whole = [_measured(record) for record in records_in(Path(name) / "whole")]
        while kills < n_kills:
            folder = Path(name) / f"study-{studies}"
            lives_s = (rng.uniform(*LIFE) * took_s for _ in range(n_kills - kills))
            more_kills, more_places = _kill_until_whole(folder, chain(lives_s, repeat(None)))
            studies, kills, places = studies + 1, kills + more_kills, places | more_places
            assert [_measured(record) for record in records_in(folder)] == whole
    click.echo(
        f"{kills} kills in {studies} real studies of {len(whole)} runs, at {len(places)} different places:"
        " no completed run lost, none doubled, same order, same tokens"
    )


if __name__ == "__main__":
    main()
