"""`python -m runner doctor`: would a study started now be worth anything?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from runner.compose import Wish
from runner.doctor.examine import examine
from runner.doctor.line import Line
from runner.doctor.work import work_of
from runner.locks import hold, machine_lock_path
from runner.shared_options import choose_on_option, family_option, models_dir_option, role_option
from runner.wiring import real_wiring
from suites.loader import ALL

SOUND, WORTHLESS = 0, 1
_THREADS = "CPU threads of the study; default: all fast cores but one. Proofs take one fewer."
_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command()
@click.argument("names", nargs=-1, metavar="[SUITE]...")
@family_option
@models_dir_option
@role_option
@click.option("--threads", type=click.IntRange(1, 1024), help=_THREADS)
@click.option("--n-ctx", type=click.IntRange(1, 2**20), help="Context; default: what the longest run needs.")
@choose_on_option
@click.option("--out", type=click.Path(path_type=Path), help="Where the study would be written.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def doctor(context: click.Context, /, *, names: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Check machine, build, models and rollback for the named suites (all, if none is named) or an experiment.

    Exit status: 0 a study is worth running, 1 it would be worthless (a line says `fail`), 2 refused, as while a
    study is running: the doctor loads models and would disturb it.
    """
    wish = Wish(names=names or (ALL,), n_ctx_tokens=options.pop("n_ctx"), **options)
    wiring = context.obj or real_wiring()
    work = work_of(wish, wiring)
    lines: list[Line] = []
    # Loading models and measuring bandwidth would spoil a running study's numbers, and it the doctor's.
    with hold(machine_lock_path(), "a study is running on this machine"):
        for line in examine(wish, work, wiring):
            lines.append(line)
            if not as_json:
                _show(line)
    worthless = any(line.level == "fail" for line in lines)
    if as_json:
        told = {"worthless": worthless, "lines": lines}
        click.echo(msgspec.json.format(msgspec.json.encode(told), indent=2).decode())
    context.exit(WORTHLESS if worthless else SOUND)


def _show(line: Line) -> None:
    level = click.style(f"{line.level:<4}", fg=_COLOURS[line.level])
    click.echo(f"{level}  {line.check:<15} {line.finding}")
    if line.remedy is not None:
        click.echo(f"{'':<22}→ {line.remedy}")
