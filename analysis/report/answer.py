"""The answer that most readers came for: should speculation be on, for which target, how, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from analysis.decompose import Decomposition
from analysis.plots.subject import Subject
from analysis.render import spelled
from analysis.stats import Estimate
from analysis.summary import label

Advice = Literal["on", "off", "open"]


@dataclass(frozen=True)
class Answer:
    """What to do with one target. `figure`: the speedup with its interval, point and rest apart."""

    target: str
    advice: Advice
    sentence: str
    reason: str
    figure: tuple[str, str]
    how: str
    n_tried: int


def answers(subject: Subject) -> tuple[Answer, ...]:
    """One for each main target, mixtures first; empty where no speculative run can be averaged."""
    roles = sorted(subject.targets, key=lambda role: subject.study.model(role).n_experts == 0)
    return tuple(
        _answer([one for one in subject.explained if one.configuration.target == role]) for role in roles
    )


def _answer(tried: Sequence[Decomposition]) -> Answer:
    best = max(tried, key=lambda one: _known(one.speedup).point)
    speedup, one = _known(best.speedup), best.configuration
    advice: Advice = "open" if speedup.undecided else ("on" if speedup.point > 1 else "off")
    how = f"γ {one.gamma} with {label(one.draft)}"
    opening = f"{label(one.target)} best {speedup.point:.2f}× at {how}"
    endings = {
        "on": "turn it on.",
        "off": "leave it off.",
        "open": "undecided, the interval contains 1.",
    }
    return Answer(
        label(one.target), advice, f"{opening}: {endings[advice]}", _reason(best, advice),
        spelled(speedup, "ratio"), how, len(tried),
    )  # fmt: skip


def _reason(best: Decomposition, advice: Advice) -> str:
    v, d, o, tau = (_known(part).point for part in (best.v, best.d, best.o, best.tau))
    costs = (
        f"A cycle costs {v + d + o:.2f} plain tokens (verifying {v:.2f}, drafting {d:.2f}, the rest {o:.2f}) "
        f"and yields {tau:.2f}"
    )
    if advice == "on":
        return f"{costs}."
    if advice == "open":
        more = _known(best.speedup).more_blocks
        return f"{costs}; {more} more blocks would probably decide." if more else f"{costs}; too close to call."
    return f"{costs}; {_culprit(best)}"


def _culprit(best: Decomposition) -> str:
    """The one change that would have made it pay, tried from the cheapest to get."""
    free = best.counterfactuals["free_drafting"].point
    perfect = best.counterfactuals["everything_accepted"].point
    if free > 1:
        return f"drafting is too slow: if it were free, the speedup would be {free:.2f}×."
    if perfect > 1:
        return (
            f"too little is accepted (α {_known(best.alpha).point:.1%}): if everything were, the speedup would "
            f"be {perfect:.2f}×."
        )
    return (
        f"verifying {best.configuration.gamma + 1} tokens at once is too dear: even with everything accepted the "
        f"speedup would be {perfect:.2f}×."
    )


def _known(estimate: Estimate | None) -> Estimate:
    """An estimate of a configuration that has runs, so that it cannot be missing."""
    assert estimate is not None
    return estimate
