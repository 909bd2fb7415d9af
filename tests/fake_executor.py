"""An executor that follows a script instead of loading models, and the bench that a scheduler needs around it.

Timings and tokens come from the cost model of `tests.simulated`, so a study run with it can be analysed; whatever
the script does not mention succeeds. `events` is what happened, in order: `open …`, `run N`, `close`.

>>> executor = FakeExecutor()
>>> executor.fails(2, WorkerError("died"))
>>> executor.refuses("dense-9b", ModelError("truncated"))
"""

from __future__ import annotations

import hashlib
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from runner.attempts import Clock
from runner.errors import ModelError, WorkerError
from runner.executor import Pair, PlannedRun
from runner.interrupt import Stop
from runner.plan import Plan, identify, lay_out
from runner.record import Cycles, MachineState, Manifest, Measurement, RunRecord, fingerprint
from runner.redact import Private
from runner.schedule import Bench
from suites.loader import Axes, Suite, adjusted, load_suites
from tests.simulated import ENGINE, MACHINE, MODELS, PROOF, SETTINGS, T1_MS, Config, draft_lengths, greedy_text

__all__ = ["FakeExecutor", "ModelError", "WorkerError"]

FACTS = {facts.role: facts for facts in MODELS}
PRIVATE = Private(home="/home/adalovelace", user="adalovelace", host="ada-laptop")


class FakeExecutor:
    """Loads nothing and measures nothing, but keeps to the protocol."""

    def __init__(self, seed: int = 1) -> None:
        self.events: list[str] = []
        self.before_run: Callable[[PlannedRun], None] = lambda planned: None
        self.before_open: Callable[[Pair], None] = lambda pair: None
        self._seed = seed
        self._run_script: defaultdict[int, deque[Exception | Measurement]] = defaultdict(deque)
        self._open_script: defaultdict[str, deque[Exception]] = defaultdict(deque)
        self._open = 0

    def fails(self, order: int, *errors: Exception) -> None:
        """The next attempts at the run at `order` raise these, one each."""
        self._run_script[order].extend(errors)

    def answers(self, order: int, measurement: Measurement) -> None:
        """The next attempt at the run at `order` yields this measurement."""
        self._run_script[order].append(measurement)

    def refuses(self, target: str, *errors: Exception) -> None:
        """The next attempts to load a pair with this target raise these, one each."""
        self._open_script[target].extend(errors)

    @property
    def ran(self) -> list[int]:
        """Orders of the runs that were asked for, repeated attempts included."""
        return [int(event.removeprefix("run ")) for event in self.events if event.startswith("run ")]

    def open(self, pair: Pair) -> FakeSession:
        """Load a pair; only one may be loaded at a time."""
        assert self._open == 0, "a pair was loaded while another still was"
        self.before_open(pair)
        self.events.append(f"open {pair}")
        if self._open_script[pair.target]:
            raise self._open_script[pair.target].popleft()
        self._open += 1
        return FakeSession(self, pair)

    def execute(self, planned: PlannedRun) -> Measurement:
        """What the script says about this run, else success."""
        self.before_run(planned)
        self.events.append(f"run {planned.order}")
        scripted = self._run_script.get(planned.order)
        answer = scripted.popleft() if scripted else measurement_of(planned, self._seed)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def closed(self) -> None:
        """A session gave its memory back."""
        self._open -= 1
        self.events.append("close")


class FakeSession:
    """A pair that is not loaded."""

    def __init__(self, executor: FakeExecutor, pair: Pair) -> None:
        self._executor = executor
        self._pair = pair

    def run(self, planned: PlannedRun) -> Measurement:
        """Execute a run of this pair; a run of another would be the scheduler's fault."""
        assert planned.loads == (self._pair.target, self._pair.draft)
        assert planned.cell.gamma in {0, *self._pair.drafted}
        return self._executor.execute(planned)

    def close(self) -> None:
        """Give nothing back."""
        self._executor.closed()


def measurement_of(planned: PlannedRun, seed: int) -> Measurement:
    """A measurement as the cost model has it; the same seed and run give the same one."""
    cell = planned.cell
    digest = hashlib.sha256(f"{seed}/{planned.run_id}".encode()).digest()
    rng = np.random.default_rng(list(digest))
    drafted, accepted = draft_lengths(Config(), cell, rng)
    n_cycles = len(drafted)
    target_ns = int(T1_MS[cell.target] * 1e4 * rng.uniform(0.98, 1.02))
    cycles = Cycles(
        drafted=drafted,
        accepted=accepted,
        draft_ns=[n * 70_000 for n in drafted],
        verify_ns=[target_ns + n * 20_000 for n in drafted],
        rollback_ns=[5_000] * n_cycles,
        sample_ns=[1_000] * n_cycles,
    )
    llama_ns = sum(map(sum, (cycles.draft_ns, cycles.verify_ns, cycles.rollback_ns, cycles.sample_ns)))
    tokens, margins = greedy_text(1, cell.target, cell.prompt, cell.n_predict_tokens)
    speculative = cell.gamma > 0
    n_prompt = planned.prompt_tokens_wanted or 40
    return Measurement(
        n_prompt_tokens=n_prompt,
        prompt_tokens_sha256=fingerprint("tokens", cell.prompt),
        target_rollback="snapshots" if speculative else "none",
        draft_rollback="checkpoint" if speculative else "none",
        n_rs_seq=cell.gamma,
        prefill_tokens=n_prompt - 1,
        prefill_target_ns=10**6,
        prefill_draft_ns=10**5 * speculative,
        decode_wall_ns=llama_ns + 10_000 * n_cycles,
        llama_ns=llama_ns,
        cycles=cycles,
        tokens=tokens,
        target_proof=PROOF if speculative else None,
        draft_proof=PROOF if speculative else None,
        margins=[] if speculative else margins,
    )


class SilentWatcher:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[int, str, int]] = []
        """Order, status and attempt of every finished attempt."""

    def loading(self, pair: Pair) -> None:
        """Nothing to draw."""

    def finished(self, planned: PlannedRun, record: RunRecord, seconds: float) -> None:
        """Remember the attempt."""
        self.told.append((planned.order, record.status, record.attempt))


def small_suite(name: str = "small", **changes: object) -> Suite:
    """Two targets, one draft, two gammas, two prompts, two blocks: 16 cells and 8 paired baselines."""
    axes = Axes(targets=["moe-q4", "dense-4b"], drafts=["draft-0.8b"], gammas=[2, 4], prompts=["short", "code"])
    suite: dict[str, object] = {
        "sha256": fingerprint(name), "title": "A small suite", "baseline": "paired", "blocks": 2,
        "n_predict_tokens": 8, "axes": axes,
    }  # fmt: skip
    return Suite(name=name, **(suite | changes))


def plan_of(suites: Iterable[Suite], seed: int = 1) -> Plan:
    """The plan of suites on the simulated family."""
    return identify(lay_out(suites, seed), SETTINGS, ENGINE, FACTS)


def small_plan(seed: int = 1) -> Plan:
    """The plan of `small_suite`: 24 runs of two pairs and their reference runs."""
    return plan_of([small_suite()], seed)


def published_plan(blocks: int, n_predict_tokens: int = 24) -> Plan:
    """The plan of the published matrix, cut down."""
    suites = load_suites(("all",))
    return plan_of(adjusted(suite, blocks=blocks, n_predict_tokens=n_predict_tokens) for suite in suites)


def manifest_for(plan: Plan, suites: Sequence[str] = ("small",)) -> Manifest:
    """The manifest that belongs to a plan."""
    return Manifest(
        tool_version="0.1.0", created_utc="2026-01-01T00:00:00+00:00", arguments=["suite", *suites],
        family="simulated", suites=list(suites), suite_sha256={name: fingerprint(name) for name in suites},
        plan_sha256=plan.sha256, n_cells=sum(run.cell.purpose == "cell" for run in plan.runs), settings=SETTINGS,
        models=list(MODELS), engine=ENGINE, machine=MACHINE, packages={"llama-cpp-python": "0.3.36"},
    )  # fmt: skip


class FakeClock:
    """Both clocks advance a millisecond a reading; `sleep_s` moves only the one on the wall."""

    def __init__(self) -> None:
        self._ticks = 0
        self._slept_ns = 0

    def sleep_s(self, seconds: float) -> None:
        """The lid was closed for so long."""
        self._slept_ns += int(seconds * 1e9)

    def monotonic_ns(self) -> int:
        """Nanoseconds that the machine was awake."""
        self._ticks += 1
        return self._ticks * 1_000_000

    def wall_ns(self) -> int:
        """Nanoseconds on the wall."""
        self._ticks += 1
        return self._ticks * 1_000_000 + self._slept_ns

    @property
    def both(self) -> Clock:
        """As the scheduler wants them."""
        return Clock(self.monotonic_ns, self.wall_ns)


def bench_for(
    watcher: SilentWatcher | None = None, clock: FakeClock | None = None, stop: Stop | None = None
) -> Bench:
    """A bench with nothing real on it."""
    clock = clock or FakeClock()
    return Bench(
        state=lambda: MachineState(thermal_level="nominal"),
        clock=clock.both,
        stop=stop or Stop(),
        watcher=watcher or SilentWatcher(),
        private=PRIVATE,
        engine_version=ENGINE.version,
        sha256_of={role: facts.sha256 for role, facts in FACTS.items()},
    )


def records_in(folder: Path) -> list[RunRecord]:
    """Every record of a study in the order of its lines."""
    from runner.lines import decode_line

    lines = (folder / "runs.jsonl").read_bytes().splitlines(keepends=True)
    return [decode_line(line, f"runs.jsonl:{number}") for number, line in enumerate(lines, start=1)]
