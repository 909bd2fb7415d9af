"""Real runs of the best candidates against the baseline: paired, interleaved in random order, texts compared."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence

import msgspec
import numpy as np
from scipy.stats import t as student

from runner.advise.budget import Budget
from runner.advise.measure import Bench, Evidence, kind_of
from runner.advise.predict import LEVEL, Interval, Prediction
from runner.record import NO_DRAFT, Measurement

MAX_BLOCKS = 2
_NEIGHBOURHOOD = 0.25
"""Gammas closer than this, relatively, predict nearly the same: trying both tells nothing."""
_HOPELESS = 0.9
_ALTERNATIVES = 1
MIN_PAIRS = 3
"""Fewer pairs than this give no interval worth the name."""


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """One drafter at one gamma, measured beside the baseline."""

    drafter: str
    gamma: int
    speedup: float
    interval: Interval | None
    """None: too few pairs."""
    n_pairs: int
    ms_per_token: float
    broken_texts: int
    """Runs whose text differs from the baseline's by more than rounding."""


Candidate = tuple[str, int]
"""Drafter and gamma."""


def candidates(predictions: Sequence[Prediction]) -> list[Candidate]:
    """Whom to verify, best first: each drafter's best gamma, and others of the best drafter that come close.

    Nobody, where nobody found anything to draft.
    """
    busy = [each for each in predictions if not each.is_idle]
    by_speedup = sorted(busy, key=lambda each: (-each.speedup.point, each.gamma))
    if not by_speedup:
        return []
    first = by_speedup[0]
    chosen = [first]
    for each in by_speedup:
        far = all(abs(math.log(each.gamma / other.gamma)) > _NEIGHBOURHOOD for other in chosen)
        near_best = each.speedup.high > first.speedup.low and first.speedup.point > _HOPELESS
        if each.drafter == first.drafter and far and near_best and len(chosen) <= _ALTERNATIVES:
            chosen.append(each)
    for drafter in dict.fromkeys(each.drafter for each in by_speedup):
        if drafter != first.drafter:
            best = next(each for each in by_speedup if each.drafter == drafter)
            if best.speedup.point > 1:
                chosen.append(best)
    return [(each.drafter, each.gamma) for each in chosen]


class _Pairs:
    """What the runs of one candidate gave so far."""

    def __init__(self) -> None:
        self.logs: list[float] = []
        self.ms: list[float] = []
        self.broken = 0

    def enter(self, run: Measurement, baseline: Measurement, near_tie_logits: float) -> None:
        """One run beside the baseline of its prompt and block."""
        ours, theirs = _ms_per_token(run), _ms_per_token(baseline)
        self.logs.append(math.log(theirs / ours))
        self.ms.append(ours)
        self.broken += is_broken(run, baseline, near_tie_logits)


def verify(
    bench: Bench, evidence: Iterable[Evidence], chosen: Sequence[Candidate], share: Budget
) -> tuple[list[Verification], list[str]]:
    """Blocks over all prompts while `share` lasts; a comparison that would not fit is left out as a whole.

    Returns what was verified, and in words what was not.
    """
    prompts = [each.prompt for each in evidence]
    found = {candidate: _Pairs() for candidate in chosen}
    fitting = list(chosen)
    order = random.Random(bench.question.seed)  # noqa: S311 - an experiment to be repeated, not a secret
    for block in range(MAX_BLOCKS):
        for prompt in prompts:
            fitting = _that_fit(bench, fitting, share)
            if not fitting:
                return _verified(found), _unverified(found)
            arms: list[Candidate] = [(NO_DRAFT, 0), *fitting]
            order.shuffle(arms)
            runs = {
                (drafter, gamma): bench.run(
                    prompt,
                    gamma=gamma,
                    drafter=drafter,
                    n_predict=bench.question.n_predict_tokens,
                    block=100 + block,
                )
                for drafter, gamma in arms
            }
            for candidate in fitting:
                found[candidate].enter(runs[candidate], runs[NO_DRAFT, 0], bench.question.near_tie_logits)
    return _verified(found), _unverified(found)


def _that_fit(bench: Bench, chosen: Sequence[Candidate], share: Budget) -> list[Candidate]:
    """The first of `chosen` whose runs and one baseline fit into the share; an unknown one costs a baseline."""
    baseline_s = bench.durations.of(kind_of(0, NO_DRAFT))
    needed, fitting = baseline_s, []
    for drafter, gamma in chosen:
        needed += bench.durations.of(kind_of(gamma, drafter)) or baseline_s
        if not share.has_room(needed):
            break
        fitting.append((drafter, gamma))
    return fitting


def is_broken(run: Measurement, baseline: Measurement, near_tie_logits: float) -> bool:
    """Whether the texts differ, and not first at a near-tie of the baseline."""
    for ours, theirs, margin in zip(run.tokens, baseline.tokens, baseline.margins, strict=True):
        if ours != theirs:
            return margin >= near_tie_logits
    return False


def interval_of(logs: Sequence[float]) -> Interval | None:
    """Student's interval of the geometric mean of paired ratios; None below `MIN_PAIRS` pairs."""
    if len(logs) < MIN_PAIRS:
        return None
    mean, error = float(np.mean(logs)), float(np.std(logs, ddof=1)) / math.sqrt(len(logs))
    reach = float(student.ppf((1 + LEVEL) / 2, len(logs) - 1)) * error
    return Interval(point=math.exp(mean), low=math.exp(mean - reach), high=math.exp(mean + reach))


def _verified(found: dict[Candidate, _Pairs]) -> list[Verification]:
    return [
        Verification(
            drafter=drafter,
            gamma=gamma,
            speedup=math.exp(float(np.mean(pairs.logs))),
            interval=interval_of(pairs.logs),
            n_pairs=len(pairs.logs),
            ms_per_token=float(np.mean(pairs.ms)),
            broken_texts=pairs.broken,
        )
        for (drafter, gamma), pairs in found.items()
        if pairs.logs
    ]


def _unverified(found: dict[Candidate, _Pairs]) -> list[str]:
    left = [f"{drafter} at gamma {gamma}" for (drafter, gamma), pairs in found.items() if not pairs.logs]
    return [f"no time to verify {', '.join(left)}"] if left else []


def _ms_per_token(run: Measurement) -> float:
    return run.decode_wall_ns / run.cycles.emitted_tokens / 1e6
