"""What one cycle costs, fitted to cycles of many sizes that were measured inside the real loop.

A cycle's time is a sum of a few costs, so what a whole replay takes is `work @ costs`: a row that counts what its
cycles do, times one column of costs in units of t₁, the baseline's time per token. The costs:

    one pass of the target over n tokens, choosing included, for every n (it need not be linear in n)
    each recurrent snapshot that the target's context keeps (n_rs_seq), per pass
    a pass over another number of tokens than the one before: llama.cpp builds its graph anew
    the draft's first pass of a cycle, each further pass, each further pending token of the first pass
    a rollback: per cycle, per cycle with a rejection, and per token kept then (decoded again on restored state)
    the loop itself

One token's pass is the unit, less what else a cycle takes. The fit is by least absolute deviations, so that a
pass interrupted by another program does not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from runner.advise.replay import Played
from runner.record import Strategy

FloatArray = NDArray[np.float64]

_PASS_EXTRAS = 2
"""Costs of a pass beside its number of tokens: snapshots, and a change of that number."""
_DRAFT_COSTS = 3
_ROLLBACK_COSTS = 3
_ROUNDS = 10
_LEVELLING_ROUNDS = 4
_SETTLED = 0.002
"""A round that changes no cost by more than this, in units of the dearest, is the last."""
_EXACT = 0.01
"""A relative deviation below this weighs no more than this one: weights stay finite."""


@dataclass(frozen=True)
class Sample:
    """Cycles of one run in the loop; arrays of shape (n_cycles,), times in units of t₁."""

    played: Played
    n_rs_seq: int
    draft_rollback: Strategy
    draft: FloatArray
    target: FloatArray
    """Verification pass and greedy choice."""
    rollback: FloatArray
    loop: float
    """What the loop itself takes per cycle, on average."""


@dataclass(frozen=True)
class Costs:
    """Costs in units of t₁: `column`, shape (n_costs,); `draws`, (n_draws, n_costs), one resampled fit a row."""

    longest: int
    """Largest gamma that was measured."""
    column: FloatArray
    draws: FloatArray

    @property
    def n_target(self) -> int:
        """How many of the costs are the target's; they come first."""
        return self.longest + 1 + _PASS_EXTRAS

    @property
    def n_model(self) -> int:
        """How many are target's and draft's; the rest is rollback and the loop."""
        return self.n_target + _DRAFT_COSTS


def pending_tokens(played: Played, draft_rollback: Strategy) -> list[int]:
    """Confirmed tokens that each cycle's first draft pass takes in.

    A checkpoint throws the kept guesses out with the rejected ones, so they come back in the next batch.
    """
    found, pending = [], 1
    for drafted, accepted in zip(played.drafted, played.accepted, strict=True):
        found.append(pending)
        if drafted:
            pending = 0
        decoded = max(drafted - 1, 0)
        kept = min(accepted, decoded)
        again = kept if draft_rollback == "checkpoint" and kept < decoded else 0
        pending += again + accepted - kept + 1
    return found


def work(played: Played, longest: int, *, n_rs_seq: int, draft_rollback: Strategy) -> FloatArray:
    """What a replay does, shape (n_costs,): counts that multiply `Costs.column`.

    `draft_rollback` is `none` for a drafter that is no model; its own time must be added.
    """
    target = _target_rows(played, longest, n_rs_seq).sum(axis=0)
    draft = _draft_rows(played, draft_rollback).sum(axis=0)
    rollback = _rollback_rows(played).sum(axis=0)
    return np.concatenate([target, draft, rollback, [len(played.drafted)]])


def fit(looks: Sequence[Sequence[Sample]], longest: int, *, n_draws: int, seed: int) -> Costs:
    """Costs with their uncertainty. `looks`: the samples that share one baseline as their unit.

    Looks are resampled, and cycles within each sample: an unlucky baseline counts like an unlucky cycle.
    """
    rng = np.random.default_rng(seed)
    levels, every = _levelled([[_parts(sample, longest) for sample in look] for look in looks])
    column = _fitted([parts for look in every for parts in look], longest, np.zeros(_ends(longest)[-1] + 1))
    draws = []
    for _ in range(n_draws):
        picks = rng.integers(len(every), size=len(every))
        drawn = [_resampled(parts, rng) for place in picks for parts in every[place]]
        level = np.exp(np.log(levels[picks]).mean(axis=0))
        draws.append(_fitted(drawn, longest, column) * _per_cost(level, longest))
    return Costs(longest, column, np.array(draws))


def _ends(longest: int) -> list[int]:
    """Where the costs of the target, of the draft and of rollback end; the loop's follows."""
    n_target = longest + 1 + _PASS_EXTRAS
    return [n_target, n_target + _DRAFT_COSTS, n_target + _DRAFT_COSTS + _ROLLBACK_COSTS]


class _Part(NamedTuple):
    """Rows of work, shape (n_cycles, k), and what they took, (n_cycles,)."""

    rows: FloatArray
    took: FloatArray


class _Parts(NamedTuple):
    """One sample, taken apart."""

    target: _Part
    draft: _Part
    rollback: _Part
    loop: float


def _parts(sample: Sample, longest: int) -> _Parts:
    played = sample.played
    return _Parts(
        _Part(_target_rows(played, longest, sample.n_rs_seq), sample.target),
        _Part(_draft_rows(played, sample.draft_rollback), sample.draft),
        _Part(_rollback_rows(played), sample.rollback),
        sample.loop,
    )


def _levelled(looks: Sequence[Sequence[_Parts]]) -> tuple[FloatArray, list[list[_Parts]]]:
    """How dear each look was, and the looks as if all had been equally dear.

    Other programs slow a pass over many tokens, one over a single token and the draft to different degrees, so a
    look's unit does not level it. Levels: shape (n_looks, 3), for target, draft and rollback, geometric mean 1.
    """
    levels = np.stack(
        [
            _levels([[each.target for each in look] for look in looks]),
            _levels([[each.draft for each in look] for look in looks]),
            _levels([[each.rollback for each in look] for look in looks]),
        ],
        axis=1,
    )
    return levels, [
        [_at_level(parts, level) for parts in look] for look, level in zip(looks, levels, strict=True)
    ]


def _at_level(parts: _Parts, level: FloatArray) -> _Parts:
    target, draft, rollback = map(_divided, (parts.target, parts.draft, parts.rollback), level)
    return _Parts(target, draft, rollback, parts.loop)


def _levels(looks: Sequence[Sequence[_Part]]) -> FloatArray:
    """Of one kind of work, shape (n_looks,): fitted in turn with the costs, which all looks share."""
    levels = np.ones(len(looks))
    column = np.zeros(looks[0][0].rows.shape[1])
    for _ in range(_LEVELLING_ROUNDS):
        column = _least_absolute(
            [_divided(part, level) for look, level in zip(looks, levels, strict=True) for part in look], column
        )
        for place, look in enumerate(looks):
            told = np.concatenate([part.rows @ column for part in look])
            took = np.concatenate([part.took for part in look])
            used = (told > 0) & (took > 0)
            levels[place] = np.median(took[used] / told[used]) if used.any() else 1.0
        levels /= np.exp(np.log(levels).mean())
    return levels


def _divided(part: _Part, level: float) -> _Part:
    return part._replace(took=part.took / level)


def _per_cost(levels: FloatArray, longest: int) -> FloatArray:
    """A level for each cost, shape (n_costs,), from those of target, draft and rollback.

    The pass over one token has none, since it is the unit, and the loop has none.
    """
    return np.repeat([1.0, *levels, 1.0], [1, longest + _PASS_EXTRAS, _DRAFT_COSTS, _ROLLBACK_COSTS, 1])


def _resampled(parts: _Parts, rng: np.random.Generator) -> _Parts:
    """The same number of cycles, drawn with replacement."""
    n_cycles = len(parts.target.took)
    pick = rng.integers(n_cycles, size=n_cycles)
    target, draft, rollback = (
        _Part(part.rows[pick], part.took[pick]) for part in (parts.target, parts.draft, parts.rollback)
    )
    return _Parts(target, draft, rollback, parts.loop)


def _fitted(samples: Sequence[_Parts], longest: int, start: FloatArray) -> FloatArray:
    """The column of costs that explains all samples together, sought from `start`."""
    target_start, draft_start, rollback_start, _ = np.split(start, _ends(longest))
    rollback = _least_absolute([each.rollback for each in samples], rollback_start)
    loop = float(np.median([each.loop for each in samples]))
    n_cycles = sum(len(each.target.took) for each in samples)
    unit = _unit_pass(longest, n_cycles, 1 - rollback[0] - loop)
    target = _least_absolute([*(each.target for each in samples), unit], target_start)
    draft = _least_absolute([each.draft for each in samples], draft_start)
    return np.concatenate([_with_gaps_filled(target, longest), draft, rollback, [loop]])


def _unit_pass(longest: int, n_cycles: int, took: float) -> _Part:
    """The baseline's pass over one token: with the rest of its cycle it is 1 by definition.

    As many cycles as all others together have the last word: the few of the samples that verify one token come
    after longer ones, and by them a drafter that seldom drafts would seem dear.
    """
    rows = np.zeros((n_cycles, longest + 1 + _PASS_EXTRAS))
    rows[:, 0] = 1
    return _Part(rows, np.full(n_cycles, took))


def _target_rows(played: Played, longest: int, n_rs_seq: int) -> FloatArray:
    """One-hot number of verified tokens, 1 to `longest` + 1; the snapshots kept; whether the number is new."""
    drafted = np.array(played.drafted)
    rows = np.zeros((len(drafted), longest + 1 + _PASS_EXTRAS))
    rows[np.arange(len(rows)), drafted] = 1
    rows[:, -2] = n_rs_seq
    rows[1:, -1] = drafted[1:] != drafted[:-1]
    return rows


def _draft_rows(played: Played, draft_rollback: Strategy) -> FloatArray:
    """First pass, further passes, further pending tokens; nothing where no model drafts."""
    drafted = np.array(played.drafted)
    pending = np.array(pending_tokens(played, draft_rollback))
    drafts = (drafted > 0) & (draft_rollback != "none")
    return np.stack([np.ones(len(drafted)), drafted - 1, pending - 1], axis=1) * drafts[:, None]


def _rollback_rows(played: Played) -> FloatArray:
    """Every cycle, those with a rejection, and the tokens that such a cycle keeps."""
    drafted, accepted = np.array(played.drafted), np.array(played.accepted)
    rejects = accepted < drafted
    return np.stack([np.ones(len(drafted)), rejects, np.where(rejects, accepted + 1, 0)], axis=1).astype(float)


def _least_absolute(parts: Sequence[_Part], start: FloatArray) -> FloatArray:
    """Non-negative costs with the least sum of relative absolute deviations, by reweighted least squares."""
    rows = np.concatenate([part.rows for part in parts])
    took = np.concatenate([part.took for part in parts])
    used = rows.any(axis=1) & (took > 0)
    rows, took = rows[used], took[used]
    if not len(rows):
        return np.zeros(rows.shape[1])
    scale = np.maximum(took, np.median(took) / 10)
    found = start
    for _ in range(_ROUNDS):
        deviation = np.abs(rows @ found - took) / scale
        weights = 1 / (scale * np.sqrt(np.maximum(deviation, _EXACT)))
        before, found = found, nnls(rows * weights[:, None], took * weights)[0]
        if np.abs(found - before).max() <= _SETTLED * found.max():
            break
    return found


def _with_gaps_filled(column: FloatArray, longest: int) -> FloatArray:
    """Numbers of tokens that no cycle verified get the line between their measured neighbours."""
    sizes, passes = np.arange(longest + 1), column[:-_PASS_EXTRAS]
    measured = passes > 0
    filled = np.interp(sizes, sizes[measured], passes[measured]) if measured.any() else passes
    return np.concatenate([filled, column[-_PASS_EXTRAS:]])
