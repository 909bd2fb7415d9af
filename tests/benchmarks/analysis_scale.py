"""How the analysis scales: time and peak memory of each command on simulated studies. Prints, asserts nothing.

    python -m tests.benchmarks.analysis_scale            306 cells (3 blocks)
    python -m tests.benchmarks.analysis_scale 300        30,600 cells (300 blocks)

Cells are the declared ones; with their paired baselines a study holds 378 runs per three blocks. Every command
runs in a process of its own, so that its peak memory is its own; processor time includes starting Python.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.simulated import Config, honest_study

COMMANDS = ("tables", "decompose", "audit", "claims")
_STEP = (
    "import sys, resource, contextlib, io\n"
    "from analysis.cli import cli\n"
    "with contextlib.redirect_stdout(io.StringIO()):\n"
    "    try: cli(sys.argv[1:], standalone_mode=False)\n"
    "    except SystemExit: pass\n"
    "used = resource.getrusage(resource.RUSAGE_SELF)\n"
    "print(used.ru_utime + used.ru_stime, used.ru_maxrss)\n"
)
_UNITS_PER_MB = 1000.0 if sys.platform.startswith("linux") else 1e6


def main(blocks: int) -> None:
    """Simulate a study of `blocks` blocks and run every command on it."""
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        study = honest_study(Path(folder) / "study", Config(blocks=blocks))
        size_mb = (study / "runs.jsonl").stat().st_size / 1e6
        print(
            f"{102 * blocks:,} cells, {126 * blocks:,} runs, {size_mb:.0f} MB, simulated in {_since(begin):.1f} s"
        )
        wall_s = processor_s = 0.0
        for command in COMMANDS:
            begin = time.perf_counter()
            seconds, peak_mb = _measure(command, study)
            wall_s, processor_s = wall_s + _since(begin), processor_s + seconds
            print(f"{command:10} {_since(begin):6.2f} s, processor {seconds:6.2f} s, peak {peak_mb:6.0f} MB")
        print(f"{'together':10} {wall_s:6.2f} s, processor {processor_s:6.2f} s")


def _measure(command: str, study: Path) -> tuple[float, float]:
    done = subprocess.run(
        [sys.executable, "-c", _STEP, command, str(study)], capture_output=True, text=True, check=True
    )
    seconds, peak = done.stdout.split()[-2:]
    return float(seconds), float(peak) / _UNITS_PER_MB


def _since(begin: float) -> float:
    return time.perf_counter() - begin


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
