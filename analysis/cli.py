"""`python -m analysis`: one command a question. Commands load only when called, so that each starts fast."""

from __future__ import annotations

import click

from runner.lazy_group import LazyGroup, run

COMMANDS: dict[str, str] = {
    "tables": "analysis.commands.tables:tables",
    "decompose": "analysis.commands.decompose:decompose",
    "compare": "analysis.commands.compare:compare",
    "audit": "analysis.audit.command:audit",
    "claims": "analysis.claims_command:claims",
    "tpot": "analysis.tpot.cli:tpot",
    "plots": "analysis.plots.command:plots",
    "report": "analysis.report.command:report",
    "verify-cost": "analysis.commands.experiments:verify_cost",
    "oracle": "analysis.commands.experiments:oracle",
    "rollback": "analysis.commands.experiments:rollback",
    "phantom": "analysis.commands.experiments:phantom",
    "routing": "analysis.commands.routing:routing",
    "moesd": "analysis.moesd.cli:moesd",
}
"""Command name -> `module:attribute` of its click command."""


@click.group(cls=LazyGroup, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Explain a study: tables, decomposition, audit, claims, models. Works without llama-cpp-python."""


def main() -> None:
    """Run the command line."""
    run(cli)
