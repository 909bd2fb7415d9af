"""`python -m runner suite`: list what is declared, show a plan, run it or continue it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from runner import experiment_command, plan_view
from runner.compose import Wish
from runner.errors import UsageError
from runner.measure import INTERRUPTED, measure
from runner.shared_options import choose_on_option, family_option, models_dir_option, role_option
from runner.wiring import DESPITE_DOCTOR, real_wiring

LIST = "list"
_ARGUMENTS = "specstudy.arguments"
_FOLDER = click.Path(path_type=Path)


class _Remembering(click.Command):
    """Keeps its arguments as they were typed, for the manifest and for the hint how to go on."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[_ARGUMENTS] = ("suite", *args)
        return super().parse_args(ctx, args)


@click.command(cls=_Remembering)
@click.argument("names", nargs=-1)
@click.option("--dry-run", is_flag=True, help="Show the ordered plan, counts and estimated time only.")
@click.option("--json", "as_json", is_flag=True, help="With `list` or --dry-run: print JSON.")
@family_option
@click.option("--repeats", type=click.IntRange(1, 1000), help="Blocks, instead of the suites' own number.")
@click.option("--n-predict", type=click.IntRange(1, 100_000), help="Generated tokens per run, likewise.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=1, show_default=True, help="Orders the runs.")
@click.option("--threads", type=click.IntRange(1, 1024), help="CPU threads; default: all fast cores but one.")
@click.option("--n-ctx", type=click.IntRange(1, 2**20), help="Context; default: what the longest run needs.")
@click.option("--out", type=_FOLDER, help="Study folder; an existing study is continued.")
@models_dir_option
@role_option
@choose_on_option
@click.option(DESPITE_DOCTOR, is_flag=True, help="Start even where `doctor` says that it is worthless.")
@click.option("--rerun", type=click.Choice(["failed"]), help="Run failed runs of --out again; all are kept.")
@click.pass_context
def suite(ctx: click.Context, /, names: tuple[str, ...], **options: Any) -> None:
    """Run the named suites, `all` of the published matrix, or `list` them.

    Interrupted with Ctrl-C, a study goes on where it was with the same command and --out FOLDER. Exit status:
    0 every run is ok, 1 some runs failed, 2 the request was refused, 130 interrupted.
    """
    dry_run, as_json = options.pop("dry_run"), options.pop("as_json")
    if names == (LIST,):
        click.echo(plan_view.suites_as_json() if as_json else plan_view.suites_as_text())
        return
    wish = Wish(
        names=names,
        arguments=ctx.meta[_ARGUMENTS],
        n_predict_tokens=options.pop("n_predict"),
        n_ctx_tokens=options.pop("n_ctx"),
        **options,
    )
    wiring = ctx.obj or real_wiring()
    measure_it, as_text, as_its_json = measure, plan_view.plan_as_text, plan_view.plan_as_json
    if experiment_command.asked_for(names):
        measure_it = experiment_command.measure_experiment
        as_text, as_its_json = experiment_command.experiment_as_text, experiment_command.experiment_as_json
    if dry_run:
        click.echo(as_its_json(wish, wiring) if as_json else as_text(wish, wiring))
        return
    if as_json:
        raise UsageError("--json belongs to `suite list` or --dry-run; a study's results are in its folder")
    try:
        ctx.exit(measure_it(wish, wiring))
    except KeyboardInterrupt:
        ctx.exit(INTERRUPTED)
