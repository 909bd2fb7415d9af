"""Who can draft besides a draft model: the names; `runner.drafters` and `runner.llama` hold the drafters.

model               the comparison's draft model
ngram               continues the last n-gram as it continued before (prompt lookup)
oracle-P            proposes the known greedy continuation with probability P at each position, else a wrong one;
                    it costs nothing, so that only verification is paid
oracle-P-charged    the same proposals, while the comparison's draft model decodes them at its real cost
sweep               the known continuation in batches of every size up to gamma, in random order: what one
                    verification pass over n tokens costs
varied              the comparison's draft model in batches of every size up to gamma, in random order and soon
                    wrong: what drafting and verifying n tokens cost in the loop, from few tokens
unchecked           the comparison's draft model in a loop that checks nothing; its runs are marked

P is written with two decimals.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

MODEL = "model"
NGRAM = "ngram"
SWEEP = "sweep"
VARIED = "varied"
UNCHECKED = "unchecked"
KNOWN = f"{MODEL}, {NGRAM}, {SWEEP}, {VARIED}, {UNCHECKED}, oracle-0.50, oracle-0.50-charged (any two decimals)"

_ORACLE = re.compile(r"oracle-(0\.\d\d|1\.00)(-charged)?")


class DrafterSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a drafter's name asks for."""

    kind: Literal["model", "ngram", "oracle", "sweep", "varied", "unchecked"]
    probability: float = 1.0
    """Of the right token, at each drafted position, independently."""
    charged: bool = False
    """The draft model decodes the oracle's proposals, so that drafting costs what it costs."""

    @property
    def needs_truth(self) -> bool:
        """True when the baseline's text must be known before the run."""
        return self.kind in {"oracle", "sweep"}

    @property
    def needs_model(self) -> bool:
        """True when the comparison's draft model is used."""
        return self.charged or self.kind in {"model", "varied", "unchecked"}


_PLAIN = {
    MODEL: DrafterSpec(kind="model"),
    NGRAM: DrafterSpec(kind="ngram"),
    SWEEP: DrafterSpec(kind="sweep"),
    VARIED: DrafterSpec(kind="varied"),
    UNCHECKED: DrafterSpec(kind="unchecked"),
}


def drafter_spec(name: str) -> DrafterSpec | None:
    """What `name` asks for, or None when it names no drafter."""
    if match := _ORACLE.fullmatch(name):
        return DrafterSpec(kind="oracle", probability=float(match[1]), charged=match[2] is not None)
    return _PLAIN.get(name)
