"""What the parent and a measuring process say to each other: one JSON object a line, no pickle."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from runner.executor import Pair, PlannedRun
from runner.grid_record import GridMeasurement, GridPoint
from runner.record import EngineFacts, Measurement, RoutingCount, Settings


class Load(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Load a pair, prove its rollback, answer `Loaded` or `Refused`."""

    pair: Pair
    target_path: str
    draft_path: str | None
    settings: Settings


class Execute(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Execute one planned run, answer `Done` or `Refused`."""

    planned: PlannedRun


class Trace(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Ask the loaded draft for its next token after each prefix of the prompt and `text`, answer `Traced`."""

    planned: PlannedRun
    """Names the prompt."""
    text: list[int]
    """What the target wrote after it."""


class OpenGrid(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Take a pair for grid points, answer `Loaded` or `Refused`."""

    target_path: str
    draft_path: str
    settings: Settings


class MeasurePoint(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Measure one grid point, answer `PointDone` or `Refused`."""

    point: GridPoint
    prompt_text: str
    """Cut into one prompt of `prompt_tokens` for each sequence."""
    prompt_tokens: int
    rounds: int
    """Timed rounds; one more warms up."""
    sequence_cycles: int
    """At least as many cycles over all rounds, each sequence counted."""


class CountExperts(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Count the experts that greedy text, a draft's guesses and shuffled text touch, answer `Counted`."""

    target_path: str
    draft_path: str | None
    prompt_text: str
    n_text_tokens: int
    settings: Settings


class Describe(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Say which llama.cpp this is, answer `Described`."""


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """Where llama.cpp put the layers of a model."""

    file: str
    layers: dict[str, int]
    """Device -> layers, the output layer among them; empty where llama.cpp did not say."""


class Loaded(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """The pair is in memory and its rollback is proved."""

    placed: tuple[Placed, ...] = ()
    """Target, and draft where there is one; a grid's pair does not say."""
    unproved: tuple[str, ...] = ()
    """What forced rollbacks were refused for; only runs that force them fail."""


class Done(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """A run was executed."""

    measurement: Measurement


class Traced(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """What the draft would have said."""

    prompt: list[int]
    """The planned run's prompt."""
    guesses: list[int]
    """One greedy token for each token of the text, from prompt and text before it; none without a draft."""
    pass_ns: list[int]
    """Nanoseconds of each single-token pass."""


class PointDone(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """A grid point was measured."""

    measurement: GridMeasurement


class Counted(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Experts were counted."""

    n_experts: int
    """Per layer."""
    counts: list[RoutingCount]


class Described(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """The engine of this process."""

    engine: EngineFacts


class Refused(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """An error raised on purpose in the worker; `kind` is the name of its class in `runner.errors`."""

    kind: str
    message: str
    code: int | None = None
    log_tail: tuple[str, ...] = ()


Request = Load | Execute | Trace | OpenGrid | MeasurePoint | CountExperts | Describe
Reply = Loaded | Done | Traced | PointDone | Counted | Described | Refused

Answer = TypeVar("Answer", Loaded, Done, Traced, PointDone, Counted, Described)
"""What a request is answered with when all went well."""
