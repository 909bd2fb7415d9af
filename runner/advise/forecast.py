"""Every gamma of every drafter of one pair, predicted from what the prompts showed."""

from __future__ import annotations

from collections.abc import Sequence

from runner.advise.costs import Sample, fit
from runner.advise.measure import FIT, Bench, Evidence, run_noise
from runner.advise.predict import Arm, Prediction, predict, with_chances
from runner.advise.replay import replay, replay_ngram, run_lengths
from runner.decode import Clock
from runner.drafter_names import NGRAM
from runner.record import NO_DRAFT

N_DRAWS = 200


class Forecast:
    """N-gram lookup if it is to be tried, and the draft model if there is one, replayed at every gamma."""

    def __init__(self, bench: Bench, evidence: Sequence[Evidence]) -> None:
        gammas = range(1, bench.question.longest + 1)
        self._bench, self._evidence = bench, evidence
        self._arms: list[Arm] = []
        if bench.tries_lookup:
            self._arms.append(ngram_arm(evidence, gammas, lambda: round(bench.budget.clock() * 1e9)))
        if bench.pair_draft != NO_DRAFT:
            self._arms.append(model_arm(bench.pair_draft, evidence, gammas))

    def given(self, trials: Sequence[Sequence[Sample]]) -> list[Prediction]:
        """Every gamma of every arm, at costs from the varied cycles and from those of verifying runs so far."""
        question, evidence = self._bench.question, self._evidence
        looks = [look for each in evidence for look in each.looks]
        with self._bench.timed(FIT):
            costs = fit([*looks, *trials], question.longest, n_draws=N_DRAWS, seed=question.seed)
        keeps, noise = keeps_snapshots(evidence), run_noise(list(evidence))
        outlooks = [
            predict(arm, gamma, costs, keeps_snapshots=keeps, run_noise=noise, seed=question.seed)
            for arm in self._arms
            for gamma in arm.played
        ]
        return with_chances(outlooks, question.seed)


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


def keeps_snapshots(evidence: Sequence[Evidence]) -> bool:
    """Whether the target's context keeps recurrent snapshots when it speculates."""
    return any(each.keeps_snapshots for each in evidence)
