"""Rows of figures behind every table, from a study or from what was published, under the same keys.

Baselines: model, role, active_parameters, total_parameters, tok_s, read_bytes_per_s, mj_per_token, n_runs,
n_failed.
Speculative: suite, target, draft, gamma, tok_s, speedup, acceptance, tau, n_runs, n_identical, n_near_ties,
n_broken, n_failed.
Sweep: n_prompt_tokens and baseline_tok_s on top. A figure is an `Estimate` where it was measured, a number where
it was printed; keys are missing where the source is silent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from analysis.accounting import with_rates
from analysis.configurations import SWEEP_SUITE, Configuration
from analysis.energy import mean_mj_per_token
from analysis.load import Study, completed, measured
from analysis.published import PublishedStudy, SpeculativeRow
from analysis.render import Row, Value
from analysis.singular import CONSTANT_FIELDS, require_singular
from analysis.stats import Estimate, contrast, ratios
from runner.record import NO_DRAFT, ModelFacts

_KINDS = {"moe": "MoE", "dense": "Dense", "draft": "Draft"}


def label(role: str) -> str:
    """A role as tables name it: `moe-q4` is "MoE Q4", `draft-0.8b` is "Draft 0.8B"."""
    kind, _, rest = role.partition("-")
    return f"{_KINDS[kind]} {rest.upper()}" if kind in _KINDS and rest else role


def baseline_rows(study: Study) -> tuple[Row, ...]:
    """One row per target of the suites that only measure plain decoding, by active parameters.

    A study without such a suite shows the paired baselines of its other suites instead, one row per suite.
    """
    plain = measured(study.runs)
    plain = plain[(plain["gamma"] == 0) & (plain["purpose"] != "reference")]
    alone = plain[plain["pair_draft"] == NO_DRAFT]
    chosen = alone if len(alone) else plain
    require_singular(completed(chosen), ["suite", "target"], CONSTANT_FIELDS, study.name)
    rows = [
        _baseline(study.model(str(target)), str(suite), group)
        for (suite, target), group in chosen.groupby(["suite", "target"])
    ]
    return tuple(sorted(rows, key=lambda row: (_real(row["active_parameters"]), _real(row["total_bytes"]))))


def speculative_rows(found: Sequence[Configuration]) -> tuple[Row, ...]:
    """One row per configuration, without the suite that asks about prompt length."""
    return tuple(speculative(one) for one in found if one.suite != SWEEP_SUITE)


def sweep_rows(study: Study, found: Sequence[Configuration]) -> tuple[Row, ...]:
    """One row per configuration and prompt of the sweep, by prompt length."""
    rows = [row for one in found if one.suite == SWEEP_SUITE for row in _sweep(study, one)]
    return tuple(sorted(rows, key=_sweep_order))


def speculative(one: Configuration) -> dict[str, Value]:
    """The figures of one configuration."""
    return {
        "suite": one.suite, "target": one.target, "draft": one.draft, "gamma": one.gamma,
        "tok_s": one.ratio("tok_s"), "speedup": one.ratio("speedup"), "acceptance": one.acceptance(),
        "tau": one.ratio("tau"), "n_runs": one.n_runs, "n_failed": one.n_failed, "n_broken": one.n_broken,
        "n_near_ties": one.n_near_ties, "n_identical": len(one.pairs) - one.n_near_ties,
    }  # fmt: skip


def draft_rows(found: Sequence[Configuration]) -> tuple[Row, ...]:
    """One row per suite, target and gamma that was run with two drafts or more, the drafts side by side.

    Keys: speedup_DRAFT, acceptance_DRAFT, n_broken_DRAFT; `advantage` is the best draft's speedup over the
    second's on the prompts they share, `winner` the best draft's role, or None while that is undecided.
    """
    groups: dict[tuple[str, str, int], list[Configuration]] = {}
    for one in found:
        if one.suite != SWEEP_SUITE:
            groups.setdefault((one.suite, one.target, one.gamma), []).append(one)
    return tuple(_drafts(group) for group in groups.values() if len(group) > 1)


def side_by_side(rows: Sequence[Row]) -> Row:
    """Rows of one target and gamma as one row; figures get the role of their draft behind their key."""
    merged: dict[str, Value] = {key: rows[0].get(key) for key in ("suite", "target", "gamma")}
    for row in rows:
        merged.update((f"{key}_{row['draft']}", row.get(key)) for key in ("speedup", "acceptance", "n_broken"))
    return merged


def published_baseline_rows(study: PublishedStudy) -> tuple[Row, ...]:
    """The published baseline table, in printed order."""
    return tuple(
        {
            "model": row.label, "role": row.role, "active_parameters": row.active_parameters,
            "total_parameters": row.total_parameters, "tok_s": row.tokens_per_s,
        }
        for row in study.baselines
    )  # fmt: skip


def published_rows(rows: tuple[SpeculativeRow, ...]) -> tuple[Row, ...]:
    """A published table of speculative runs, in printed order."""
    return tuple(
        {
            "target": row.target, "draft": row.draft, "gamma": row.gamma, "tok_s": row.tokens_per_s,
            "speedup": row.speedup, "acceptance": row.acceptance,
        }
        for row in rows
    )  # fmt: skip


def _drafts(group: list[Configuration]) -> Row:
    row = dict(side_by_side([speculative(one) for one in group]))
    filled = sorted((one for one in group if len(one.pairs)), key=_speedup_or_zero, reverse=True)
    if len(filled) > 1:
        best, second = filled[:2]
        shared = set(best.prompts) & set(second.prompts)
        advantage = _advantage(best, second, shared) if shared else None
        row["advantage"] = advantage
        row["winner"] = None if advantage is None or advantage.undecided else best.draft
    return row


def _speedup_or_zero(one: Configuration) -> float:
    speedup = one.ratio("speedup")
    return speedup.point if speedup else 0.0


def _advantage(best: Configuration, second: Configuration, shared: set[str]) -> Estimate:
    left, right = best.on(shared), second.on(shared)
    return contrast(
        np.log(left.column("speedup")), left.prompts, np.log(right.column("speedup")), right.prompts
    )  # fmt: skip


def _real(value: Value) -> float:
    return float(value) if isinstance(value, int | float) else float("inf")


def _sweep_order(row: Row) -> tuple[str, str, float, float]:
    return (str(row["target"]), str(row["draft"]), _real(row["gamma"]), _real(row["n_prompt_tokens"]))


def _baseline(facts: ModelFacts, suite: str, group: pd.DataFrame) -> dict[str, Value]:
    done = with_rates(completed(group))
    speed = _speed(done)
    return {
        "model": label(facts.role), "role": facts.role, "suite": suite,
        "active_parameters": facts.active_parameters, "total_parameters": facts.parameters,
        "total_bytes": facts.size_bytes, "tok_s": speed,
        "read_bytes_per_s": speed.point * facts.bytes_per_token if speed else None,
        "mj_per_token": mean_mj_per_token(done),
        "n_runs": len(group), "n_failed": len(group) - len(done),
    }  # fmt: skip


def _speed(done: pd.DataFrame) -> Estimate | None:
    usable = done[np.isfinite(done["tok_s"])]
    return ratios(np.log(usable["tok_s"].to_numpy(float)), list(usable["prompt"])) if len(usable) else None


def _sweep(study: Study, one: Configuration) -> Iterator[dict[str, Value]]:
    for prompt in sorted(set(one.prompts)):
        alone = one.on({prompt})
        baselines = with_rates(study.runs.loc[alone.pairs["baseline_row"]])
        yield {
            **speculative(alone), "prompt": prompt, "n_prompt_tokens": int(alone.column("n_prompt_tokens")[0]),
            "baseline_tok_s": _speed(baselines),
        }  # fmt: skip
