"""Shows what was found of the models: tables for people, JSON for programs."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from runner.gguf_facts import shard_paths
from runner.models.family import Found
from runner.models.fetch import Order
from runner.models.places import Place
from runner.models.registry import registry
from runner.models.report import PairReport, RoleReport
from runner.units import counted, scaled


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """What `models check` prints as JSON."""

    missing: list[str]
    roles: list[RoleReport]
    pairs: list[PairReport]

    @property
    def is_sound(self) -> bool:
        """Nothing is missing and nothing failed."""
        severities = [report.severity for report in self.roles] + [pair.severity for pair in self.pairs]
        return not self.missing and "fail" not in severities


def listing_text(where: list[Place], found: Mapping[str, Found]) -> str:
    """A line per role, then the places in the order they were looked in."""
    looked = [f"  {place.label:<16} {place.root}{_absence(place)}" for place in where]
    lines = [_listing_line(role, found.get(role)) for role in registry().roles]
    return "\n".join([f"{'role':<12} {'size':>8}  {'place':<13} file", *lines, "", "looked in:", *looked])


def listing_json(where: list[Place], found: Mapping[str, Found]) -> str:
    """The same for programs; a role without a file is null."""
    told = {role: {"path": str(one.path), "place": one.place.label} for role, one in found.items()}
    looked = [{"label": place.label, "path": str(place.root), "exists": place.root.is_dir()} for place in where]
    return as_json({"places": looked, "roles": {role: told.get(role) for role in registry().roles}})


def check_text(check: Check) -> str:
    """A line per role with its findings below, then the pairs that do not fit."""
    lines = [line for report in check.roles for line in _role_lines(report)]
    lines += [f"fail  {role:<12} no file here; fetch it with `models fetch {role}`" for role in check.missing]
    wrong = [pair for pair in check.pairs if pair.severity != "ok"]
    lines += [f"{pair.severity:<5} {pair.draft} for {pair.target}: {pair.finding}" for pair in wrong]
    if check.pairs and not wrong:
        lines.append(f"ok    all {len(check.pairs)} pairs of target and draft share their vocabulary")
    return "\n".join(lines)


def order_text(order: Order) -> str:
    """A line per role with what will be downloaded."""
    sizes = {role: scaled(sum(part.size_bytes for part in parts), "B") for role, parts in order.files.items()}
    first = {role: f"{parts[0].repository}/{parts[0].name}" for role, parts in order.files.items()}
    return "\n".join(f"{role:<12} {sizes[role]:>8}  {first[role]}" for role in order.files)


def as_json(value: object) -> str:
    """Indented JSON."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def _listing_line(role: str, found: Found | None) -> str:
    if found is None:
        best = registry().entry(role).files[0]
        return f"{role:<12} {'—':>8}  {'not here':<13} {best.name}.gguf ({scaled(best.bytes, 'B')})"
    size = scaled(sum(part.stat().st_size for part in shard_paths(found.path) if part.exists()), "B")
    return f"{role:<12} {size:>8}  {found.place.label:<13} {found.path}"


def _absence(place: Place) -> str:
    return "" if place.root.is_dir() else "  (not there)"


def _role_lines(report: RoleReport) -> list[str]:
    if report.parameters is None or report.active_parameters is None or report.bytes_per_token is None:
        return [f"fail  {report.role:<12} {report.findings[0]}"]
    experts = f", {report.experts_used} of {report.experts} experts" if report.experts else ""
    told = (
        f"{report.architecture} {report.quantisation}, {report.layers} layers{experts}, "
        f"{counted(report.parameters)} parameters, {counted(report.active_parameters)} active, "
        f"{scaled(report.bytes_per_token, 'B')} read per token"
    )
    first = f"{report.severity:<5} {report.role:<12} {told}  [{report.file}, {report.place}]"
    return [first, *(f"{'':<19}{finding}" for finding in report.findings)]
