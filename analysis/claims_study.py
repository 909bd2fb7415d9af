"""What a study decides about the published conclusions: every number with its interval.

Each claim is a list of cases (pairs of configurations, on the prompts they share); `analysis.claims.universal`
says what they decide together. Marked, failed and broken runs take no part.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd

from analysis.accounting import cells
from analysis.audit.finding import listed
from analysis.claims import CLAIMED_COST_RATIO, TESTED_GAMMAS, Claim, Verdict, universal
from analysis.configurations import SWEEP_SUITE, Configuration, configurations, with_draft_models_only
from analysis.load import FloatArray, Study
from analysis.stats import Estimate, contrast, ratios
from runner.record import ModelFacts

COST_ROOM = 0.1
"""A cost ratio within a tenth of the claimed one counts as the claimed one."""
SAME_RATE_ROOM = 1.25
"""A read rate this far above the best that a dense model reaches on this machine was not reached by reading."""

Case = tuple[Estimate, str, tuple[str, ...]]
"""What a case measured, what it compares, and its run ids."""


def study_claims(study: Study) -> tuple[Claim, ...]:
    """One verdict for each finding of seed 003, from this study's intervals."""
    study = with_draft_models_only(study)
    found = [one for one in configurations(study) if one.suite != SWEEP_SUITE and len(one.pairs)]
    return (
        _judged("sd-helps-moe", list(_nothing_accepted(study, found))),
        _judged("footprint-scaling", list(_more_parameters(study, found))),
        _judged("smaller-draft-wins", list(_smaller_drafts(study, found))),
        _judged("larger-gamma-wins", list(_larger_gammas(found))),
        _same_control(study, found),
        _verify_cost(found),
        _all_weights(study),
    )


def _judged(claim: str, cases: Sequence[Case]) -> Claim:
    """The verdict on "all of these cases lie above 1"."""
    verdict, number = universal([estimate for estimate, _, _ in cases])
    if number is None:
        return Claim(claim, "undecided", None, "The study holds no pair of configurations that tests it.", ())
    _, what, ids = next(case for case in cases if case[0] is number)
    below = sum(estimate.high < estimate.neutral for estimate, _, _ in cases)
    above = sum(estimate.low > estimate.neutral for estimate, _, _ in cases)
    reason = f"Of {len(cases)} cases {above} lie above 1, {below} below, the rest contain it. Deciding: {what}."
    return Claim(claim, verdict, number, reason, listed(ids))


def _nothing_accepted(study: Study, found: Sequence[Configuration]) -> Iterator[Case]:
    for one in found:
        if study.model(one.target).n_experts:
            cost = one.column("v") + one.column("d") + one.column("o")
            yield ratios(-np.log(cost), one.prompts), _named(one), _ids(one)


def _more_parameters(study: Study, found: Sequence[Configuration]) -> Iterator[Case]:
    for more, fewer in product(found, found):
        same = (more.draft, more.gamma) == (fewer.draft, fewer.gamma)
        if same and study.model(more.target).parameters > 1.05 * study.model(fewer.target).parameters:
            yield from _speedups(more, fewer)


def _smaller_drafts(study: Study, found: Sequence[Configuration]) -> Iterator[Case]:
    for small, large in product(found, found):
        same = (small.target, small.gamma) == (large.target, large.gamma)
        if same and study.model(small.draft).parameters < study.model(large.draft).parameters:
            yield from _speedups(small, large)


def _larger_gammas(found: Sequence[Configuration]) -> Iterator[Case]:
    for one in found:
        same = [two for two in found if (two.suite, two.target, two.draft) == (one.suite, one.target, one.draft)]
        short = min(same, key=lambda two: two.gamma)
        if one.gamma == max(two.gamma for two in same) and one.gamma > short.gamma:
            yield from _speedups(one, short)


def _speedups(left: Configuration, right: Configuration) -> Iterator[Case]:
    yield from _contrast(left, right, lambda one: np.log(one.column("speedup")))


def _contrast(
    left: Configuration, right: Configuration, logs: Callable[[Configuration], FloatArray]
) -> Iterator[Case]:
    shared = set(left.prompts) & set(right.prompts)
    if shared:
        one, two = left.on(shared), right.on(shared)
        estimate = contrast(logs(one), one.prompts, logs(two), two.prompts)
        yield estimate, f"{_named(left)} over {_named(right)}", _ids(one) + _ids(two)


def _same_control(study: Study, found: Sequence[Configuration]) -> Claim:
    """Refuted when tokens per cycle or the draft's cost differ between the MoE and its dense control."""
    cases = [
        case
        for moe, control in _moe_and_control(study, found)
        for name in ("tau", "d")
        for case in _contrast(moe, control, lambda one, name=name: np.log(one.column(name)))  # type: ignore[misc]
    ]
    claim = "dense-4b-isolates-footprint"
    if not cases:
        lack = "The study lacks a mixture or a dense target with the same draft."
        return Claim(claim, "undecided", None, lack, ())
    farthest, what, ids = max(cases, key=lambda case: abs(np.log(case[0].point)) * (not case[0].undecided))
    apart = sum(not estimate.undecided for estimate, _, _ in cases)
    return Claim(
        claim, "undecided" if farthest.undecided else "refuted", farthest,
        f"{apart} of {len(cases)} comparisons of τ and of draft cost differ from 1, so total footprint is "
        f"not all that varies. Farthest: {what}.",
        listed(ids),
    )  # fmt: skip


def _moe_and_control(
    study: Study, found: Sequence[Configuration]
) -> Iterator[tuple[Configuration, Configuration]]:
    """Each MoE configuration with the dense one whose parameters are closest to the MoE's active ones."""
    for moe in found:
        facts = study.model(moe.target)
        dense = [
            one for one in found
            if (one.draft, one.gamma) == (moe.draft, moe.gamma) and not study.model(one.target).n_experts
        ]  # fmt: skip
        if facts.n_experts and dense:
            yield moe, min(dense, key=lambda one: _distance(study.model(one.target), facts))


def _distance(dense: ModelFacts, moe: ModelFacts) -> float:
    return abs(math.log(dense.parameters / moe.active_parameters))


def _verify_cost(found: Sequence[Configuration]) -> Claim:
    """Supported when v(17)/v(5) lies within a tenth of 1.5 in every case, refuted when one lies outside."""
    few, many = TESTED_GAMMAS
    cases = [
        case
        for one, two in product(found, found)
        if (one.suite, one.target, one.draft) == (two.suite, two.target, two.draft)
        and (one.gamma, two.gamma) == (many, few)
        for case in _contrast(one, two, lambda one: np.log(one.column("v")))
    ]
    claim = "verify-16-costs-1.5x"
    if not cases:
        return Claim(claim, "undecided", None, f"The study does not hold both γ {few} and γ {many}.", ())
    farthest, what, ids = max(cases, key=lambda case: abs(np.log(case[0].point / CLAIMED_COST_RATIO)))
    low, high = CLAIMED_COST_RATIO * (1 - COST_ROOM), CLAIMED_COST_RATIO * (1 + COST_ROOM)
    verdict: Verdict = "undecided"
    if any(estimate.high < low or estimate.low > high for estimate, _, _ in cases):
        verdict = "refuted"
    elif all(low <= estimate.low and estimate.high <= high for estimate, _, _ in cases):
        verdict = "supported"
    number = replace(farthest, neutral=CLAIMED_COST_RATIO)
    points = [estimate.point for estimate, _, _ in cases]
    reason = f"The ratio lies between {min(points):.2f} and {max(points):.2f}. Farthest from 1.5: {what}."
    return Claim(claim, verdict, number, reason, listed(ids))


def _all_weights(study: Study) -> Claim:
    """The rate of reading the whole MoE file per token, against the best rate of any dense model here.

    Refuted when even the lowest case needs far more than that; supported when every case stays below it and above
    half of it, which is what reading everything would look like.
    """
    claim = "all-weights-read"
    runs = cells(study)
    baselines = runs[runs["gamma"] == 0]
    rates = {
        facts.role: _log_rate(baselines, facts, facts.size_bytes if facts.n_experts else facts.bytes_per_token)
        for facts in study.manifest.models
        if (baselines["target"] == facts.role).any()
    }
    dense = [rates[facts.role] for facts in study.manifest.models if not facts.n_experts and facts.role in rates]
    mixtures = [facts.role for facts in study.manifest.models if facts.n_experts and facts.role in rates]
    if not dense or not mixtures:
        return Claim(claim, "undecided", None, "The study lacks baselines of a mixture or of a dense target.", ())
    best = max(rate.mean() for rate in dense)
    cases = {role: ratios(rates[role].to_numpy() - best, _prompts(baselines, role)) for role in mixtures}
    role = max(cases, key=lambda role: cases[role].low)
    number = cases[role]
    verdict: Verdict = "undecided"
    if number.low > SAME_RATE_ROOM:
        verdict = "refuted"
    elif all(case.low > 1 / 2 and case.high < SAME_RATE_ROOM for case in cases.values()):
        verdict = "supported"
    return Claim(
        claim, verdict, number,
        f"{role}: reading the whole file once a token would take {number.point:.2f} times the best rate "
        "at which a dense target of this study reads its weights.",
        listed(baselines.loc[baselines["target"] == role, "run_id"]),
    )  # fmt: skip


def _log_rate(baselines: pd.DataFrame, facts: ModelFacts, n_bytes: int) -> pd.Series:
    times = baselines.loc[baselines["target"] == facts.role, "ms_per_token"]
    rates: pd.Series = np.log(n_bytes / times)
    return rates


def _prompts(baselines: pd.DataFrame, role: str) -> list[str]:
    return list(baselines.loc[baselines["target"] == role, "prompt"])


def _named(one: Configuration) -> str:
    return f"{one.target} + {one.draft}, γ {one.gamma}"


def _ids(one: Configuration) -> tuple[str, ...]:
    return tuple(one.pairs["run_id"])
