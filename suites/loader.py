"""Reads a suite and refuses everything that it does not understand, naming file and key.

A suite is a cross product of axes. How its baselines count is declared, so that gamma 0 never stands in an axis:

    baseline = "only"      every cell is a baseline; the suite has no drafts and no gammas
    baseline = "paired"    each comparison gets a baseline on top of the declared cells
    baseline = "counted"   each comparison's baseline is one of the declared cells

>>> load_suite("prompt-sweep").n_cells
36
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from runner.drafter_names import KNOWN, MODEL, drafter_spec
from runner.errors import SuiteError, UsageError
from runner.parsing import MalformedError, parse_toml, printable
from suites.roles import DRAFTS, TARGETS

SUITES_DIR = Path(__file__).parent
ALL = "all"
RESERVED = (ALL, "list")
EXPERIMENTS = ("moesd-grid", "routing")
"""Kinds that are no cross product of cells and yield no runs (`suites.experiments`)."""

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_MAX_FILE_BYTES = 100_000

Gamma = Annotated[int, msgspec.Meta(ge=1, le=64)]
"""Tokens drafted per cycle; the baseline is declared by `baseline`, not by gamma 0."""

Rollback = Literal["trim", "snapshots", "checkpoint"]

T = TypeVar("T")


class Axes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is varied: the suite's cells are the cross product."""

    targets: Annotated[list[str], msgspec.Meta(min_length=1)]
    drafts: list[str] = []
    """Draft models to load; a comparison is about one of them."""
    drafters: list[str] = msgspec.field(default_factory=lambda: [MODEL])
    """Who drafts, each for every gamma (`runner.drafter_names`)."""
    gammas: list[Gamma] = []
    rollbacks: list[Rollback] = []
    """Target rollbacks to force, each for every gamma; empty: the cheapest that can be proved."""
    prompts: Annotated[list[str], msgspec.Meta(min_length=1)]


class _Declared(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: Literal["matrix"]
    title: str
    baseline: Literal["only", "paired", "counted"]
    blocks: Annotated[int, msgspec.Meta(ge=1, le=1000)]
    n_predict_tokens: Annotated[int, msgspec.Meta(ge=1, le=100_000)]
    axes: Axes


class _All(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    suites: Annotated[list[str], msgspec.Meta(min_length=1)]


class Suite(msgspec.Struct, frozen=True, kw_only=True):
    """One declared experiment; `sha256` is that of its file's bytes."""

    name: str
    sha256: str
    title: str
    baseline: Literal["only", "paired", "counted"]
    blocks: int
    n_predict_tokens: int
    axes: Axes

    @property
    def n_comparisons(self) -> int:
        """Comparisons over all blocks: each has exactly one baseline."""
        axes = self.axes
        return len(axes.targets) * max(1, len(axes.drafts)) * len(axes.prompts) * self.blocks

    @property
    def n_cells(self) -> int:
        """Cells that the suite declares; paired baselines come on top."""
        axes, counted_baseline = self.axes, self.baseline != "paired"
        speculative = len(axes.gammas) * len(axes.drafters) * max(1, len(axes.rollbacks))
        return self.n_comparisons * (speculative + counted_baseline)


def load_suite(name: str, folder: Path = SUITES_DIR) -> Suite:
    """The suite of that name.

    Raises UsageError when there is none, SuiteError when its file is malformed.
    """
    if name not in suite_names(folder):
        known = ", ".join(suite_names(folder))
        raise UsageError(f"there is no suite {name!r}; known suites: {known}, or `{ALL}`")
    path = folder / f"{name}.toml"
    content = read_suite_file(path)
    declared = decode_suite(content, path, _Declared)
    _check(declared, path)
    return Suite(
        name=name,
        sha256=hashlib.sha256(content).hexdigest(),
        title=declared.title,
        baseline=declared.baseline,
        blocks=declared.blocks,
        n_predict_tokens=declared.n_predict_tokens,
        axes=declared.axes,
    )


def load_suites(names: tuple[str, ...], folder: Path = SUITES_DIR) -> list[Suite]:
    """The suites of those names, each once, in the order asked for; `all` stands for what all.toml lists."""
    wanted = [one for name in names for one in (all_names(folder) if name == ALL else [name])]
    return [load_suite(name, folder) for name in dict.fromkeys(wanted)]


def adjusted(suite: Suite, *, blocks: int | None = None, n_predict_tokens: int | None = None) -> Suite:
    """The suite with another number of blocks or of generated tokens; None keeps what the file declares.

    Raises SuiteError when a gamma no longer fits.
    """
    n_predict = n_predict_tokens or suite.n_predict_tokens
    _refuse_unreachable(suite.axes.gammas, n_predict, f"{suite.name}.toml")
    return msgspec.structs.replace(suite, blocks=blocks or suite.blocks, n_predict_tokens=n_predict)


def suite_names(folder: Path = SUITES_DIR) -> list[str]:
    """Every declared suite of cells: those of `all` in their order, then the others by name."""
    found = sorted(path.stem for path in folder.glob("*.toml") if _kind(path) not in EXPERIMENTS)
    usable = [name for name in found if _NAME.fullmatch(name) and name not in RESERVED]
    in_all = all_names(folder)
    return [*in_all, *(name for name in usable if name not in in_all)]


def all_names(folder: Path = SUITES_DIR) -> list[str]:
    """The suites that `all` stands for, in their declared order."""
    path = folder / f"{ALL}.toml"
    names = decode_suite(read_suite_file(path), path, _All).suites
    for name in names:
        if not _NAME.fullmatch(name) or name in RESERVED or not (folder / f"{name}.toml").is_file():
            unknown = printable(repr(name))
            raise SuiteError(f"{path.name}: suites names {unknown}, but there is no such suite file beside it")
    refuse_doubles(names, f"{path.name}: suites")
    return names


def _kind(path: Path) -> object:
    """What the file says it is; nothing where it cannot say: whoever loads it finds out why."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8")).get("kind")
    except (OSError, ValueError, RecursionError):
        return None


def read_suite_file(path: Path) -> bytes:
    """The bytes of a suite's file. SuiteError when it cannot be read or is too large to be one."""
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise SuiteError(f"{path.name}: cannot be read ({error.strerror})") from None
    if len(content) > _MAX_FILE_BYTES:
        raise SuiteError(f"{path.name}: larger than {_MAX_FILE_BYTES:,} bytes; this is no suite")
    return content


def decode_suite(content: bytes, path: Path, kind: type[T]) -> T:
    """The suite file's table as `kind`. SuiteError names the file and the key."""
    try:
        return parse_toml(content, kind)
    except MalformedError as error:
        raise SuiteError(f"{path.name}: {error}") from None


def _check(suite: _Declared, path: Path) -> None:
    refuse_unknown(suite.axes.targets, TARGETS, f"{path.name}: axes.targets")
    refuse_unknown(suite.axes.drafts, DRAFTS, f"{path.name}: axes.drafts")
    for axis in ("targets", "drafts", "drafters", "gammas", "rollbacks", "prompts"):
        refuse_doubles(getattr(suite.axes, axis), f"{path.name}: axes.{axis}")
    _check_who_drafts(suite, path)
    _refuse_unreachable(suite.axes.gammas, suite.n_predict_tokens, path.name)


def _check_who_drafts(suite: _Declared, path: Path) -> None:
    axes = suite.axes
    if suite.baseline == "only":
        if axes.drafts or axes.gammas or axes.rollbacks or axes.drafters != [MODEL]:
            raise SuiteError(f'{path.name}: baseline = "only" drafts nothing; remove drafts, gammas and the like')
        return
    specs = [drafter_spec(name) for name in axes.drafters]
    if None in specs:
        unknown = printable(repr(axes.drafters[specs.index(None)]))
        raise SuiteError(f"{path.name}: axes.drafters names the unknown drafter {unknown}; known: {KNOWN}")
    needs_model = any(spec is not None and spec.needs_model for spec in specs)
    if not axes.gammas or not specs or (needs_model and not axes.drafts):
        raise SuiteError(f'{path.name}: baseline = "{suite.baseline}" needs axes.drafts and axes.gammas')


def _refuse_unreachable(gammas: list[int], n_predict_tokens: int, where: str) -> None:
    # A cycle never drafts past the budget: a gamma as long as the text would not live up to its name.
    for index, gamma in enumerate(gammas):
        if gamma >= n_predict_tokens:
            raise SuiteError(
                f"{where}: axes.gammas[{index}] = {gamma} can never be drafted within"
                f" n_predict_tokens = {n_predict_tokens}; use a smaller gamma or generate more"
            )


def refuse_unknown(names: list[str], known: tuple[str, ...], where: str) -> None:
    """Raise SuiteError for the first name that is no known role."""
    for name in names:
        if name not in known:
            unknown = printable(repr(name))
            raise SuiteError(f"{where} names the unknown role {unknown}; known: {', '.join(known)}")


def refuse_doubles(values: list[Any], where: str) -> None:
    """Raise SuiteError for the first value that comes twice."""
    for value, times in Counter(values).items():
        if times > 1:
            raise SuiteError(f"{where} names {printable(repr(value))} twice")
