"""One draft on one target, from loading to verified candidates, within a share of the budget."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from runner.advise.budget import Budget, Durations
from runner.advise.forecast import Forecast, keeps_snapshots
from runner.advise.measure import LOADING, Bench, gather
from runner.advise.predict import Prediction
from runner.advise.question import AdviceSession, Question
from runner.advise.verify import Trials, Verification, shortlist
from runner.errors import WorkerError
from runner.executor import Pair
from runner.record import NO_DRAFT

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
    keeps_snapshots: bool
    predictions: Sequence[Prediction]
    concluded: Sequence[Prediction]
    """The same configurations, predicted again when the verifying runs' own cycles were known too."""
    verified: Sequence[Verification]
    not_measured: Sequence[str]


def investigate(
    question: Question,
    pair_draft: str,
    open_pair: OpenPair,
    *,
    tries_lookup: bool,
    budget: Budget,
    share: Budget,
    tell: Tell,
) -> Findings | str:
    """All about one draft; a sentence instead when the budget ended before anything could be predicted.

    `budget` ends everything, `share` ends this draft; `tries_lookup`: see `Bench`.
    """
    pair = Pair(target=question.target, draft=pair_draft, gammas=(0, *question.arms))
    tell(f"loading {pair} and proving its rollback")
    durations, started = Durations(budget.clock), budget.clock()
    try:
        session = open_pair(pair, budget.left_s)
    except WorkerError:
        if not budget.is_spent:
            raise
        return f"the budget ended while {pair} was loading"
    durations.entered(LOADING, started)
    bench = Bench(session, question, pair_draft, budget, durations, tries_lookup)
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
    gathered = gather(bench, share.share(_MEASURING_SHARE))
    evidence = gathered.evidence
    if not evidence:
        return f"no time to measure {bench.pair_draft}"
    forecast = Forecast(bench, evidence)
    predictions = forecast.given([])
    trials = Trials(bench, [each.prompt for each in evidence])
    concluded: Sequence[Prediction] = predictions
    if not gathered.broke_off:
        concluded = _verified(trials, forecast, predictions, share, tell)
    t1_ns = float(np.exp(np.mean([np.log(each.unit_ns) for each in evidence])))
    return Findings(
        pair_draft=bench.pair_draft,
        t1_ms=t1_ns / 1e6,
        keeps_snapshots=keeps_snapshots(evidence),
        predictions=predictions,
        concluded=concluded,
        verified=trials.verified(),
        not_measured=[*gathered.missing, *trials.unverified()],
    )


def _verified(
    trials: Trials, forecast: Forecast, predictions: Sequence[Prediction], share: Budget, tell: Tell
) -> Sequence[Prediction]:
    """Run block after block of those that may be the best by all that is known; returns what is known then."""
    field = concluded = predictions
    for block, most in enumerate(trials.fields):
        chosen = shortlist(field, most)
        if not chosen:
            break
        tell("verifying " + ", ".join(f"{drafter} at gamma {gamma}" for drafter, gamma in chosen))
        trials.run_block(block, chosen, share)
        if trials.failure:
            break
        concluded = forecast.given(trials.looks)
        field = [each for each in concluded if each.candidate in chosen]
        if not any(each.may_pay for each in field):
            break
    return concluded
