"""Chooses the family of a study and finds a GGUF for each of its roles."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from runner.errors import ModelError
from runner.gguf_facts import inspect_gguf, read_card
from runner.models.expect import unexpected
from runner.models.places import Place, places
from runner.models.registry import registry
from runner.record import ModelFacts

FamilyName = Literal["auto", "qwen3.5", "synthetic"]
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Family:
    """The models of a study: one GGUF per role, and why this family was taken."""

    name: str
    reason: str
    paths: Mapping[str, Path]

    @functools.cached_property
    def facts(self) -> dict[str, ModelFacts]:
        """Facts of each role, read on first use (hashing a large file takes seconds the first time)."""
        return {role: inspect_gguf(path, role) for role, path in self.paths.items()}


class Found(NamedTuple):
    """A file for a role and the place it was found in."""

    path: Path
    place: Place


def resolve_family(
    name: FamilyName,
    *,
    models_dir: Path | None = None,
    overrides: Mapping[str, Path] | None = None,
    roles: Iterable[str] | None = None,
    on_progress: Progress | None = None,
) -> Family:
    """The family `name` with a file for each of `roles` (all, where none are given).

    `auto` takes the real family when all its files are found, and the built-in one otherwise; a models folder or
    a path given for a role means the real one. `overrides` name files by role and are trusted to be meant.
    Raises ModelError naming each role without a file, or the file that is not what its role says; UsageError for
    an unknown role.
    """
    given = dict(overrides or {})
    wanted = tuple(dict.fromkeys(roles)) if roles is not None else registry().roles
    for role in given:
        if role not in wanted:
            registry().entry(role)
    if name == "synthetic":
        return _synthetic(wanted, given, "asked for", on_progress)
    may_fall_back = name == "auto" and not given and models_dir is None
    unknown = [role for role in wanted if role not in registry().role]
    if unknown and may_fall_back:
        return _synthetic(wanted, given, f"auto: only the built-in family has {', '.join(unknown)}", on_progress)
    to_find = [role for role in wanted if role not in given]
    found = find_files(to_find, places(models_dir))
    missing = [role for role in to_find if role not in found]
    if missing and may_fall_back:
        return _synthetic(wanted, given, _why_built_in(missing, wanted), on_progress)
    if missing:
        raise ModelError(_missing_message(missing))
    for role, file in found.items():
        _refuse_wrong(role, file.path)
    paths = {role: given[role] if role in given else found[role].path for role in wanted}
    reason = "asked for" if name == "qwen3.5" else "auto: every role of qwen3.5 has its file here"
    return Family(name=registry().family.name, reason=reason, paths=paths)


def find_files(roles: Iterable[str], where: Iterable[Place]) -> dict[str, Found]:
    """The first file for each role: an earlier place wins, within a place the better file of the registry.

    Raises UsageError for a role that the registry does not know.
    """
    open_roles = dict.fromkeys(roles)
    for role in open_roles:
        registry().entry(role)
    found: dict[str, Found] = {}
    for place in where:
        files = place.files()
        for role in [role for role in open_roles if role not in found]:
            path = _best(role, files)
            if path is not None:
                found[role] = Found(path, place)
    return {role: found[role] for role in open_roles if role in found}


def _best(role: str, files: list[Path]) -> Path | None:
    for expected in registry().entry(role).files:
        for path in files:
            if expected.matches(path.name):
                return path
    return None


def _refuse_wrong(role: str, path: Path) -> None:
    findings = unexpected(read_card(path), registry().entry(role), registry().model_of(role))
    reasons = [finding.text for finding in findings if finding.severity == "fail"]
    if reasons:
        raise ModelError(
            f"{path}: named like {role}, but {'; '.join(reasons)}. "
            f"Remove it, or name the file you mean with --role {role}=PATH"
        )


def _missing_message(missing: list[str]) -> str:
    names = [f"{role} ({registry().entry(role).files[0].name}.gguf)" for role in missing]
    return (
        f"no file for {', '.join(names)}; `python -m runner models list` shows where was looked, "
        f"`python -m runner models fetch` downloads them, --role ROLE=PATH names one"
    )


def _why_built_in(missing: Sequence[str], wanted: Sequence[str]) -> str:
    if len(missing) == len(wanted):
        return "auto: no file of qwen3.5 is here"
    return f"auto: {len(missing)} of {len(wanted)} roles of qwen3.5 have no file here ({', '.join(missing)})"


def _synthetic(
    roles: tuple[str, ...], given: Mapping[str, Path], reason: str, on_progress: Progress | None
) -> Family:
    from runner.synthetic import build_family  # noqa: PLC0415  # it loads llama.cpp, which auditing does without

    to_build = [role for role in roles if role not in given]
    built = build_family(roles=to_build, on_progress=on_progress)
    paths = {role: given[role] if role in given else built[role] for role in roles}
    return Family(name="synthetic", reason=reason, paths=paths)
