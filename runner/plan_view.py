"""Shows suites and plans without measuring anything: tables for people, JSON for programs."""

from __future__ import annotations

from datetime import timedelta

import click
import msgspec

from runner import compose
from runner.cells import Step
from runner.compose import Design, Wish
from runner.wiring import Wiring
from suites.experiments import experiment_names, load_experiment
from suites.loader import load_suite, suite_names


def suites_as_text() -> str:
    """One line per declared suite: how many cells it has, or points of another kind."""
    suites = [load_suite(name) for name in suite_names()]
    experiments = [load_experiment(name) for name in experiment_names()]
    lines = [
        *(f"{suite.name:<16}{suite.n_cells:>5} cells  {suite.title}" for suite in suites),
        *(f"{one.name:<16}{one.n_points:>5} {one.noun:<6} {one.title}" for one in experiments),
    ]
    return "\n".join(lines)


def suites_as_json() -> str:
    """Suite -> declared cells, and experiment -> points."""
    return _json(
        {
            "suites": {name: load_suite(name).n_cells for name in suite_names()},
            "experiments": {name: load_experiment(name).n_points for name in experiment_names()},
        }
    )


def plan_as_text(wish: Wish, wiring: Wiring) -> str:
    """The ordered plan, then counts per suite and the estimated time.

    Raises UsageError, SuiteError or ModelError for what cannot be run.
    """
    designed = compose.design(wish)
    family = compose.likely_family(wish, designed.steps, wiring)
    lines = [_line(order, step) for order, step in enumerate(designed.steps)]
    return "\n".join([*lines, "", *_counts(designed), _summary(designed, family)])


def plan_as_json(wish: Wish, wiring: Wiring) -> str:
    """The same for programs; `suites` maps each suite to its declared cells, `plan` holds every run in order.

    Raises UsageError, SuiteError or ModelError for what cannot be run.
    """
    designed = compose.design(wish)
    family = compose.likely_family(wish, designed.steps, wiring)
    plan = [{"order": order, **msgspec.to_builtins(step.cell)} for order, step in enumerate(designed.steps)]
    return _json(
        {
            "family": family,
            "suites": designed.cells,
            "paired_baselines": designed.paired_baselines,
            "reference_runs": designed.reference_runs,
            "runs": len(designed.steps),
            "estimated_s": round(designed.estimated_s(family)),
            "n_ctx_tokens": designed.n_ctx_tokens,
            "plan": plan,
        }
    )


def announce(family: str, reason: str) -> None:
    """Say loudly on standard error which models are measured, and why these."""
    click.secho(f"family {family} ({reason})", err=True, bold=True)
    if family == compose.SYNTHETIC:
        click.echo("these models are built in: they measure llama.cpp on this machine, not Qwen3.5", err=True)


def _line(order: int, step: Step) -> str:
    cell = step.cell
    purpose = "" if cell.purpose == "cell" else cell.purpose
    line = (
        f"{order:>5}  {cell.suite:<15} {cell.target:<11} {cell.pair_draft:<11} gamma {cell.gamma:<3}"
        f" {cell.prompt:<13} block {cell.block:<3} {purpose}"
    )
    return line.rstrip()


def _counts(designed: Design) -> list[str]:
    paired = designed.paired_baselines
    return [
        f"{name:<16}{cells:>5} cells" + (f", {paired[name]} paired baselines on top" if paired[name] else "")
        for name, cells in designed.cells.items()
    ]


def _summary(designed: Design, family: str) -> str:
    return (
        f"{sum(designed.cells.values())} cells, {len(designed.steps)} runs with paired baselines and"
        f" {designed.reference_runs} reference runs; family {family}, context of {designed.n_ctx_tokens} tokens;"
        f" about {timedelta(seconds=round(designed.estimated_s(family)))}, a guess that measuring corrects"
    )


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value)).decode()
