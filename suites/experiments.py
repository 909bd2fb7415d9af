"""Suites that are no cross product of cells: the MoESD grid, and the counting of touched experts.

>>> grid = load_experiment("moesd-grid")
>>> grid.kind, grid.n_points
('moesd-grid', 228)
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import msgspec

from runner.errors import SuiteError, UsageError
from suites.loader import (
    EXPERIMENTS,
    SUITES_DIR,
    decode_suite,
    read_suite_file,
    refuse_doubles,
    refuse_unknown,
)
from suites.roles import DRAFTS, TARGETS

Positive = Annotated[int, msgspec.Meta(ge=1, le=100_000)]
_Some = msgspec.Meta(min_length=1)


class _Experiment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    title: str
    name: str = ""
    sha256: str = ""
    """Of the file's bytes; name and this are filled in by the loader, never by the file."""


class GridSuite(_Experiment, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every combination of top-k, gamma and number of sequences."""

    noun: ClassVar[str] = "points"
    kind: Literal["moesd-grid"]
    target: str
    draft: str
    experts_used: Annotated[list[Positive], _Some]
    gammas: Annotated[list[Annotated[int, msgspec.Meta(ge=2, le=64)]], _Some]
    """From 2 on: a pass over gamma tokens is timed in a cycle that drafts one fewer."""
    batch_sizes: Annotated[list[Annotated[int, msgspec.Meta(ge=1, le=256)]], _Some]
    """At most llama.cpp's 256 sequences."""
    prompt_tokens: Annotated[int, msgspec.Meta(ge=2, le=512)]
    """Length of each sequence's own prompt."""
    rounds: Annotated[int, msgspec.Meta(ge=1, le=1000)]
    """Timed rounds per point."""
    sequence_cycles: Positive
    """At least as many cycles per point, each sequence counted, so that sigma means something."""

    @property
    def loaded_targets(self) -> list[str]:
        """The one target."""
        return [self.target]

    @property
    def n_points(self) -> int:
        """Points of the grid."""
        return len(self.experts_used) * len(self.gammas) * len(self.batch_sizes)


class RoutingSuite(_Experiment, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every target on every prompt."""

    noun: ClassVar[str] = "texts"
    kind: Literal["routing"]
    targets: Annotated[list[str], _Some]
    draft: str
    """Whose guesses are looked at."""
    prompts: Annotated[list[str], _Some]
    n_text_tokens: Annotated[int, msgspec.Meta(ge=33, le=100_000)]

    @property
    def loaded_targets(self) -> list[str]:
        """All of them, one after the other."""
        return self.targets

    @property
    def n_points(self) -> int:
        """Texts that are followed."""
        return len(self.targets) * len(self.prompts)


Experiment = GridSuite | RoutingSuite


def experiment_names(folder: Path = SUITES_DIR) -> list[str]:
    """Every declared experiment: a file of the name of its kind."""
    return [name for name in EXPERIMENTS if (folder / f"{name}.toml").is_file()]


def load_experiment(name: str, folder: Path = SUITES_DIR) -> Experiment:
    """The experiment of that name.

    Raises UsageError when there is none, SuiteError when its file is malformed.
    """
    if name not in experiment_names(folder):
        raise UsageError(f"there is no experiment {name!r}; known: {', '.join(experiment_names(folder))}")
    path = folder / f"{name}.toml"
    content = read_suite_file(path)
    kind: type[Experiment] = GridSuite if name == "moesd-grid" else RoutingSuite
    declared = decode_suite(content, path, kind)
    if declared.name or declared.sha256:
        raise SuiteError(f"{path.name}: name and sha256 follow from the file; remove them")
    _check(declared, path.name)
    return msgspec.structs.replace(declared, name=name, sha256=hashlib.sha256(content).hexdigest())


def _check(suite: Experiment, where: str) -> None:
    axes = ("experts_used", "gammas", "batch_sizes") if isinstance(suite, GridSuite) else ("targets", "prompts")
    for axis in axes:
        refuse_doubles(getattr(suite, axis), f"{where}: {axis}")
    refuse_unknown(suite.loaded_targets, TARGETS, f"{where}: targets")
    refuse_unknown([suite.draft], DRAFTS, f"{where}: draft")
