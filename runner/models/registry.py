"""The real family as data/models.toml declares it: roles, the files that may fill them, what those must be."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import msgspec

from runner.errors import ModelError, UsageError
from runner.parsing import MalformedError, parse_toml, printable
from runner.paths import data_dir


class ExpectedModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a model must be: counts of the text model, without MTP block."""

    repository: str
    architecture: str
    layers: int
    parameters: int
    active_parameters: int
    vocabulary: int
    experts: int = 0
    experts_used: int = 0


class ExpectedFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file that may fill a role: its name without `.gguf` and shard number, and its usual size."""

    name: str
    quantisation: str
    bytes: int

    def matches(self, file_name: str) -> bool:
        """Whether `file_name` is this file or its first shard; old llama.cpp caches put `owner_repo_` before."""
        pattern = rf"(?:^|.*_){re.escape(self.name)}(?:-00001-of-\d{{5}})?\.gguf"
        return re.fullmatch(pattern, file_name, re.IGNORECASE) is not None


class RoleEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One role: the model it stands for and the files that may fill it, best first."""

    model: str
    files: list[ExpectedFile]


class _FamilyEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str


class Registry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole of data/models.toml."""

    family: _FamilyEntry
    model: dict[str, ExpectedModel]
    role: dict[str, RoleEntry]

    @property
    def roles(self) -> tuple[str, ...]:
        """All roles, in the order they are declared."""
        return tuple(self.role)

    def entry(self, role: str) -> RoleEntry:
        """The entry of one role. Raises UsageError with the roles there are."""
        if role not in self.role:
            raise UsageError(f"role {role!r} is not known; the roles are {', '.join(self.roles)}")
        return self.role[role]

    def model_of(self, role: str) -> ExpectedModel:
        """What the model behind a role must be."""
        return self.model[self.entry(role).model]


def parse_registry(path: Path) -> Registry:
    """The registry at `path`. Raises ModelError naming what is wrong in it."""
    try:
        registry = parse_toml(path.read_bytes(), Registry)
    except (OSError, MalformedError) as error:
        raise ModelError(f"{path.name}: cannot be used ({error}); restore it from the repository") from None
    for role, entry in registry.role.items():
        if entry.model not in registry.model or not entry.files:
            named = f"role {printable(role)}"
            raise ModelError(f"{path.name}: {named} names no declared model or no file; add it under [model]")
    return registry


@functools.cache
def registry() -> Registry:
    """The shipped registry."""
    return parse_registry(data_dir() / "models.toml")
