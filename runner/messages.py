"""What the parent and a measuring process say to each other: one JSON object a line, no pickle."""

from __future__ import annotations

import msgspec

from runner.executor import Pair, PlannedRun
from runner.record import EngineFacts, Measurement, Settings


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


class Describe(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Say which llama.cpp this is, answer `Described`."""


class Loaded(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """The pair is in memory and its rollback is proved."""


class Done(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """A run was executed."""

    measurement: Measurement


class Traced(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """What the draft would have said."""

    guesses: list[int]
    """One greedy token for each token of the text, from the prompt and the text before it."""
    pass_ns: list[int]
    """Nanoseconds of each single-token pass."""


class Described(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """The engine of this process."""

    engine: EngineFacts


class Refused(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """An error raised on purpose in the worker; `kind` is the name of its class in `runner.errors`."""

    kind: str
    message: str
    code: int | None = None
    log_tail: tuple[str, ...] = ()


Request = Load | Execute | Trace | Describe
Reply = Loaded | Done | Traced | Described | Refused
