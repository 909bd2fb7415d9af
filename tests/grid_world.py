"""A grid whose truth is known: a cost model in the place of llama.cpp, a worker that follows it, study folders.

A pass over n rows takes `pass_ms(n, K)`: what is read once, rows, and experts touched. Every sequence accepts the
same tokens each cycle, so speedups follow in closed form.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np

from runner.compose import manifest_of
from runner.errors import ModelError, StudyError
from runner.experiment import Experiment, Task, roles_of
from runner.grid_record import GridMeasurement, GridPoint
from runner.grid_suite import GridExperiment
from runner.lines import encode_line
from runner.messages import Counted, CountExperts, Loaded, MeasurePoint, OpenGrid, PointDone
from runner.record import MachineState, Manifest, ModelFacts, RoutingCount, Settings, fingerprint
from runner.wiring import Asker, FamilyName, Wiring
from suites.experiments import load_experiment
from tests.fake_executor import FakeClock
from tests.runner_cli.world import FakeFamily
from tests.simulated import ENGINE, MACHINE, MODELS, PROOF, SETTINGS, distinct_experts

EXPERTS = 64
FACTS: dict[str, ModelFacts] = {
    **{facts.role: facts for facts in MODELS},
    "moe-64": msgspec.structs.replace(MODELS[0], role="moe-64", file="moe-64.gguf", n_experts=EXPERTS),
    "draft-tiny": msgspec.structs.replace(MODELS[6], role="draft-tiny", file="draft-tiny.gguf"),
}
DENSE, EXPERT = 2_000_000_000, 100_000_000
ACCEPTED = {2: 2, 4: 3}
"""Tokens that each sequence accepts in each cycle, by gamma."""
DRAFT_MS, DRAFT_ROW_MS, REJECT_MS = 1.5, 0.05, 0.02


def pass_ms(rows: int, used: int) -> float:
    """The truth about a pass of the target."""
    return 4.0 + 0.8 * rows + 0.2 * distinct_experts(rows, EXPERTS, used)


def measurement_of(point: GridPoint, *, noise: float = 0.0, n_loop: int | None = None) -> GridMeasurement:
    """What the cost model yields; `noise` is relative, per sample."""
    rng = np.random.default_rng(int(fingerprint(point)[:8], 16))
    size, gamma, used = point.n_sequences, point.gamma, point.experts_used
    n_loop = n_loop or size

    def samples(ms: float, count: int = 5) -> list[int]:
        return [int(1e6 * ms * (1 + noise * rng.standard_normal())) for _ in range(count)]

    draft = DRAFT_MS + DRAFT_ROW_MS * size
    verify, reject = pass_ms(n_loop * (gamma + 1), used), REJECT_MS * n_loop
    return GridMeasurement(
        dense_parameters=DENSE,
        expert_parameters=EXPERT,
        n_loop_sequences=n_loop,
        n_cycles=5,
        accepted_tokens=5 * n_loop * ACCEPTED[gamma],
        target_1_ns=samples(pass_ms(size, used)),
        choose_1_ns=[0] * 5,
        target_gamma_ns=samples(pass_ms(size * gamma, used)),
        target_gamma1_ns=samples(pass_ms(size * (gamma + 1), used)),
        draft_ns=samples(draft, 5 * gamma),
        reject_ns=samples(reject),
        baseline_step_ns=samples(pass_ms(size, used)),
        cycle_ns=samples(verify + gamma * draft + reject),
        compared_tokens=100,
        same_tokens=99,
        n_rs_seq=gamma,
        target_proof=PROOF,
        draft_proof=PROOF,
    )


def true_speedup(used: int, gamma: int, size: int) -> float:
    """In closed form."""
    cycle = pass_ms(size * (gamma + 1), used) + gamma * (DRAFT_MS + DRAFT_ROW_MS * size) + REJECT_MS * size
    return (1 + ACCEPTED[gamma]) * pass_ms(size, used) / cycle


@dataclass
class GridWorld:
    """Everything outside the command; `script` holds errors that requests meet, by the text of what is asked."""

    script: defaultdict[str, deque[StudyError]] = field(default_factory=lambda: defaultdict(deque))
    asked: list[str] = field(default_factory=list)
    open_workers: int = 0
    facts: dict[str, ModelFacts] = field(default_factory=lambda: dict(FACTS))
    has_real_models: bool = False
    clock: FakeClock = field(default_factory=FakeClock)
    naps: defaultdict[str, deque[float]] = field(default_factory=lambda: defaultdict(deque))
    """Seconds that the machine sleeps during a request, by the text of what is asked."""

    def fails(self, what: object, *errors: StudyError) -> None:
        self.script[str(what)].extend(errors)

    def resolve(
        self, name: FamilyName, *, models_dir: Path | None, overrides: Mapping[str, Path], roles: list[str]
    ) -> FakeFamily:
        real = self.has_real_models and not {"moe-64", "draft-tiny"} & set(roles) and name != "synthetic"
        if name == "qwen3.5" and not real:
            raise ModelError(f"no file for {roles[0]}")
        paths = {role: Path(f"{role}.gguf") for role in roles}
        return FakeFamily("qwen3.5" if real else "synthetic", "for a test", paths, self.facts)

    def open_worker(self) -> Asker:
        self.open_workers += 1
        return FakeWorker(self)

    @property
    def wiring(self) -> Wiring:
        return Wiring(
            resolve_family=self.resolve,
            check_pair=lambda target, draft: None,
            make_executor=lambda paths, settings: None,
            engine_facts=lambda: ENGINE,
            machine_facts=lambda: MACHINE,
            machine_state=MachineState,
            kept_awake=nullcontext,
            write_report=lambda folder: folder / "report.html",
            tables=lambda folder: "",
            open_worker=self.open_worker,
            clock=self.clock.both,
        )


class FakeWorker:
    """Answers by the cost model unless the world's script says otherwise."""

    def __init__(self, world: GridWorld) -> None:
        self._world = world

    def ask(self, request, expected, *, limit_s):
        reply = self._reply(request)
        assert isinstance(reply, expected)
        return reply

    def _reply(self, request):
        if isinstance(request, OpenGrid):
            self._act("open")
            return Loaded()
        if isinstance(request, CountExperts):
            self._act(Path(request.target_path).stem)
            return Counted(n_experts=256, counts=counts_of(0.9))
        assert isinstance(request, MeasurePoint)
        self._act(str(request.point))
        return PointDone(measurement=measurement_of(request.point))

    def _act(self, what: str) -> None:
        self._world.asked.append(what)
        if self._world.naps[what]:
            self._world.clock.sleep_s(self._world.naps[what].popleft())
        if self._world.script[what]:
            raise self._world.script[what].popleft()

    def close(self) -> None:
        self._world.open_workers -= 1


def counts_of(share: float) -> list[RoutingCount]:
    """Counts at `share` of what uniform routing of 8 of 256 would touch, but for one token alone."""
    return [
        RoutingCount(
            source=source,
            n_tokens=n_tokens,
            n_windows=10,
            distinct_by_layer=[8.0 if n_tokens == 1 else share * distinct_experts(n_tokens)] * 4,
            standard_deviation=0.5,
        )
        for source in ("real", "drafted", "shuffled")
        for n_tokens in range(1, 34)
    ]


def grid_experiment(seed: int = 1) -> GridExperiment:
    """The shipped suite."""
    return GridExperiment(load_experiment("moesd-grid"), seed)


def plan_of(experiment: Experiment, settings: Settings = SETTINGS) -> tuple[list[Task], Manifest]:
    """Its tasks and manifest on the simulated machine."""
    family = FakeFamily("synthetic", "", {}, FACTS)
    tasks = experiment.tasks(settings, ENGINE, family)
    manifest = manifest_of(
        suite_sha256={experiment.name: experiment.sha256},
        plan_sha256=fingerprint([task.run_id for task in tasks]),
        n_cells=len(tasks),
        arguments=[],
        family=family,
        roles=roles_of(experiment),
        settings=settings,
        machine=MACHINE,
        engine=ENGINE,
    )
    return tasks, manifest


def write_log(
    folder: Path, experiment: Experiment, tasks: Sequence[Task], manifest: Manifest, fields: Sequence[dict]
) -> Path:
    """A study folder with one record per task; `fields` says what each came to."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_bytes(msgspec.json.encode(manifest))
    lines = [
        encode_line(
            experiment.record(
                task,
                {"run_id": task.run_id, "order": task.order, "started_utc": "2026-01-01", "status": "ok", **more},
            )
        )
        for task, more in zip(tasks, fields, strict=True)
    ]
    (folder / experiment.log.name).write_bytes(b"".join(lines))
    return folder
