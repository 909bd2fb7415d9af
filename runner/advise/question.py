"""What is asked of one target, and how its parts are named to the measuring process."""

from __future__ import annotations

from typing import Protocol

import msgspec

from runner.drafter_names import NGRAM
from runner.executor import PlannedRun
from runner.messages import Traced
from runner.prompts import Prompt
from runner.record import NO_DRAFT, Cell, Measurement

SUITE = "advise"
SHORT_GAMMA = 8
"""The second arm whose cycles are measured: what snapshots cost shows in the difference between two arms."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A target, the drafts that could serve it, and on what to try them."""

    target: str
    drafts: tuple[str, ...]
    """Drafts to try; empty: n-gram lookup only."""
    prompts: tuple[Prompt, ...]
    n_predict_tokens: int
    longest: int
    """Largest gamma."""
    seed: int
    near_tie_logits: float
    """A text that first differs where the baseline's best two logits lie closer differs by rounding."""

    @property
    def arms(self) -> tuple[int, ...]:
        """Gammas of the target contexts on which cycles of varied length are measured."""
        return tuple(sorted({min(SHORT_GAMMA, self.longest), self.longest}))


def is_model(drafter: str) -> bool:
    """Whether a drafter is a draft model of its own."""
    return drafter not in {NGRAM, NO_DRAFT}


class AdviceSession(Protocol):
    """A loaded pair that can also trace; `runner.worker_client.ProcessSession` is one."""

    def run(self, planned: PlannedRun) -> Measurement: ...

    def trace(self, planned: PlannedRun, text: list[int]) -> Traced: ...

    def close(self) -> None: ...


def planned_run(
    question: Question,
    pair_draft: str,
    prompt: Prompt,
    *,
    gamma: int,
    drafter: str,
    n_predict_tokens: int,
    block: int,
    time_limit_s: float,
) -> PlannedRun:
    """One run of this question; it enters no study, so it has no identity to keep."""
    cell = Cell(
        suite=SUITE,
        target=question.target,
        draft=drafter if gamma else NO_DRAFT,
        pair_draft=pair_draft,
        gamma=gamma,
        prompt=prompt.id,
        prompt_sha256=prompt.sha256,
        n_predict_tokens=n_predict_tokens,
        block=block,
    )
    return PlannedRun(
        order=0,
        run_id=SUITE,
        cell=cell,
        prompt_text=prompt.text,
        prompt_tokens_wanted=prompt.wanted_tokens,
        time_limit_s=time_limit_s,
    )
