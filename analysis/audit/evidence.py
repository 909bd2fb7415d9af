"""What the rules judge: rows of figures with the room that rounding and noise leave, and the study behind them.

A `Span` carries all generosity: a rule of physics speaks only when even the kindest reading of the figures
breaks the bound. Published figures get half a unit of their last digit, measured ones what `from_log` and
`from_study` say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import wraps
from typing import TypeAlias

import numpy as np
import pandas as pd

from analysis.audit.finding import Finding
from analysis.load import Study

STANDARD_ERRORS = 3.0
CONFIGURATION = ("target", "pair_draft", "draft", "rollback", "gamma", "prompt")
"""What two runs of a suite share that differ in nothing but their block."""


@dataclass(frozen=True)
class Span:
    """A figure and the least and most that it can stand for."""

    low: float
    value: float
    high: float

    @classmethod
    def exact(cls, value: float) -> Span:
        """A figure without room."""
        return cls(value, value, value)

    @classmethod
    def within(cls, value: float, room: float) -> Span:
        """`value` give or take `room`, never below zero."""
        return cls(max(0.0, value - room), value, value + room)

    def times(self, other: Span) -> Span:
        """Product of two spans of positive figures."""
        return Span(self.low * other.low, self.value * other.value, self.high * other.high)

    def under(self, numerator: float) -> Span:
        """`numerator` / span, for positive figures; a low end of 0 gives an endless high end."""
        high = numerator / self.low if self.low > 0 else float("inf")
        return Span(numerator / self.high, numerator / self.value, high)

    def overlaps(self, other: Span) -> bool:
        """Whether one figure could be the other."""
        return self.low <= other.high and other.low <= self.high


@dataclass(frozen=True)
class Row:
    """One configuration with speculation, however it was come by."""

    where: tuple[str, ...]
    target: str
    draft: str
    gamma: int
    drafted: Span
    """Tokens drafted per cycle; γ where the source does not count them."""
    t1_ms: Span
    ms_per_token: Span
    speedup: Span
    tau: Span
    """Tokens per cycle: counted, or 1 + αγ where only α is given."""
    alpha: Span
    draft_pass_ms: Span | None = None
    """One pass of the draft model on its own (T_D)."""
    target_bytes: float | None = None
    """Weight bytes that one target pass reads at least."""
    draft_bytes: float | None = None
    n_runs: int = 1
    prompt: str = ""
    accepted_room: float = 0.0
    """How far accepted tokens per cycle may lie from what many more cycles would show."""

    @property
    def accepted_per_cycle(self) -> Span:
        """Accepted tokens per cycle, τ - 1."""
        room = self.accepted_room
        return Span(self.tau.low - 1 - room, self.tau.value - 1, self.tau.high - 1 + room)

    @property
    def label(self) -> str:
        """How messages name the row."""
        text = f"{self.target} + {self.draft}, γ {self.gamma}"
        return f"{text}, {self.prompt}" if self.prompt else text

    @property
    def cycle_ms(self) -> Span:
        """Wall time of one cycle as the figures imply it: ms per token times tokens per cycle."""
        return self.ms_per_token.times(self.tau)


@dataclass(frozen=True)
class PlainRow:
    """One baseline: plain decoding of one model."""

    where: tuple[str, ...]
    target: str
    ms_per_token: Span
    active_bytes: float | None = None
    """Weight bytes that decoding one token reads at least."""
    claimed_bytes: float | None = None
    """Weight bytes per token that the source's explanation says are read."""

    @property
    def label(self) -> str:
        """How messages name the row."""
        return f"{self.target}, plain decoding"


@dataclass(frozen=True)
class StudyEvidence:
    """A study and what was computed of it once for all rules. Index of every frame: the row in `study.runs`."""

    study: Study
    judged: pd.DataFrame
    """Latest attempts, failed ones included: `analysis.load.measured`."""
    cells: pd.DataFrame
    """Completed runs with their rates: `analysis.accounting.cells`."""
    pairs: pd.DataFrame
    """Speculative runs beside their baselines: `analysis.accounting.pairs`."""
    noise: float
    """Standard deviation of ln(time) of single runs."""

    def room(self, n_runs: int) -> float:
        """Factor (>= 1) by which a ratio of times may be off, over `n_runs` pairs: three standard errors."""
        return float(np.exp(STANDARD_ERRORS * self.noise * np.sqrt(2 / max(1, n_runs))))


@dataclass(frozen=True)
class Evidence:
    """Everything one audit looks at. Where `study` or `log` is None, the rules about it say nothing."""

    name: str
    rows: tuple[Row, ...]
    plain: tuple[PlainRow, ...]
    bandwidth_bytes_per_s: float | None = None
    study: StudyEvidence | None = None
    log: pd.DataFrame | None = None
    """A foreign run log in our columns: `analysis.foreign.COLUMNS`."""
    problems: tuple[str, ...] = ()
    """Figures of a foreign log that are out of range, one line each with file and line."""


Rule: TypeAlias = Callable[[Evidence], Iterable[Finding]]


def of_study(rule: Callable[[StudyEvidence], Iterator[Finding]]) -> Rule:
    """A rule about studies; it says nothing where there is none."""

    @wraps(rule)
    def judge(evidence: Evidence) -> Iterable[Finding]:
        return rule(evidence.study) if evidence.study is not None else ()

    return judge


def of_log(rule: Callable[[pd.DataFrame], Iterator[Finding]]) -> Rule:
    """A rule about foreign run logs; it says nothing where there is none."""

    @wraps(rule)
    def judge(evidence: Evidence) -> Iterable[Finding]:
        return rule(evidence.log) if evidence.log is not None else ()

    return judge
