"""One draft on one target, from loading to verified candidates, within a share of the budget."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from runner.advise.budget import Budget, Durations
from runner.advise.costs import Costs, fit
from runner.advise.measure import Bench, Evidence, gather, run_noise
from runner.advise.predict import Arm, Prediction, predict
from runner.advise.question import AdviceSession, Question
from runner.advise.replay import replay, replay_ngram, run_lengths
from runner.advise.verify import Verification, candidates, verify
from runner.decode import Clock
from runner.drafter_names import NGRAM
from runner.errors import WorkerError
from runner.executor import Pair
from runner.record import NO_DRAFT

N_DRAWS = 200
_MEASURING_SHARE = 0.6
"""Of a draft's time goes into measuring, the rest into verifying."""

OpenPair = Callable[[Pair, float], AdviceSession]
"""Loads a pair within so many seconds. Raises ModelError, EngineError or WorkerError."""
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Findings:
    """What one draft, or lookup alone, came to."""

    pair_draft: str
    t1_ms: float
    draft_step_ms: float
    """T_D inside the loop; 0 without a draft model."""
    keeps_snapshots: bool
    predictions: Sequence[Prediction]
    verified: Sequence[Verification]
    not_measured: Sequence[str]


def investigate(
    question: Question, pair_draft: str, open_pair: OpenPair, *, budget: Budget, share: Budget, tell: Tell
) -> Findings | str:
    """All about one draft; a sentence instead when the budget ended before anything could be predicted.

    `budget` ends everything, `share` ends this draft.
    """
    pair = Pair(target=question.target, draft=pair_draft, gammas=(0, *question.arms))
    tell(f"loading {pair} and proving its rollback")
    try:
        session = open_pair(pair, budget.left_s)
    except WorkerError:
        if not budget.is_spent:
            raise
        return f"the budget ended while {pair} was loading"
    bench = Bench(session, question, pair_draft, budget, Durations(budget.clock))
    try:
        return _explored(bench, share, tell)
    except WorkerError:
        if not budget.is_spent:
            raise
        return f"the budget ended while {pair} was being measured"
    finally:
        session.close()


def _explored(bench: Bench, share: Budget, tell: Tell) -> Findings | str:
    tell(f"measuring {bench.pair_draft if bench.pair_draft != NO_DRAFT else 'n-gram lookup'}")
    evidence, missing = gather(bench, share.share(_MEASURING_SHARE))
    if not evidence:
        return f"no time to measure {bench.pair_draft}"
    costs = fit(
        [look for each in evidence for look in each.looks],
        bench.question.longest,
        n_draws=N_DRAWS,
        seed=bench.question.seed,
    )
    predictions = predict_all(bench, evidence, costs)
    chosen = candidates(predictions)
    if chosen:
        tell("verifying " + ", ".join(f"{drafter} at gamma {gamma}" for drafter, gamma in chosen))
    verified, unverified = verify(bench, evidence, chosen, share)
    t1_ns = float(np.exp(np.mean([np.log(each.unit_ns) for each in evidence])))
    return Findings(
        pair_draft=bench.pair_draft,
        t1_ms=t1_ns / 1e6,
        draft_step_ms=costs.draft_step * t1_ns / 1e6 if bench.pair_draft != NO_DRAFT else 0.0,
        keeps_snapshots=_keeps_snapshots(evidence),
        predictions=predictions,
        verified=verified,
        not_measured=[*missing, *unverified],
    )


def predict_all(bench: Bench, evidence: Sequence[Evidence], costs: Costs) -> list[Prediction]:
    """Every gamma of the draft model, if there is one, and of n-gram lookup."""
    question = bench.question
    gammas = range(1, question.longest + 1)
    arms = [ngram_arm(evidence, gammas, lambda: round(bench.budget.clock() * 1e9))]
    if bench.pair_draft != NO_DRAFT:
        arms.append(model_arm(bench.pair_draft, evidence, gammas))
    noise = run_noise(list(evidence))
    return [
        predict(
            arm, gamma, costs, keeps_snapshots=_keeps_snapshots(evidence), run_noise=noise, seed=question.seed
        )
        for arm in arms
        for gamma in gammas
    ]


def model_arm(drafter: str, evidence: Sequence[Evidence], gammas: Sequence[int]) -> Arm:
    """The draft model's cycles at each gamma, from its trace."""
    lengths = []
    for each in evidence:
        assert each.traced is not None
        right = [guess == token for guess, token in zip(each.traced.guesses, each.text, strict=True)]
        lengths.append(run_lengths(right))
    return Arm(
        drafter=drafter,
        played={gamma: [replay(each, gamma) for each in lengths] for gamma in gammas},
        draft_rollback=evidence[0].looks[0][0].draft_rollback,
        own_time={gamma: [0.0] * len(lengths) for gamma in gammas},
    )


def ngram_arm(evidence: Sequence[Evidence], gammas: Sequence[int], clock: Clock) -> Arm:
    """Lookup's cycles at each gamma, by looking up, and the time that takes."""
    played, own_time = {}, {}
    for gamma in gammas:
        found = [
            replay_ngram(each.traced.prompt, each.text, gamma, clock)
            for each in evidence
            if each.traced is not None
        ]
        played[gamma] = [cycles for cycles, _ in found]
        own_time[gamma] = [spent / each.unit_ns for (_, spent), each in zip(found, evidence, strict=True)]
    return Arm(drafter=NGRAM, played=played, draft_rollback="none", own_time=own_time)


def _keeps_snapshots(evidence: Sequence[Evidence]) -> bool:
    return any(each.keeps_snapshots for each in evidence)
