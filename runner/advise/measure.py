"""Asks a loaded pair for what a prediction needs: baselines, a trace of the draft, cycles of varied length.

Each prompt's parts run back to back, so that a slow spell of the machine hits all of them; times are kept in
units of the baseline beside them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from runner.advise.budget import Budget, Durations
from runner.advise.costs import Sample
from runner.advise.question import AdviceSession, Question, planned_run
from runner.advise.replay import Played
from runner.drafter_names import SWEEP, VARIED
from runner.drafters import MOST_RIGHT
from runner.errors import EngineError, StudyError, WorkerError
from runner.messages import Traced
from runner.prompts import Prompt
from runner.record import NO_DRAFT, Measurement

MAX_ROUNDS = 2
N_CYCLES = 12
"""Of a run whose cycles show the costs; each number of tokens is verified about three times then."""
_BASELINE_TOKENS = 24
"""Enough to tell what the unit is now."""
HALF_RIGHT = "oracle-0.50"
LOADING, TRACE, FIT = "loading", "trace", "fit"
"""Kinds of steps beside runs."""


@dataclass(frozen=True)
class Baseline:
    """One baseline run; nanoseconds per token."""

    unit_ns: float
    """t₁ without passes that another program interrupted: the median cycle."""
    wall_ns: float
    """t₁ as it was: wall time over tokens."""


@dataclass
class Evidence:
    """What one prompt showed; grows with every round."""

    prompt: Prompt
    text: list[int] = field(default_factory=list)
    traced: Traced | None = None
    baselines: list[Baseline] = field(default_factory=list)
    looks: list[list[Sample]] = field(default_factory=list)
    """Varied cycles, one list for each baseline that is their unit."""
    keeps_snapshots: bool = False

    @property
    def unit_ns(self) -> float:
        """t₁ of this prompt, in nanoseconds."""
        return float(np.median([each.unit_ns for each in self.baselines]))


@dataclass(frozen=True)
class Bench:
    """A loaded pair, the question, and the time there is."""

    session: AdviceSession
    question: Question
    pair_draft: str
    budget: Budget
    """Of the whole advice: no run may outlast it."""
    durations: Durations
    tries_lookup: bool
    """Whether n-gram lookup is tried beside the draft; on one pair is enough, since it needs the target alone."""

    def run(
        self, prompt: Prompt, *, gamma: int, drafter: str = NO_DRAFT, n_predict: int, block: int
    ) -> Measurement:
        """Execute one run. Raises EngineError, or WorkerError when the budget ends first."""
        planned = planned_run(
            self.question,
            self.pair_draft,
            prompt,
            gamma=gamma,
            drafter=drafter,
            n_predict_tokens=n_predict,
            block=block,
            time_limit_s=self.budget.left_s,
        )
        with self.timed(kind_of(gamma, drafter) if gamma else baseline_kind(n_predict)):
            return self.session.run(planned)

    def trace(self, prompt: Prompt, text: list[int]) -> Traced:
        """What the draft would have said along `text`."""
        planned = planned_run(
            self.question,
            self.pair_draft,
            prompt,
            gamma=0,
            drafter=NO_DRAFT,
            n_predict_tokens=len(text),
            block=0,
            time_limit_s=self.budget.left_s,
        )
        with self.timed(TRACE):
            return self.session.trace(planned, text)

    @contextmanager
    def timed(self, kind: str) -> Iterator[None]:
        """Remember how long a step of that kind takes."""
        started = self.budget.clock()
        yield
        self.durations.entered(kind, started)

    def why(self, error: StudyError) -> str:
        """Why a run did not end well, in words."""
        return "the budget ended" if self.budget.is_spent else str(error)


class Gathered(NamedTuple):
    """What was measured, and in words what was not."""

    evidence: list[Evidence]
    missing: list[str]
    broke_off: bool
    """Whether a run failed: the measuring process may be gone, or still busy with it."""


def kind_of(gamma: int, drafter: str) -> str:
    """Speculative runs of one kind take about as long."""
    return f"{drafter}/{gamma}"


def baseline_kind(n_predict: int) -> str:
    """Baselines of one length take about as long."""
    return f"{NO_DRAFT}/{n_predict} tokens"


def varied_kinds(question: Question, pair_draft: str) -> list[tuple[str, int]]:
    """Drafter and gamma of the runs whose cycles show the costs.

    Without a draft model the known text stands in: in batches of all sizes for the passes, half of it wrong for
    the rollbacks.
    """
    if pair_draft != NO_DRAFT:
        return [(VARIED, gamma) for gamma in question.arms]
    return [*((SWEEP, gamma) for gamma in question.arms), (HALF_RIGHT, question.arms[0])]


def gather(bench: Bench, share: Budget) -> Gathered:
    """Round after round over the prompts while `share` lasts; at least one prompt once.

    Raises the EngineError or WorkerError of a run when there is nothing yet to conclude from.
    """
    question = bench.question
    found = {prompt.id: Evidence(prompt) for prompt in question.prompts}
    kinds = varied_kinds(question, bench.pair_draft)
    for number, prompt in enumerate([*question.prompts] * MAX_ROUNDS):
        if not share.has_room(bench.durations.of(*_steps(found[prompt.id], question, kinds))):
            break
        try:
            _look(bench, found[prompt.id], number, kinds)
        except (EngineError, WorkerError) as error:
            if not _measured(found):
                raise
            missing = [f"more of prompt {prompt.id}, and what was to follow ({bench.why(error)})"]
            return Gathered(_measured(found), missing, broke_off=True)
    return Gathered(_measured(found), _unmeasured(question, found), broke_off=False)


def _steps(evidence: Evidence, question: Question, kinds: list[tuple[str, int]]) -> list[str]:
    """The kinds of steps that the next look at a prompt takes."""
    first = [] if evidence.traced else [TRACE]
    return [
        baseline_kind(_n_baseline(evidence, question)),
        *first,
        *(kind_of(gamma, drafter) for drafter, gamma in kinds),
    ]


def _n_baseline(evidence: Evidence, question: Question) -> int:
    """The first baseline writes the text; later ones only say what the machine's unit is now."""
    n_predict = question.n_predict_tokens
    return n_predict if evidence.traced is None else min(n_predict, _BASELINE_TOKENS)


def _look(bench: Bench, evidence: Evidence, number: int, kinds: list[tuple[str, int]]) -> None:
    """Baseline, trace (once) and varied cycles of one prompt, back to back."""
    n_predict = bench.question.n_predict_tokens
    run = bench.run(evidence.prompt, gamma=0, n_predict=_n_baseline(evidence, bench.question), block=number)
    evidence.baselines.append(baseline_of(run))
    if evidence.traced is None:
        evidence.text = run.tokens
        evidence.traced = bench.trace(evidence.prompt, run.tokens)
    samples: list[Sample] = []
    for drafter, gamma in kinds:
        varied = bench.run(
            evidence.prompt,
            gamma=gamma,
            drafter=drafter,
            n_predict=n_varied(evidence, gamma, n_predict),
            block=number,
        )
        evidence.keeps_snapshots |= varied.n_rs_seq > 0
        samples.append(sample_of(varied, evidence.baselines[-1].unit_ns))
    evidence.looks.append(samples)


def n_varied(evidence: Evidence, gamma: int, n_predict: int) -> int:
    """Tokens of a varied run: enough for `N_CYCLES` cycles, from what the draft got right."""
    traced = evidence.traced
    if traced is None or not traced.guesses:
        return n_predict
    right = sum(guess == token for guess, token in zip(traced.guesses, evidence.text, strict=True))
    share = right / len(evidence.text)
    per_cycle = 1 + sum(
        share**place * (1 - place / (gamma + 1)) * (1 - place / (MOST_RIGHT + 1))
        for place in range(1, min(gamma, MOST_RIGHT) + 1)
    )
    # The last cycles of a text are short: no more may be drafted than are missing.
    return min(n_predict, math.ceil(N_CYCLES * per_cycle) + gamma // 2)


def baseline_of(run: Measurement) -> Baseline:
    """t₁ of one run, with and without interruptions."""
    cycles = run.cycles
    took = np.array([cycles.draft_ns, cycles.verify_ns, cycles.rollback_ns, cycles.sample_ns]).sum(axis=0)
    n_cycles = len(took)
    loop = (run.decode_wall_ns - took.sum()) / n_cycles
    return Baseline(unit_ns=float(np.median(took) + loop), wall_ns=run.decode_wall_ns / cycles.emitted_tokens)


def sample_of(run: Measurement, unit_ns: float) -> Sample:
    """The run's cycles in units of the baseline beside it."""
    cycles = run.cycles
    parts = {
        name: np.array(getattr(cycles, name)) / unit_ns
        for name in ("draft_ns", "verify_ns", "rollback_ns", "sample_ns")
    }
    inside = sum(float(part.sum()) for part in parts.values())
    return Sample(
        played=Played(tuple(cycles.drafted), tuple(cycles.accepted)),
        n_rs_seq=run.n_rs_seq,
        draft_rollback=run.draft_rollback,
        draft=parts["draft_ns"],
        target=parts["verify_ns"] + parts["sample_ns"],
        rollback=parts["rollback_ns"],
        loop=(run.decode_wall_ns / unit_ns - inside) / len(cycles.drafted),
    )


def run_noise(evidence: list[Evidence]) -> float:
    """Standard deviation of ln S that one verifying pair of runs on each prompt has by itself."""
    logs = np.array(
        [
            math.log(each.wall_ns / each.unit_ns)
            for found in evidence
            for each in found.baselines
            if each.unit_ns > 0
        ]
    )
    spread = float(np.median(np.abs(logs - np.median(logs)))) * 1.4826
    return spread * math.sqrt(2 / len(evidence))


def _measured(found: dict[str, Evidence]) -> list[Evidence]:
    return [evidence for evidence in found.values() if evidence.looks]


def _unmeasured(question: Question, found: dict[str, Evidence]) -> list[str]:
    left = [prompt.id for prompt in question.prompts if not found[prompt.id].looks]
    return [f"no time for prompt{'s' if len(left) > 1 else ''} {', '.join(left)}"] if left else []
