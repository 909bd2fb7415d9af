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
    how = f"γ {one.gamma} with {label(one.draft)}"
    advice, because, what_if = _judged(best)
    costs = _costs(best)
    return Answer(
        label(one.target), advice,
        f"{label(one.target)} best {speedup.point:.2f}× at {how}: {_ADVICE[advice]}, because {because}.",
        f"{costs}; {what_if}." if what_if else f"{costs}.", spelled(speedup, "ratio"), how, len(tried),
    )  # fmt: skip


_ADVICE: dict[Advice, str] = {"on": "turn it on", "off": "leave it off", "open": "undecided"}


def _costs(best: Decomposition) -> str:
    v, d, o, tau = (_known(part).point for part in (best.v, best.d, best.o, best.tau))
    return (
        f"A cycle costs {v + d + o:.2f} plain tokens (verifying {v:.2f}, drafting {d:.2f}, the rest {o:.2f}) "
        f"and yields {tau:.2f}"
    )


def _judged(best: Decomposition) -> tuple[Advice, str, str]:
    """Advice, its reason, and what else would have to be true; the last may be empty."""
    speedup = _known(best.speedup)
    if speedup.undecided:
        more = f"{speedup.more_blocks} more blocks would probably decide" if speedup.more_blocks else ""
        return "open", "the interval contains 1", more
    if speedup.point > 1:
        return "on", "a cycle yields more tokens than it costs", ""
    return "off", *_culprit(best)


def _culprit(best: Decomposition) -> tuple[str, str]:
    """Why it does not pay: the one change that would have made it pay, the cheapest to get asked first."""
    free = best.counterfactuals["free_drafting"].point
    perfect = best.counterfactuals["everything_accepted"].point
    if free > 1:
        return "drafting costs too much", f"if drafting were free, the speedup would be {free:.2f}×"
    if perfect > 1:
        otherwise = f"if everything were accepted, the speedup would be {perfect:.2f}×"
        return "too little of the draft is accepted", f"α is {_known(best.alpha).point:.1%}; {otherwise}"
    return (
        f"verifying {best.configuration.gamma + 1} tokens at once costs too much",
        f"even with everything accepted the speedup would be {perfect:.2f}×",
    )


def _known(estimate: Estimate | None) -> Estimate:
    """An estimate of a configuration that has runs, so that it cannot be missing."""
    assert estimate is not None
    return estimate
