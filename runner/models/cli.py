"""`python -m runner models`: which models are here, whether they are what they should be, and fetching them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import click

from runner.errors import UsageError
from runner.models import resolve_family, view
from runner.models.family import find_files
from runner.models.fetch import Order, fetch, order_for, refuse_without_space
from runner.models.places import places
from runner.models.registry import registry
from runner.models.report import BUILT_IN, GIVEN, RoleFile, report_pairs, report_role
from runner.shared_options import models_dir_option, role_option
from runner.units import scaled

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def models() -> None:
    """Find, check and fetch the real models."""


@models.command("list")
@models_dir_option
@json_option
def list_command(*, models_dir: Path | None, as_json: bool) -> None:
    """Show which role has which file here, and where was looked."""
    where = places(models_dir)
    found = find_files(registry().roles, where)
    click.echo(view.listing_json(where, found) if as_json else view.listing_text(where, found))


@models.command("check")
@click.argument("names", nargs=-1, metavar="[ROLE]...")
@models_dir_option
@role_option
@click.option(
    "--family",
    type=click.Choice(["qwen3.5", "synthetic"]),
    default="qwen3.5",
    show_default=True,
    help="Which family's files to check; those of the built-in one are built where they are missing.",
)
@json_option
@click.pass_context
def check_command(
    context: click.Context,
    /,
    *,
    names: tuple[str, ...],
    models_dir: Path | None,
    roles: dict[str, Path],
    family: str,
    as_json: bool,
) -> None:
    """Compare each file's metadata with what its role expects, and vocabularies of drafts with their targets'.

    Exit status: 0 all is well, 1 a file is missing or wrong, 2 the request was refused.
    """
    wanted = names or registry().roles
    files = _built_in(wanted) if family == "synthetic" else _on_this_machine(wanted, models_dir, roles)
    reports = [report_role(file) for file in files]
    here = {file.role for file in files}
    missing = [role for role in wanted if role not in here]
    check = view.Check(missing=missing, roles=reports, pairs=report_pairs(files, reports))
    click.echo(view.as_json(check) if as_json else view.check_text(check))
    context.exit(0 if check.is_sound else 1)


@models.command("fetch")
@click.argument("names", nargs=-1, metavar="[ROLE]...")
@models_dir_option
@click.option("--yes", is_flag=True, help="Agree to the size without being asked.")
def fetch_command(*, names: tuple[str, ...], models_dir: Path | None, yes: bool) -> None:
    """Download the roles that have no file here (all, if none is named) into the Hub's cache.

    A download that breaks goes on where it was when the command is given again.
    """
    wanted = names or registry().roles
    here = find_files(wanted, places(models_dir))
    for role, found in here.items():
        click.echo(f"{role:<12} is here ({found.place.label})", err=True)
    missing = [role for role in wanted if role not in here]
    if not missing:
        return
    order = order_for(missing)
    refuse_without_space(order)
    if not yes:
        _ask(order)
    for role, path in fetch(order).items():
        click.echo(f"{role}\t{path}")


def _ask(order: Order) -> None:
    click.echo(view.order_text(order), err=True)
    size = scaled(order.open_bytes, "B")
    try:
        agreed = click.confirm(f"Download {size}?", err=True)
    except click.Abort:
        raise UsageError(f"{size} to download and nobody to ask; agree with --yes") from None
    if not agreed:
        raise UsageError("nothing was downloaded; name the roles you want, or give files with --role ROLE=PATH")


def _on_this_machine(wanted: Iterable[str], models_dir: Path | None, given: Mapping[str, Path]) -> list[RoleFile]:
    found = find_files(wanted, places(models_dir))
    files = {role: RoleFile(role=role, path=one.path, place=one.place.label) for role, one in found.items()}
    by_hand = {role: RoleFile(role=role, path=path, place=GIVEN) for role, path in given.items()}
    return list((files | by_hand).values())


def _built_in(wanted: Iterable[str]) -> list[RoleFile]:
    family = resolve_family("synthetic", roles=wanted, on_progress=lambda line: click.echo(line, err=True))
    return [RoleFile(role=role, path=path, place=BUILT_IN) for role, path in family.paths.items()]
