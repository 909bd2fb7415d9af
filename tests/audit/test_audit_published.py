"""What the audit must say about the published tables (issue 3, "It must show")."""

from __future__ import annotations

import dataclasses

import pytest

from analysis.audit.evidence import Evidence, Row, Span
from analysis.audit.finding import Finding
from analysis.audit.from_published import published_evidence
from analysis.audit.report import consequences, findings_document
from analysis.audit.rules import judge
from analysis.render import render


@pytest.fixture(scope="module")
def findings() -> tuple[Finding, ...]:
    return judge(published_evidence())


def of(findings: tuple[Finding, ...], rule: str) -> list[Finding]:
    return [finding for finding in findings if finding.rule == rule]


@pytest.mark.parametrize("rule", ["cycle-time", "draft-budget"])
def test_each_of_the_24_printed_rows_breaks_cycle_time_and_draft_budget(
    findings: tuple[Finding, ...], rule: str
) -> None:
    found = of(findings, rule)
    assert len(found) == 18
    assert len({place for finding in found for place in finding.where}) == 24


def test_ten_configurations_break_the_bound_of_their_own_acceptance(findings: tuple[Finding, ...]) -> None:
    broken = {finding.where[-1].partition(": ")[2] for finding in of(findings, "tau-bound")}
    assert broken == {
        "moe-q4 + draft-0.8b, γ 4", "moe-q4 + draft-0.8b, γ 8", "moe-q4 + draft-0.8b, γ 16",
        "moe-q8 + draft-0.8b, γ 4", "moe-q8 + draft-0.8b, γ 8", "moe-q8 + draft-0.8b, γ 16",
        "moe-q8 + draft-2b, γ 16", "dense-4b + draft-0.8b, γ 16", "dense-9b + draft-0.8b, γ 8",
        "dense-9b + draft-0.8b, γ 16",
    }  # fmt: skip


def test_reading_all_35_billion_weights_a_token_exceeds_the_bandwidth(findings: tuple[Finding, ...]) -> None:
    by_place = {finding.where[0]: finding for finding in of(findings, "bandwidth")}
    q4 = by_place["published baseline: moe-q4"]
    assert q4.evidence["bytes_per_s"] == pytest.approx(55.3 * 20.6e9)
    assert q4.evidence["peak_bytes_per_s"] == 800e9
    assert "all weights" in q4.message
    assert "published baseline: moe-q8" in by_place
    assert "published baseline: dense-9b" not in by_place


def test_dense_9b_at_gamma_16_exceeds_it_without_a_single_draft_pass(findings: tuple[Finding, ...]) -> None:
    finding = next(one for one in of(findings, "bandwidth") if "dense-9b + draft-0.8b, γ 16" in one.where[0])
    assert "without a single draft pass" in finding.message
    assert finding.evidence["ratio"] > 1.2


def test_both_drafts_give_the_same_phantom_target_pass(findings: tuple[Finding, ...]) -> None:
    found = {one.message.partition(": ")[0]: one.evidence for one in of(findings, "phantom-signature")}
    assert len(found) == 6
    for gamma, verify_ms, honest in ((4, 43, 14.0), (8, 73, 7.6), (16, 121, 4.2)):
        evidence = found[f"moe-q4, γ {gamma}"]
        assert evidence["verify_ms_first_draft"] == pytest.approx(verify_ms, abs=1)
        assert evidence["verify_ms_second_draft"] == pytest.approx(verify_ms, abs=1)
        assert evidence["honest_tokens_per_s"] == pytest.approx(honest, abs=0.1)


def test_the_stated_speedups_are_the_ratios_of_the_stated_speeds(findings: tuple[Finding, ...]) -> None:
    assert of(findings, "speedup-recomputes") == []


def test_the_verdict_names_the_consequence_in_plain_words(findings: tuple[Finding, ...]) -> None:
    said = " ".join(consequences(published_evidence(), findings))
    assert "18 of 18 configurations with speculation cannot have been measured as described" in said
    assert "24 printed rows, 18 of them distinct" in said
    assert "10 of them claim a larger speedup than their own acceptance allows" in said
    assert "batch verification cannot explain it" in said


def test_every_finding_has_evidence_a_place_a_message_and_a_remedy(findings: tuple[Finding, ...]) -> None:
    for finding in findings:
        assert finding.where
        assert finding.evidence
        assert finding.message.endswith((".", "s."))
        assert finding.remedy.endswith(".")


def test_figures_that_had_been_honest_would_be_left_alone() -> None:
    """The same baselines, with the speeds that honest speculation would have had at that acceptance."""
    evidence = published_evidence()
    rows = tuple(_made_honest(row) for row in evidence.rows)
    honest = dataclasses.replace(evidence, rows=rows, plain=())
    assert {finding.rule for finding in judge(honest)} <= {"acceptance-falls"}


def _made_honest(row: Row) -> Row:
    assert row.draft_pass_ms is not None
    ms = (2 * row.t1_ms.value + row.gamma * row.draft_pass_ms.value) / row.tau.value
    slow = dataclasses.replace(row, ms_per_token=Span.exact(ms), speedup=Span.exact(row.t1_ms.value / ms))
    return dataclasses.replace(slow, target_bytes=None)


@pytest.mark.parametrize("form", ["md", "csv", "json"])
def test_the_report_renders_the_same_bytes_each_time(findings: tuple[Finding, ...], form: str) -> None:
    document = findings_document(published_evidence(), findings)
    assert render(document, form) == render(document, form)  # type: ignore[arg-type]


def test_a_clean_verdict_says_how_many_rules_were_asked() -> None:
    evidence = Evidence(name="empty", rows=(), plain=())
    assert list(consequences(evidence, judge(evidence))) == [
        "Nothing speaks against these figures: 44 rules, no finding."
    ]
