"""How far to trust the answer: what the audit found, whether outputs were lossless, what failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from analysis.audit.evidence import Evidence
from analysis.audit.finding import Finding
from analysis.audit.report import consequences, findings_document
from analysis.audit.rules import RULES, judge
from analysis.plots.subject import Subject
from analysis.render import Column, Row, Table, caveats_of
from analysis.tables import study_notes

Level = Literal["good", "care", "bad"]


@dataclass(frozen=True)
class Trust:
    """`sentences` say what follows from the findings; `doubts` what limits figures that are right."""

    level: Level
    summary: str
    sentences: tuple[str, ...]
    doubts: tuple[str, ...]
    tables: tuple[Table, ...]


def trust(evidence: Evidence, subject: Subject | None, shown: Sequence[Table]) -> Trust:
    """The audit of the evidence, with the doubts that the `shown` tables' estimates carry."""
    findings = judge(evidence)
    doubts = (*(study_notes(subject.study, subject.found) if subject else ()), *caveats_of(shown))
    tables = [table for table in findings_document(evidence, findings).tables if table.name != "verdict"]
    if evidence.study is not None:
        tables.insert(0, _checks(evidence, findings))
    return Trust(
        _level(findings), _summary(findings), tuple(consequences(evidence, findings)), doubts,
        tuple(table for table in tables if table.rows),
    )  # fmt: skip


def _level(findings: Sequence[Finding]) -> Level:
    severities = {finding.severity for finding in findings if finding.counts}
    if not severities:
        return "good"
    return "bad" if "error" in severities else "care"


def _summary(findings: Sequence[Finding]) -> str:
    errors = sum(finding.severity == "error" for finding in findings)
    warnings = sum(finding.severity == "warning" for finding in findings)
    return {
        "good": f"The audit's {len(RULES)} rules found nothing against these figures.",
        "care": f"Audit: no error, warnings: {warnings}. Read them before you use a figure.",
        "bad": f"Audit: errors: {errors}, warnings: {warnings}. Do not rely on the figures they name.",
    }[_level(findings)]


def _checks(evidence: Evidence, findings: Sequence[Finding]) -> Table:
    assert evidence.study is not None
    judged, pairs = evidence.study.judged, evidence.study.pairs
    verdicts = Counter(pairs["verdict"])
    counts = {
        "Runs": len(judged),
        "Failed runs": int((judged["status"] != "ok").sum()),
        "Speculative runs beside a baseline": len(pairs),
        "Output identical to the baseline": verdicts["identical"],
        "Output left at a near-tie (rounding)": verdicts["near-tie"],
        "Output broken": verdicts["broken"],
        "Runs whose accounting does not close": int((~pairs["sound"].astype(bool)).sum()),
        "Audit findings": sum(finding.counts for finding in findings),
    }
    rows: list[Row] = [{"check": check, "count": count} for check, count in counts.items()]
    return Table(
        "checks", "What was checked", (Column("check", "Check"), Column("count", "Count", "count")), tuple(rows)
    )
