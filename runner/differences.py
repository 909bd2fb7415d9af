"""In which fields two manifests differ. Anything that does makes them manifests of two studies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from runner.parsing import printable
from runner.record import Manifest

_MAY_DIFFER = frozenset({"created_utc", "arguments", "machine.measured_bandwidth_bytes_per_s"})
"""When and how a study was started is no part of it, and a bandwidth measured twice is never the same."""

_CONSEQUENCES = frozenset({"plan_sha256", "n_cells"})
"""Follow from the other fields: named only when nothing else explains them."""


def differences(theirs: Manifest, ours: Manifest) -> list[str]:
    """One clause per field that differs, causes before consequences: `settings.seed is 1 there and 2 here`."""
    found = list(_walk("", msgspec.to_builtins(theirs), msgspec.to_builtins(ours)))
    causes = [printable(clause) for field, clause in found if field not in _CONSEQUENCES]
    return causes or [printable(clause) for _, clause in found]


def _walk(field: str, theirs: Any, ours: Any) -> Iterator[tuple[str, str]]:
    if theirs == ours or field in _MAY_DIFFER:
        return
    theirs, ours = _by_name(theirs), _by_name(ours)
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for name in dict.fromkeys([*theirs, *ours]):
            yield from _walk(f"{field}.{name}".lstrip("."), theirs.get(name), ours.get(name))
    else:
        yield field, f"{field} is {_short(theirs)} there and {_short(ours)} here"


def _by_name(value: Any) -> Any:
    """A list of models as a mapping by role, so that the field's name says which model."""
    if isinstance(value, list) and value and all(isinstance(item, dict) and "role" in item for item in value):
        return {item["role"]: item for item in value}
    return value


def _short(value: Any) -> str:
    if value is None:
        return "missing"
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
