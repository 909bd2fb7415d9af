"""Findings as a document: a verdict in plain words, how often each rule spoke, each finding with its numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from analysis.audit.evidence import Evidence
from analysis.audit.finding import Finding
from analysis.audit.rules import RULES
from analysis.render import Column, Document, Table
from analysis.render import Row as Cells

IMPOSSIBLE = ("tau-bound", "cycle-time", "draft-budget", "bandwidth", "phantom-signature")
"""Rules after which a row cannot have been measured as described."""


def findings_document(evidence: Evidence, findings: Sequence[Finding]) -> Document:
    """Everything that the audit found, as tables."""
    return Document(
        f"Audit of {evidence.name}",
        (_verdict(evidence, findings), _rules(findings), _findings(findings), _numbers(findings)),
    )


def consequences(evidence: Evidence, findings: Sequence[Finding]) -> Iterator[str]:
    """What the findings mean for a reader of the figures, in sentences."""
    counting = [finding for finding in findings if finding.counts]
    if not counting:
        yield f"Nothing speaks against these figures: {len(RULES)} rules, no finding."
        return
    impossible = _rows_hit(evidence, findings, IMPOSSIBLE)
    if impossible:
        n_rows = len(evidence.rows)
        yield (
            f"{impossible} of {n_rows} configurations with speculation cannot have been measured as described"
            f"{_printed(evidence)}: the work they name does not fit into the time they give."
        )
    beyond = _rows_hit(evidence, findings, ("tau-bound",))
    if beyond:
        yield (
            f"{beyond} of them claim a larger speedup than their own acceptance allows even if drafting "
            "and verification were free; batch verification cannot explain it, because a cycle still "
            "yields no more than its accepted tokens and one."
        )
    if any(finding.rule == "phantom-signature" for finding in findings):
        yield (
            "The times fit a tool that ignored refused rollbacks: one draft pass a token, one target "
            "pass every γ + 1 tokens, stale logits in between. The output was not the target's."
        )
    broken = [finding for finding in counting if finding.severity == "error" and finding.rule not in IMPOSSIBLE]
    if broken:
        rules = ", ".join(dict.fromkeys(finding.rule for finding in broken))
        yield f"Figures from the runs named under {rules} cannot be trusted."
    if all(finding.severity == "warning" for finding in counting):
        yield "No figure is shown to be wrong; the warnings say what limits them."


def _rows_hit(evidence: Evidence, findings: Sequence[Finding], rules: Sequence[str]) -> int:
    hit = {place for finding in findings if finding.rule in rules for place in finding.where}
    return sum(any(place in hit for place in row.where) for row in evidence.rows)


def _printed(evidence: Evidence) -> str:
    """How many printed rows stand behind the distinct ones, where that differs."""
    if evidence.study is not None or evidence.log is not None:
        return ""
    printed = sum(len(row.where) for row in evidence.rows)
    return f" ({printed} printed rows, {len(evidence.rows)} of them distinct)"


def _verdict(evidence: Evidence, findings: Sequence[Finding]) -> Table:
    rows: list[Cells] = [{"verdict": sentence} for sentence in consequences(evidence, findings)]
    return Table("verdict", "Verdict", (Column("verdict", "What follows"),), tuple(rows))


def _rules(findings: Sequence[Finding]) -> Table:
    rows: list[Cells] = []
    for rule in dict.fromkeys(finding.rule for finding in findings):
        of_rule = [finding for finding in findings if finding.rule == rule]
        rows.append({"rule": rule, "severity": of_rule[0].severity, "findings": len(of_rule)})
    columns = (Column("rule", "Rule"), Column("severity", "Severity"), Column("findings", "Findings", "count"))
    return Table("rules", "Rules that spoke", columns, tuple(rows))


def _findings(findings: Sequence[Finding]) -> Table:
    columns = tuple(
        Column(key, head)
        for key, head in (
            ("number", "No."), ("rule", "Rule"), ("severity", "Severity"), ("message", "What is wrong"),
            ("remedy", "What to do"), ("where", "Where"),
        )
    )  # fmt: skip
    rows: list[Cells] = [
        {
            "number": str(number), "rule": finding.rule, "severity": finding.severity,
            "message": finding.message, "remedy": finding.remedy, "where": "; ".join(finding.where),
        }
        for number, finding in enumerate(findings, start=1)
    ]  # fmt: skip
    return Table("findings", "Findings", columns, tuple(rows))


def _numbers(findings: Sequence[Finding]) -> Table:
    rows: list[Cells] = [
        {"number": str(number), "rule": finding.rule, "name": name, "value": float(value)}
        for number, finding in enumerate(findings, start=1)
        for name, value in finding.evidence.items()
    ]
    heads = {"number": "No.", "rule": "Rule", "name": "Number", "value": "Value"}
    columns = tuple(Column(key, head) for key, head in heads.items())
    return Table("evidence", "Evidence", columns, tuple(rows))
