"""Real runs of the best candidates against the baseline: paired, interleaved in random order, texts compared.

The number of blocks and how many candidates run in each are fixed beforehand; who they are is decided by all that
is known before each block, the earlier block's own cycles included. Where nothing may pay, one block is enough.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import msgspec
import numpy as np
from scipy.stats import t as student

from runner.advise.budget import Budget
from runner.advise.costs import Sample
from runner.advise.measure import FIT, LOADING, Bench, baseline_kind, baseline_of, kind_of, sample_of
from runner.advise.predict import LEVEL, Candidate, Interval, Prediction
from runner.errors import EngineError, WorkerError
from runner.prompts import Prompt
from runner.record import NO_DRAFT, Measurement

_FIELDS = (3, 2)
"""How many configurations run in each block over all prompts."""
MOST_CONTEXTS = _FIELDS[0] + 1
"""Of the target, that verifying may add: n-gram lookup's best may come on top."""
_SLIM = 0.05
"""With a smaller chance of being the best, a configuration is not worth a run."""
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
    finalist: bool
    """Whether it was in the last comparison: the others were given up before, as not the best."""
    broken_texts: int
    """Runs whose text differs from the baseline's by more than rounding."""


def fields(n_prompts: int) -> tuple[int, ...]:
    """How many configurations run in each block; a single prompt needs a block more for its pairs."""
    n_more = max(0, math.ceil(MIN_PAIRS / n_prompts) - len(_FIELDS))
    return _FIELDS + _FIELDS[-1:] * n_more


def shortlist(predictions: Sequence[Prediction], most: int) -> list[Candidate]:
    """Whom to run: the best, more that may pay and be the best of all, up to `most`, and other drafters' best.

    Another drafter's best only where a gain is expected of it. Nobody, where nobody found anything to draft.
    """
    busy = [each for each in predictions if not each.is_idle]
    by_speedup = sorted(busy, key=lambda each: (-each.speedup.point, each.gamma))
    if not by_speedup:
        return []
    first = by_speedup[0]
    likely = sorted((each for each in by_speedup[1:] if each.may_pay), key=lambda each: -each.chance)
    chosen = [first, *(each for each in likely[: most - 1] if each.chance >= _SLIM)]
    for drafter in dict.fromkeys(each.drafter for each in by_speedup):
        best = next(each for each in by_speedup if each.drafter == drafter)
        if best.speedup.point > 1 and best.may_pay and all(each.drafter != drafter for each in chosen):
            chosen.append(best)
    return [each.candidate for each in chosen]


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


class Trials:
    """Blocks of verifying runs over the same prompts, and what they showed."""

    def __init__(self, bench: Bench, prompts: Sequence[Prompt]) -> None:
        self.looks: list[list[Sample]] = []
        """Cycles of the verifying runs, one list for each baseline that is their unit."""
        self.failure = ""
        """Why a run ended them, in words: the measuring process may be gone, or still busy with it."""
        self.fields = fields(len(prompts))
        self._bench = bench
        self._prompts = prompts
        self._found: dict[Candidate, _Pairs] = {}
        self._finalists: tuple[Candidate, ...] = ()
        self._order = random.Random(bench.question.seed)  # noqa: S311 - an experiment to be repeated, not a secret

    def run_block(self, number: int, chosen: Sequence[Candidate], share: Budget) -> None:
        """One block while `share` lasts, of those that fit into it; it ends before a comparison that does not.

        Nothing may be run after a `failure`. Raises RollbackError where a context cannot take tokens back.
        """
        for candidate in chosen:
            self._found.setdefault(candidate, _Pairs())
        running = self._that_fit(chosen, share)
        for prompt in self._prompts:
            if not running or self._that_fit(running, share) != running:
                return
            try:
                self._compare(number, prompt, running)
            except (EngineError, WorkerError) as error:
                self.failure = self._bench.why(error)
                return
            # Who found no time was not given up as the worse one.
            self._finalists = tuple(chosen)

    def _compare(self, number: int, prompt: Prompt, chosen: Sequence[Candidate]) -> None:
        """The baseline and every chosen configuration on one prompt, in random order."""
        question = self._bench.question
        arms: list[Candidate] = [(NO_DRAFT, 0), *chosen]
        self._order.shuffle(arms)
        runs = {
            (drafter, gamma): self._bench.run(
                prompt, gamma=gamma, drafter=drafter, n_predict=question.n_predict_tokens, block=100 + number
            )
            for drafter, gamma in arms
        }
        baseline = runs[NO_DRAFT, 0]
        for candidate in chosen:
            self._found[candidate].enter(runs[candidate], baseline, question.near_tie_logits)
        unit_ns = baseline_of(baseline).unit_ns
        self.looks.append([sample_of(runs[candidate], unit_ns) for candidate in chosen])

    def _that_fit(self, chosen: Sequence[Candidate], share: Budget) -> list[Candidate]:
        """The first of `chosen` that fit into the share, with one baseline and the arithmetic after the block.

        One that has not run yet is taken to cost a baseline and a context.
        """
        durations, question = self._bench.durations, self._bench.question
        baseline_s = durations.of(baseline_kind(question.n_predict_tokens))
        context_s = durations.of(LOADING) / (1 + len(question.arms))
        needed, fitting = baseline_s + durations.of(FIT), []
        for drafter, gamma in chosen:
            needed += durations.of(kind_of(gamma, drafter)) or baseline_s + context_s
            if not share.has_room(needed):
                break
            fitting.append((drafter, gamma))
        return fitting

    def verified(self) -> list[Verification]:
        """What was run, in the order in which it was chosen."""
        return [
            Verification(
                drafter=drafter,
                gamma=gamma,
                speedup=math.exp(float(np.mean(pairs.logs))),
                interval=interval_of(pairs.logs),
                n_pairs=len(pairs.logs),
                ms_per_token=float(np.mean(pairs.ms)),
                broken_texts=pairs.broken,
                finalist=(drafter, gamma) in self._finalists,
            )
            for (drafter, gamma), pairs in self._found.items()
            if pairs.logs
        ]

    def unverified(self) -> list[str]:
        """What was chosen and not run, in words."""
        left = [f"{drafter} at gamma {gamma}" for (drafter, gamma), each in self._found.items() if not each.logs]
        if self.failure:
            return [f"{', '.join(left) or 'more pairs of runs'} ({self.failure})"]
        return [f"no time to verify {', '.join(left)}"] if left else []


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


def _ms_per_token(run: Measurement) -> float:
    return run.decode_wall_ns / run.cycles.emitted_tokens / 1e6
