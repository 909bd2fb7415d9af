"""Somebody else's log is judged as ours is: the published kind is found out, an honest one is left alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from analysis.audit.finding import Finding
from analysis.audit.from_log import log_evidence
from analysis.audit.rules import judge
from analysis.foreign import load_foreign
from tests.audit.foreign_logs import COLUMNS, TALK, honest, honest_log, phantom_log, rows, write

Rows = list[dict[str, object]]


def audit(path: Path) -> tuple[Finding, ...]:
    return judge(log_evidence(load_foreign(path)))


def rules(path: Path) -> set[str]:
    return {finding.rule for finding in audit(path) if finding.counts}


def test_an_honest_log_audits_clean(tmp_path: Path) -> None:
    assert audit(honest_log(tmp_path / "runs.csv")) == ()


def test_the_published_kind_of_log_is_found_out(tmp_path: Path) -> None:
    findings = audit(phantom_log(tmp_path / "runs.csv"))
    spoken = {finding.rule for finding in findings}
    assert {"cycle-time", "draft-budget", "phantom-signature", "baseline-other-prompt", "tau-bound"} <= spoken
    cycle_time = [finding for finding in findings if finding.rule == "cycle-time"]
    assert len(cycle_time) == 3 * 2 * 3 * len(TALK)
    assert all(place.startswith("runs.csv:") for finding in cycle_time for place in finding.where)


def test_the_phantoms_target_pass_is_recovered_from_either_draft(tmp_path: Path) -> None:
    found = [one for one in audit(phantom_log(tmp_path / "runs.csv")) if one.rule == "phantom-signature"]
    for finding in found:
        expected = [ms * (1 + 0.35 * finding.evidence["gamma"]) for ms in (18.08, 20.04, 29.9)]
        solved = finding.evidence["verify_ms_first_draft"]
        assert min(abs(solved - ms) / ms for ms in expected) < 0.01


def changed(change: Callable[[dict[str, object]], dict[str, object]], where: str = "draft_0.8b") -> Rows:
    content = list(rows(honest, TALK))
    return [{**row, **change(row)} if row["draft_model"] == where else row for row in content]


SPOILED: dict[str, tuple[str, Callable[[], Rows]]] = {
    "stated speedup": ("speedup-recomputes", lambda: changed(lambda row: {"speedup_vs_baseline": 3.5})),
    "failed run": ("failed-runs", lambda: changed(lambda row: {"status": "error"})),
    "copied rows": ("duplicate-runs", lambda: [*rows(honest, TALK), *list(rows(honest, TALK))[:9]]),
    "no baseline": (
        "baseline-missing", lambda: [row for row in rows(honest, TALK) if not is_moe_q4_baseline(row)],
    ),
    "budget": ("unequal-budgets", lambda: changed(lambda row: {"n_predict": 128})),
    "machines": ("mixed-machines", lambda: changed(lambda row: {"machine": "another"})),
    "chips": ("mixed-machines", lambda: changed(lambda row: {"chip": "another"})),
    "builds": ("mixed-builds", lambda: [{**row, "build": row["draft_len"]} for row in rows(honest, TALK)]),
    "rates": ("rates-recompute", lambda: changed(lambda row: {"tokens_per_sec": 99})),
    "no acceptance": ("acceptance-missing", lambda: changed(lambda row: {"draft_acceptance_rate": ""})),
    "impossible figure": ("out-of-range", lambda: changed(lambda row: {"draft_acceptance_rate": 3})),
    "one prompt accepts all at the same speed": (
        "acceptance-without-effect",
        lambda: changed(lambda row: {"draft_acceptance_rate": 1.0 if row["prompt_key"] == "code_gen" else 0.1}),
    ),
    "baseline on another prompt": ("baseline-other-prompt", lambda: list(rows(honest, ("bench",)))),
}  # fmt: skip


def is_moe_q4_baseline(row: dict[str, object]) -> bool:
    return row["target_model"] == "moe_q4" and row["draft_model"] == "none"


@pytest.mark.parametrize("name", SPOILED)
def test_a_spoiled_log_is_caught_by_the_rule_that_names_the_fault(name: str, tmp_path: Path) -> None:
    rule, spoil = SPOILED[name]
    assert rule in rules(write(tmp_path / "runs.csv", spoil(), [*COLUMNS, "build"]))


def test_a_log_of_baselines_alone_is_clean(tmp_path: Path) -> None:
    content = [row for row in rows(honest, TALK) if row["draft_model"] == "none"]
    assert audit(write(tmp_path / "runs.csv", content)) == ()


def test_prompts_that_share_a_name_but_not_a_length_are_told_apart(tmp_path: Path) -> None:
    """The published sweep has one prompt name for six lengths; their acceptances must not be averaged."""
    lengths = {"code_gen": 32, "short_factual": 64, "sweep": 32}
    content = [
        {**row, "prompt_key": "sweep", "n_prompt": lengths[str(row["prompt_key"])]}
        for row in rows(honest, ("sweep",))
    ]
    evidence = log_evidence(load_foreign(write(tmp_path / "runs.csv", content)))
    assert len(evidence.rows) == 3 * 2 * 3 * 2
