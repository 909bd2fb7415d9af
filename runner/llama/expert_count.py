"""How many distinct experts n consecutive tokens touch: real ones, drafted ones, shuffled ones (issue 4, 5).

MoESD's N(t) = E(1 - (1 - K/E)^t) assumes independent, uniform routing (facts/moesd.md, 1.1, Eq. 6-8). Here the
same number is counted on the model: over its own greedy text, over verification batches with the draft's
guesses in them, and over the greedy text in random order, where neighbours have nothing in common.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import numpy as np

from runner.llama.draft import ModelDrafter
from runner.llama.model import Model
from runner.llama.routing import Experts, RoutingContext
from runner.record import RoutingCount, Settings, TokenSource

LONGEST = 33
_GUESS_EVERY = 8
"""Tokens between two verification batches that are looked at."""


def count_experts(
    model: Model, drafter: ModelDrafter | None, prompt: Sequence[int], n_text: int, settings: Settings
) -> list[RoutingCount]:
    """Counts for n = 1..33 consecutive tokens of each source, over `n_text` greedy tokens after `prompt`.

    Without a drafter there are no drafted tokens. Raises ModelError for a dense model.
    """
    context = RoutingContext(model, settings)
    try:
        text, real, guessed = _follow(context, drafter, prompt, n_text)
        shuffled = list(text)
        random.Random(settings.seed).shuffle(shuffled)  # noqa: S311 - an experiment, not a secret
        context.begin()
        out_of_order = np.concatenate([context.experts_of([token]) for token in shuffled])
    finally:
        context.close()
    counts = [*_windows("real", real), *_windows("shuffled", out_of_order)]
    return counts + _openings("drafted", guessed) if guessed else counts


def _follow(
    context: RoutingContext, drafter: ModelDrafter | None, prompt: Sequence[int], n_text: int
) -> tuple[list[int], Experts, list[Experts]]:
    """Greedy text after the prompt, its experts, and those of verification batches along it."""
    context.begin()
    if len(prompt) > 1:
        context.experts_of(prompt[:-1])
    if drafter is not None:
        drafter.begin(prompt)
    last, text, experts, guessed = prompt[-1], [], [], []
    for index in range(n_text):
        if drafter is not None and index % _GUESS_EVERY == 0:
            guessed.append(context.experts_of_guess([last, *drafter.propose(LONGEST - 1)]))
        elif drafter is not None:
            drafter.propose(0)
        experts.append(context.experts_of([last]))
        last = context.next_token()
        text.append(last)
        if drafter is not None:
            drafter.settle(0, last)
    return text, np.concatenate(experts), guessed


def _windows(source: TokenSource, experts: Experts) -> Iterator[RoutingCount]:
    """All windows of n consecutive tokens, without overlap."""
    for n_tokens in range(1, min(LONGEST, len(experts)) + 1):
        starts = range(0, len(experts) - n_tokens + 1, n_tokens)
        yield _count(source, [experts[start : start + n_tokens] for start in starts])


def _openings(source: TokenSource, batches: Sequence[Experts]) -> list[RoutingCount]:
    """The first n tokens of each batch: what a verification of n tokens touches."""
    return [_count(source, [batch[:n_tokens] for batch in batches]) for n_tokens in range(1, LONGEST + 1)]


def _count(source: TokenSource, windows: Sequence[Experts]) -> RoutingCount:
    distinct = np.array([[len(np.unique(layer)) for layer in window.swapaxes(0, 1)] for window in windows])
    return RoutingCount(
        source=source,
        n_tokens=len(windows[0]),
        n_windows=len(windows),
        distinct_by_layer=[round(float(mean), 4) for mean in distinct.mean(axis=0)],
        standard_deviation=round(float(distinct.mean(axis=1).std()), 4),
    )
