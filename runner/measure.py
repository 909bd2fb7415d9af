"""Runs a study from request to results: resolve, check, lock, execute, and say how it ended."""

from __future__ import annotations

import os
from pathlib import Path

import click

from runner import compose
from runner.compose import Design, Wish
from runner.errors import StudyError, UsageError
from runner.go_on import to_go_on, to_try_again
from runner.interrupt import stop_on_signals
from runner.locks import hold, machine_lock_path
from runner.plan import Plan
from runner.plan_view import announce
from runner.progress import watching
from runner.redact import of_this_machine, redact_all
from runner.schedule import Bench, Outcome, execute, missing_or_failed_runs, missing_runs
from runner.study import Study
from runner.wiring import FoundFamily, Wiring

ALL_OK, SOME_FAILED, INTERRUPTED = 0, 1, 130


def measure(wish: Wish, wiring: Wiring) -> int:
    """Run what was asked for, or what of it is missing; returns the exit status.

    Raises StudyError for what is refused; then nothing was written.
    """
    designed = compose.design(wish)
    if wish.rerun and wish.out is None:
        raise UsageError("--rerun needs --out FOLDER: the study whose failed runs are to be run again")
    with hold(machine_lock_path(), "another study is running on this machine"):
        family = compose.family_of(wish, designed.steps, wiring)
        announce(family.name, family.reason)
        compose.refuse_strange_drafts(designed.steps, family, wiring)
        folder = wish.out or compose.default_out(wish, family.name)
        outcome = _run(wish, designed, family, folder, wiring)
    return _conclude(outcome, wish, folder, wiring)


def _run(wish: Wish, designed: Design, family: FoundFamily, folder: Path, wiring: Wiring) -> Outcome:
    private = of_this_machine()
    machine = wiring.machine_facts()
    settings = compose.settings_of(wish, designed.n_ctx_tokens, machine)
    engine = wiring.engine_facts()
    if not wish.despite_doctor:
        for warning in wiring.examine(
            designed.pairs, family, settings=settings, machine=machine, engine=engine, out=folder
        ):
            _say(f"doctor: {warning}")
    arguments = redact_all(wish.arguments, private)
    plan, manifest = compose.fix(designed, family, settings, machine, engine, arguments=arguments)
    executor = wiring.make_executor(family.paths, settings)
    with Study(folder, manifest, [run.run_id for run in plan.runs]) as study:
        wanted = missing_or_failed_runs(plan, study) if wish.rerun else missing_runs(plan, study)
        _say_what_is_left(folder, len(wanted), plan)
        with watching(wanted) as watcher, stop_on_signals(announce_stop) as stop, wiring.kept_awake():
            bench = Bench(
                state=wiring.machine_state,
                clock=wiring.clock,
                stop=stop,
                watcher=watcher,
                private=private,
                engine_version=manifest.engine.version,
                sha256_of={facts.role: facts.sha256 for facts in manifest.models},
            )
            return execute(plan, wanted, executor, study, bench)


def _say_what_is_left(folder: Path, n_wanted: int, plan: Plan) -> None:
    if n_wanted < len(plan.runs):
        _say(f"continuing {folder}: {n_wanted} of {len(plan.runs)} runs are left to do")


def _conclude(outcome: Outcome, wish: Wish, folder: Path, wiring: Wiring) -> int:
    if outcome.interrupted and outcome.undone:
        _say(f"stopped with {outcome.undone} runs to do; to go on: {to_go_on(wish, folder)}")
        return INTERRUPTED
    _explain(folder, wiring)
    click.echo(f"results: {folder}")
    if outcome.failed:
        n_runs = outcome.ok + outcome.failed
        _say(f"{outcome.failed} of {n_runs} runs failed; to try them again: {to_try_again(wish, folder)}")
        return SOME_FAILED
    return ALL_OK


def _explain(folder: Path, wiring: Wiring) -> None:
    """Print the tables and write the page; what cannot be explained is said and hides no result."""
    try:
        click.echo(wiring.tables(folder))
        click.echo(f"report: {wiring.write_report(folder)}")
    except StudyError as error:
        _say(f"no tables: {error}")


def announce_stop() -> None:
    """Answer the first Ctrl-C."""
    # Called inside a signal handler, where a buffered stream may be in the middle of a write.
    os.write(2, b"\nstopping after this run; once more stops at once\n")


def _say(line: str) -> None:
    click.echo(line, err=True)
