"""`python -m analysis audit`: exit status 0 clean, 1 findings, 2 unusable input."""

from __future__ import annotations

import click

from analysis.audit.report import findings_document
from analysis.audit.rules import judge
from analysis.audit.sources import evidence_of, marked_evidence
from analysis.foreign import parse_mapping
from analysis.render import FORMATS, Format, render
from runner.errors import UsageError


@click.command()
@click.argument("source")
@click.option(
    "--format", "form", type=click.Choice(FORMATS), default="md", show_default=True, help="How to print."
)
@click.option("--map", "columns", multiple=True, metavar="THEIRS=OURS", help="Name a column of a foreign CSV.")
@click.option("--marked", is_flag=True, help="Judge the runs that a study marked as wrong on purpose.")
@click.pass_context
def audit(ctx: click.Context, source: str, form: Format, columns: tuple[str, ...], marked: bool) -> None:  # noqa: FBT001
    """Judge the figures of SOURCE: a study's folder, `published`, or a run log of another tool.

    Logs: CSV (the published study's columns, ours, or mapped by --map) and llama-bench's JSON, JSONL and CSV.
    Exit status 0: nothing found. 1: findings. 2: SOURCE cannot be read.
    """
    if marked and columns:
        raise UsageError("--marked looks into a study, --map reads a foreign log; use one of them")
    evidence = marked_evidence(source) if marked else evidence_of(source, parse_mapping(columns))
    findings = judge(evidence)
    click.echo(render(findings_document(evidence, findings), form), nl=False)
    ctx.exit(1 if any(finding.counts for finding in findings) else 0)
