"""The speculative runs of a study by configuration: what one row of a table or one decomposition averages."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from analysis.accounting import pairs
from analysis.load import FloatArray, Study, measured
from analysis.singular import CONSTANT_FIELDS, require_singular
from analysis.stats import Caveat, Estimate, means, quotient, ratios

SWEEP_SUITE = "prompt-sweep"
"""The suite in which the prompt's length is the question, so that no figure averages over its prompts."""

_KEY = ["suite", "target", "draft", "gamma"]


@dataclass(frozen=True)
class Configuration:
    """All runs of one target, draft and gamma in one suite.

    `attempted` holds every run that counts, `paired` (see `accounting.pairs`) the completed ones that have a
    baseline. Figures average `pairs` only; the others are counted, so that they stay visible.
    """

    suite: str
    target: str
    draft: str
    gamma: int
    attempted: pd.DataFrame
    paired: pd.DataFrame

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """The runs that figures average: completed, paired, sound, lossless but for near-ties."""
        return self.paired[(self.paired["verdict"] != "broken") & self.paired["sound"]]

    @property
    def n_runs(self) -> int:
        """All runs, failed ones included."""
        return len(self.attempted)

    @property
    def n_failed(self) -> int:
        """Runs that failed or have no baseline."""
        return len(self.attempted) - len(self.paired)

    @property
    def n_broken(self) -> int:
        """Runs with another output than the baseline's, or with times that do not add up."""
        return len(self.paired) - len(self.pairs)

    @property
    def n_near_ties(self) -> int:
        """Averaged runs whose output left the baseline's at a near-tie."""
        return int((self.pairs["verdict"] == "near-tie").sum())

    @cached_property
    def prompts(self) -> list[str]:
        """Prompt of each pair."""
        return list(self.pairs["prompt"])

    def column(self, name: str) -> FloatArray:
        """One quantity of all pairs, shape (n_pairs,)."""
        return self.pairs[name].to_numpy(dtype=float)

    def ratio(self, name: str) -> Estimate | None:
        """Geometric mean of a quantity that multiplies, such as speedup or τ; None when no run is left."""
        return ratios(np.log(self.column(name)), self.prompts) if len(self.pairs) else None

    def mean(self, name: str) -> Estimate | None:
        """Mean of a quantity that adds up, such as v, d and o; None when no run is left."""
        return means(self.column(name), self.prompts) if len(self.pairs) else None

    def acceptance(self) -> Estimate | None:
        """α: accepted over drafted tokens; None when no run is left."""
        if self.pairs.empty:
            return None
        return quotient(self.column("accepted_tokens"), self.column("drafted_tokens"), self.prompts)

    def on(self, prompts: Container[str]) -> Configuration:
        """The same configuration on some of its prompts."""
        attempted, paired = (
            runs[[prompt in prompts for prompt in runs["prompt"]]] for runs in (self.attempted, self.paired)
        )
        return replace(self, attempted=attempted, paired=paired)


def configurations(study: Study) -> tuple[Configuration, ...]:
    """Every configuration in which a draft model drafts, in the manifest's order of suites, models and gammas.

    Controlled experiments (other drafters, rollbacks asked for) have tables of their own. Raises DataError when
    runs that would be averaged differ in build, models or budget.
    """
    study = with_draft_models_only(study)
    runs = measured(study.runs)
    speculative = runs[(runs["gamma"] > 0) & (runs["purpose"] != "reference")]
    paired = pairs(study)
    require_singular(paired, _KEY, CONSTANT_FIELDS, study.name)
    found = [
        _configuration(key, group, paired)
        for key, group in speculative.groupby(_KEY, sort=True)
    ]  # fmt: skip
    return tuple(sorted(found, key=lambda one: _place(study, one)))


def with_draft_models_only(study: Study) -> Study:
    """The study without what the published one had not: other drafters, and rollback strategies asked for."""
    roles = [facts.role for facts in study.manifest.models]
    runs = study.runs
    kept = ((runs["gamma"] == 0) | runs["draft"].isin(roles)) & runs["rollback"].isna()
    return replace(study, runs=runs[kept])


def doubts(found: Sequence[Configuration]) -> tuple[Caveat, ...]:
    """What the counts say about how far the figures can be trusted."""
    return tuple(_doubts(found))


def _configuration(key: tuple[object, ...], group: pd.DataFrame, paired: pd.DataFrame) -> Configuration:
    suite, target, draft, gamma = key
    mine = paired.loc[paired.index.intersection(group.index)]
    return Configuration(str(suite), str(target), str(draft), int(str(gamma)), group, mine)


def _place(study: Study, one: Configuration) -> tuple[int, int, int, int]:
    suites = study.manifest.suites
    roles = [facts.role for facts in study.manifest.models]
    return (_index(suites, one.suite), _index(roles, one.target), _index(roles, one.draft), one.gamma)


def _index(names: list[str], name: str) -> int:
    return names.index(name) if name in names else len(names)


def _doubts(found: Sequence[Configuration]) -> Iterator[Caveat]:
    failed, broken = sum(one.n_failed for one in found), sum(one.n_broken for one in found)
    near = sum(one.n_near_ties for one in found)
    if failed:
        yield Caveat(
            "failed-runs", failed, f"Failed or without a baseline: {failed} runs, counted, not averaged."
        )
    if broken:
        text = f"Another output than the baseline's, or times that do not add up: {broken} runs, not averaged."
        yield Caveat("broken-runs", broken, text)
    if near:
        text = f"Output left the baseline's at a near-tie: {near} runs; that is rounding, not an error."
        yield Caveat("near-ties", near, text)
