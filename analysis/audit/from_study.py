"""Evidence from a study: one row a configuration and prompt, over its blocks.

Room of a figure: the least and the most that any block showed, 2 % on top, and three standard errors of the
noise that single baselines show, so that a bound counts as broken only when every block breaks it and noise
cannot. What was counted (τ, α) has no room.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.accounting import cells, pairs
from analysis.audit.evidence import CONFIGURATION, STANDARD_ERRORS, Evidence, PlainRow, Row, Span, StudyEvidence
from analysis.audit.finding import listed
from analysis.load import Study, measured
from runner.record import ModelFacts

SLACK = 0.02
LEAST_BYTES = 512 * 1024**2
"""Smaller models may live in a chip's caches, whose bandwidth nobody states; the bound is not put on them."""
MEASURED_ROOM = 1.25
"""How far a measured bandwidth may lie below the peak: attainable is 70-85 % of it (facts/llamacpp.md, E)."""
DRAFT_PASS_ROOM = 0.75
"""Inside a cycle a draft pass lacks what a baseline token has besides: sampling for output, one more sync."""
SAME_SIZE = 0.02


def study_evidence(study: Study) -> Evidence:
    """All that can be judged of a study; marked runs are not looked at (see `only_marked`)."""
    runs = cells(study)
    found = StudyEvidence(study, measured(study.runs), runs, pairs(study), single_run_noise(runs))
    machine = study.manifest.machine
    measured_peak = machine.measured_bandwidth_bytes_per_s
    return Evidence(
        name=study.name, rows=_rows(found), plain=_plain(found), study=found,
        bandwidth_bytes_per_s=machine.nominal_bandwidth_bytes_per_s
        or (measured_peak * MEASURED_ROOM if measured_peak else None),
    )  # fmt: skip


def _rows(found: StudyEvidence) -> tuple[Row, ...]:
    roles = draft_roles(found.study, found.pairs)
    passes = {role: draft_pass_ms(found, role) for role in roles.dropna().unique()}
    groups = found.pairs.groupby(["suite", *CONFIGURATION], sort=True, dropna=False)
    return tuple(_row(found, runs, passes.get(roles[runs.index[0]])) for _, runs in groups if _countable(runs))


def draft_roles(study: Study, runs: pd.DataFrame) -> pd.Series:
    """Role of the model that drafts in each run: the cell's own, or the pair's where another drafter drives it.

    Missing where no model drafts (prompt lookup, an oracle that is not charged).
    """
    own = runs["draft"].isin([facts.role for facts in study.manifest.models])
    return runs["draft"].where(own, runs["pair_draft"]).where(runs["draft_sha256"].notna())


def _countable(runs: pd.DataFrame) -> bool:
    return bool((runs["n_cycles"] > 0).all() and (runs["n_tokens"] > 0).all())


def _row(found: StudyEvidence, runs: pd.DataFrame, draft_pass: Span | None) -> Row:
    first = runs.iloc[0]
    target, draft = _facts(found.study, str(first["target"])), _facts(found.study, str(first["draft"]))
    room = found.room(len(runs))
    tau = Span(runs["tau"].min(), runs["tau"].mean(), runs["tau"].max())
    return Row(
        where=listed(runs["run_id"]), target=str(first["target"]), draft=str(first["draft"]),
        gamma=int(first["gamma"]), drafted=_exact(runs["drafted_tokens"] / runs["n_cycles"]),
        t1_ms=_span(runs["t1_ms"], room), ms_per_token=_span(runs["ms_per_token"], room),
        speedup=_span(runs["speedup"], room),
        tau=tau, alpha=_exact(runs["alpha"]), draft_pass_ms=draft_pass, target_bytes=_bytes(target),
        draft_bytes=_bytes(draft), n_runs=len(runs), prompt=_prompt(first),
        accepted_room=_counting_error(found.study, runs),
    )  # fmt: skip


def _prompt(run: pd.Series) -> str:
    """What tells rows apart beside models and γ: suite, prompt, and pair and rollback where asked for."""
    asked = (run["suite"], run["prompt"], run["rollback"], run["pair_draft"])
    return " ".join(str(part) for part in asked if not pd.isna(part) and part != run["draft"])


def draft_pass_ms(found: StudyEvidence, role: str) -> Span | None:
    """T_D: one pass of the same file, or of one with as many parameters scaled by the bytes read; else None.

    The pass alone, without what Python spends on a token: a cycle spends that once, not once a drafted token.
    """
    draft = _facts(found.study, role)
    baselines = found.cells[found.cells["gamma"] == 0]
    if draft is None:
        return None
    for facts in sorted(found.study.manifest.models, key=lambda facts: facts.sha256 != draft.sha256):
        times = baselines.loc[baselines["target"] == facts.role, "verify_ms"]
        if times.empty or abs(facts.parameters / draft.parameters - 1) > SAME_SIZE:
            continue
        scale = draft.bytes_per_token / facts.bytes_per_token
        room = found.room(len(times))
        least, most = times.min() * scale * DRAFT_PASS_ROOM / room, times.max() * scale * room
        return Span(least, times.mean() * scale, most)
    return None


def _plain(found: StudyEvidence) -> tuple[PlainRow, ...]:
    baselines = found.cells[found.cells["gamma"] == 0]
    return tuple(
        PlainRow(
            where=listed(runs["run_id"]), target=str(target),
            ms_per_token=_span(runs["ms_per_token"], found.room(len(runs))),
            active_bytes=_bytes(_facts(found.study, str(target))),
        )
        for target, runs in baselines.groupby("target", sort=True)
    )  # fmt: skip


def _facts(study: Study, role: str) -> ModelFacts | None:
    return next((facts for facts in study.manifest.models if facts.role == role), None)


def _bytes(facts: ModelFacts | None) -> float | None:
    if facts is None or facts.bytes_per_token < LEAST_BYTES:
        return None
    return float(facts.bytes_per_token)


def _span(values: pd.Series, room: float) -> Span:
    return Span(values.min() * (1 - SLACK) / room, values.mean(), values.max() * (1 + SLACK) * room)


def single_run_noise(runs: pd.DataFrame) -> float:
    """Standard deviation of ln(t₁) of a target around its mean, prompts and blocks together; 0 for lone runs.

    Prompts differ in length and so in time, which makes the noise seem larger and the audit kinder.
    """
    logs = np.log(runs.loc[runs["gamma"] == 0, "ms_per_token"])
    groups = logs.groupby(runs["target"])
    free = len(logs) - groups.ngroups
    return float(np.sqrt(((logs - groups.transform("mean")) ** 2).sum() / free)) if free > 0 else 0.0


def _exact(values: pd.Series) -> Span:
    return Span(values.min(), values.mean(), values.max())


def _counting_error(study: Study, runs: pd.DataFrame) -> float:
    """Three standard errors of accepted tokens per cycle, and one token, as a short text ends where it ends.

    Blocks repeat a greedy run, so one block counts. Its own spread says little when few cycles were run; it is
    taken for no less than that of the geometric law, A + A² for a mean A.
    """
    accepted = study.arrays[int(runs.index[0])].accepted
    mean, n_cycles = float(np.mean(accepted)), len(accepted)
    variance = max(float(np.var(accepted)), mean + mean**2)
    return STANDARD_ERRORS * float(np.sqrt(variance / n_cycles)) + 1 / n_cycles
