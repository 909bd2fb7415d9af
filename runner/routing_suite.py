"""The counting of touched experts as an experiment (issue 4; issue 5, "it must show")."""

from __future__ import annotations

from itertools import product
from typing import Any

from runner import compose
from runner.compose import Wish
from runner.executor import Pair
from runner.experiment import Task, identity
from runner.grid_record import ROUTING_LOG, RoutingRecord, RoutingSubject
from runner.history import Log
from runner.messages import Counted, CountExperts
from runner.plan import CONTEXT_STEP
from runner.prompts import load_prompt
from runner.record import EngineFacts, MachineFacts, Settings, fingerprint
from runner.wiring import Asker, FoundFamily
from runner.worker_client import LOAD_LIMIT_S
from suites.experiments import RoutingSuite
from suites.roles import BUILT_IN

_LONGEST_GUESS_TOKENS = 33
_TOKEN_S = 0.03
"""Assumed, for a pass that is looked at, its share of the guesses, and the shuffled text."""


class RoutingExperiment:
    """`runner.experiment.Experiment` over a `RoutingSuite`; real families lack the built-in roles."""

    log = Log(ROUTING_LOG, RoutingRecord)
    unexamined: tuple[tuple[str, str], ...] = (
        ("rollback", "each text proves the draft's before it counts; no target is rolled back"),
    )

    def __init__(self, suite: RoutingSuite, seed: int, family: str) -> None:
        self._suite, self._seed = suite, seed
        self.name, self.sha256 = suite.name, suite.sha256
        self._targets = [role for role in suite.targets if family == compose.SYNTHETIC or role not in BUILT_IN]

    def pairs(self) -> list[tuple[str, str]]:
        """Each target with the draft."""
        return [(target, self._suite.draft) for target in self._targets]

    def proofs(self) -> list[Pair]:
        """The same pairs; no target is rolled back."""
        return [Pair(target=target, draft=draft, gammas=(0,)) for target, draft in self.pairs()]

    def settings(self, wish: Wish, machine: MachineFacts) -> Settings:
        """A context that holds the longest prompt, the text, and a guess beyond it."""
        longest = max(load_prompt(prompt).at_most_tokens for prompt in self._suite.prompts)
        needed = longest + self._suite.n_text_tokens + 2 * _LONGEST_GUESS_TOKENS
        return compose.settings_of(wish, -(-needed // CONTEXT_STEP) * CONTEXT_STEP, machine)

    def refuse(self, family: FoundFamily) -> None:
        """A dense target is refused by whoever counts."""

    def subjects(self) -> list[RoutingSubject]:
        """Every text in an order that the seed alone decides."""
        subjects = [
            RoutingSubject(
                target=target, draft=self._suite.draft, prompt=prompt, n_text_tokens=self._suite.n_text_tokens
            )
            for target, prompt in product(self._targets, self._suite.prompts)
        ]
        return sorted(subjects, key=lambda subject: fingerprint("order", self._seed, subject))

    def tasks(self, settings: Settings, engine: EngineFacts, family: FoundFamily) -> list[Task]:
        """All texts with their identities."""
        return [
            Task(
                order=order,
                run_id=identity(
                    subject,
                    load_prompt(subject.prompt).sha256,
                    settings,
                    engine,
                    family.facts[subject.target].sha256,
                    family.facts[subject.draft].sha256,
                ),
                subject=subject,
                assumed_s=self.assumed_s(subject),
            )
            for order, subject in enumerate(self.subjects())
        ]

    def assumed_s(self, subject: RoutingSubject) -> float:
        """Seconds that a text may take."""
        return subject.n_text_tokens * _TOKEN_S

    def open(self, worker: Asker, family: FoundFamily, settings: Settings) -> None:
        """Nothing is shared: each text loads its own pair."""

    def measure(self, worker: Asker, task: Task, family: FoundFamily, settings: Settings) -> dict[str, Any]:
        """The counts of one text."""
        subject: RoutingSubject = task.subject
        asked = CountExperts(
            target_path=str(family.paths[subject.target]),
            draft_path=str(family.paths[subject.draft]),
            prompt_text=load_prompt(subject.prompt).text,
            n_text_tokens=subject.n_text_tokens,
            settings=settings,
        )
        counted = worker.ask(asked, Counted, limit_s=2 * LOAD_LIMIT_S)
        return {"n_experts": counted.n_experts, "counts": counted.counts}

    def record(self, task: Task, fields: dict[str, Any]) -> RoutingRecord:
        """A line of the log."""
        return RoutingRecord(subject=task.subject, **fields)
