"""The MoESD grid as an experiment: which points, in which order, asked of a worker (issue 5, point 4)."""

from __future__ import annotations

from itertools import product
from typing import Any

import msgspec

from runner import compose
from runner.compose import Wish
from runner.errors import ModelError
from runner.executor import Pair
from runner.experiment import Task, identity
from runner.grid_record import GRID_LOG, GridPoint, GridRecord
from runner.history import Log
from runner.messages import Loaded, MeasurePoint, OpenGrid, PointDone
from runner.prompts import NATURAL, load_prompt
from runner.record import EngineFacts, MachineFacts, Settings, fingerprint
from runner.wiring import Asker, FoundFamily
from runner.worker_client import LOAD_LIMIT_S
from suites.experiments import GridSuite

PREFLIGHT_TOKENS = 256
"""Context of a proof on one sequence; each point's own contexts are as large as it needs."""
_POINT_LIMIT_S = 1800.0
_POINT_S = 0.6
_ROW_S = (0.4e-3, 0.08e-3)
"""Assumed seconds of a point, and of a row of a pass on one thread: of every row, and for each expert used.
Measured on the built-in mixture on a server core; progress corrects it."""


class GridExperiment:
    """`runner.experiment.Experiment` over a `GridSuite`."""

    log = Log(GRID_LOG, GridRecord)
    unexamined: tuple[tuple[str, str], ...] = (
        ("memory", "contexts of many sequences are not in this estimate; loops take fewer where memory is short"),
        ("rollback", "proved here with the file's own number of experts, and by each point with its own"),
    )

    def __init__(self, suite: GridSuite, seed: int) -> None:
        self._suite, self._seed = suite, seed
        self.name, self.sha256 = suite.name, suite.sha256
        self._prompt = load_prompt(f"{NATURAL}-{max(suite.batch_sizes) * suite.prompt_tokens}").text

    def pairs(self) -> list[tuple[str, str]]:
        """The one pair."""
        return [(self._suite.target, self._suite.draft)]

    def proofs(self) -> list[Pair]:
        """The pair with every gamma of the grid."""
        gammas = tuple(sorted({0, *self._suite.gammas}))
        return [Pair(target=self._suite.target, draft=self._suite.draft, gammas=gammas)]

    def settings(self, wish: Wish, machine: MachineFacts) -> Settings:
        """Micro-batches that hold the widest verification, so that each is one pass over the weights."""
        widest = max(self._suite.batch_sizes) * (max(self._suite.gammas) + 1)
        rows = max(compose.BATCH_TOKENS, -(-widest // 64) * 64)
        settings = compose.settings_of(wish, PREFLIGHT_TOKENS, machine)
        return msgspec.structs.replace(settings, n_batch_tokens=rows, n_ubatch_tokens=rows)

    def refuse(self, family: FoundFamily) -> None:
        """Raise ModelError when the target has fewer experts than a point uses."""
        target, most = family.facts[self._suite.target], max(self._suite.experts_used)
        if target.n_experts < most:
            raise ModelError(
                f"{target.file}: a layer has {target.n_experts} experts and {self.name} uses up to {most}; "
                f"name another GGUF with --role {self._suite.target}=PATH"
            )

    def points(self) -> list[GridPoint]:
        """Every point in an order that the seed alone decides."""
        axes = product(self._suite.experts_used, self._suite.gammas, self._suite.batch_sizes)
        points = [GridPoint(experts_used=used, gamma=gamma, n_sequences=size) for used, gamma, size in axes]
        return sorted(points, key=lambda point: fingerprint("order", self._seed, point))

    def tasks(self, settings: Settings, engine: EngineFacts, family: FoundFamily) -> list[Task]:
        """All points with their identities."""
        design = [self._suite.prompt_tokens, self._suite.rounds, self._suite.sequence_cycles, self._prompt]
        files = [family.facts[role].sha256 for role in (self._suite.target, self._suite.draft)]
        return [
            Task(
                order=order,
                run_id=identity(point, design, settings, engine, *files),
                subject=point,
                assumed_s=self.assumed_s(point, settings.n_threads),
            )
            for order, point in enumerate(self.points())
        ]

    def assumed_s(self, point: GridPoint, n_threads: int) -> float:
        """Seconds that a point may take."""
        cycles = max(self._suite.rounds * point.n_sequences, self._suite.sequence_cycles)
        per_cycle = 1 + point.gamma + 1 + point.gamma
        rows = (
            cycles * per_cycle * (1 + 1 / self._suite.rounds) + 2 * point.n_sequences * self._suite.prompt_tokens
        )
        return _POINT_S + rows * (_ROW_S[0] + _ROW_S[1] * point.experts_used) / n_threads

    def open(self, worker: Asker, family: FoundFamily, settings: Settings) -> None:
        """Load the pair; top-k is overridden and rollback proved when a point first needs it."""
        target, draft = (str(family.paths[role]) for role in (self._suite.target, self._suite.draft))
        asked = OpenGrid(target_path=target, draft_path=draft, settings=settings)
        worker.ask(asked, Loaded, limit_s=LOAD_LIMIT_S)

    def measure(self, worker: Asker, task: Task, family: FoundFamily, settings: Settings) -> dict[str, Any]:
        """One point."""
        asked = MeasurePoint(
            point=task.subject,
            prompt_text=self._prompt,
            prompt_tokens=self._suite.prompt_tokens,
            rounds=self._suite.rounds,
            sequence_cycles=self._suite.sequence_cycles,
        )
        return {"measurement": worker.ask(asked, PointDone, limit_s=_POINT_LIMIT_S).measurement}

    def record(self, task: Task, fields: dict[str, Any]) -> GridRecord:
        """A line of the grid's log."""
        return GridRecord(point=task.subject, **fields)
