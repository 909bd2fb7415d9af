"""From suites to an ordered list of runs, fixed before anything is measured.

Models are loaded once per pair, so a pair's runs stand together. Within a pair all prompts of block 0 come
before block 1, and so on: a drift over time hits every prompt alike. Baseline and every gamma of a comparison
run back to back in a random order that depends on the seed alone. A reference run opens and closes each pair and
comes back after about `REFERENCE_EVERY` runs, never inside a comparison (issue 2; facts/anchors.md, 3.1).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby

import msgspec

from runner.cells import Step, drafting_role, reference_step, steps_of
from runner.drafter_names import UNCHECKED
from runner.errors import UsageError
from runner.estimate import time_limit_s
from runner.executor import Pair, PlannedRun
from runner.record import NO_DRAFT, Cell, EngineFacts, ModelFacts, Settings, fingerprint, run_identity
from suites.loader import Suite

REFERENCE_EVERY = 20
CONTEXT_STEP = 256


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Every run of a study in the order of execution."""

    runs: tuple[PlannedRun, ...]

    @property
    def sha256(self) -> str:
        """Identity of the plan: which runs, in which order."""
        return fingerprint([run.run_id for run in self.runs])

    def by_pair(self) -> Iterator[tuple[Pair, list[PlannedRun]]]:
        """Pairs in order of loading, each with its runs."""
        for loads, runs in groupby(self.runs, key=lambda run: run.loads):
            of_pair = list(runs)
            yield _pair(loads, [run.cell for run in of_pair]), of_pair


def lay_out(suites: Iterable[Suite], seed: int) -> list[Step]:
    """All steps of the suites in order of execution, with reference runs between them.

    The order depends on the seed alone, not on the machine, and a suite more or less does not stir the others.
    """
    by_pair: dict[tuple[str, str], list[Step]] = {}
    for suite in suites:
        for step in steps_of(suite):
            by_pair.setdefault(step.loads, []).append(step)
    return [step for loads, steps in by_pair.items() for step in _with_references(loads, _mixed(steps, seed))]


def identify(
    steps: Sequence[Step], settings: Settings, engine: EngineFacts, models: Mapping[str, ModelFacts]
) -> Plan:
    """Give every step its identity, now that models, engine and settings are known."""
    return Plan(runs=tuple(_planned(order, step, settings, engine, models) for order, step in enumerate(steps)))


def context_tokens(steps: Iterable[Step]) -> int:
    """A context that holds every step, in whole steps of `CONTEXT_STEP`."""
    longest = max(step.at_most_tokens for step in steps)
    return -(-(longest + 1) // CONTEXT_STEP) * CONTEXT_STEP


def refuse_what_does_not_fit(steps: Iterable[Step], n_ctx_tokens: int) -> None:
    """Raise UsageError for the first step that a context of `n_ctx_tokens` cannot hold."""
    for step in steps:
        if step.at_most_tokens > n_ctx_tokens:
            raise UsageError(
                f"suite {step.cell.suite}: prompt {step.cell.prompt} (up to {step.prompt.at_most_tokens} tokens),"
                f" {step.cell.n_predict_tokens} generated tokens and gamma {step.cell.gamma} do not fit into a"
                f" context of {n_ctx_tokens} tokens; give --n-ctx {step.at_most_tokens} or more, or leave it out"
            )


def roles_of(steps: Iterable[Step]) -> list[str]:
    """Every role that the steps need, in order of first use."""
    roles = dict.fromkeys(role for step in steps for role in step.loads)
    return [role for role in roles if role != NO_DRAFT]


def pairs_of(steps: Iterable[Step]) -> list[Pair]:
    """The pairs that the steps load, each once with all that is asked of it, in order of loading."""
    cells: dict[tuple[str, str], list[Cell]] = {}
    for step in steps:
        cells.setdefault(step.loads, []).append(step.cell)
    return [_pair(loads, of_pair) for loads, of_pair in cells.items()]


def counts(steps: Iterable[Step], purpose: str) -> dict[str, int]:
    """Suite name -> number of its steps of one purpose, in order of the plan."""
    return dict(Counter(step.cell.suite for step in steps if step.cell.purpose == purpose))


def _pair(loads: tuple[str, str], cells: Iterable[Cell]) -> Pair:
    free, forced, unchecked = {0}, set(), False
    for cell in cells:
        unchecked |= cell.draft == UNCHECKED
        if cell.rollback is None:
            free.add(cell.gamma)
        else:
            forced.add((cell.gamma, cell.rollback))
    return Pair(
        target=loads[0],
        draft=loads[1],
        gammas=tuple(sorted(free)),
        forced=tuple(sorted(forced)),
        unchecked=unchecked,
    )


def _mixed(steps: Sequence[Step], seed: int) -> Iterator[list[Step]]:
    comparisons: dict[tuple[str, str, str, str, int], list[Step]] = {}
    for step in steps:
        comparisons.setdefault(step.cell.comparison, []).append(step)
    in_block = _shuffle_by(seed, lambda key: key)
    in_comparison = _shuffle_by(seed, lambda step: step.cell)
    for _, members in sorted(comparisons.items(), key=lambda item: (item[0][-1], in_block(item[0]))):
        yield sorted(members, key=in_comparison)


def _shuffle_by(seed: int, identity: Callable[..., object]) -> Callable[[object], str]:
    # A hash as sort key is a random order that no other member and no version of Python can change.
    return lambda member: fingerprint("order", seed, identity(member))


def _with_references(loads: tuple[str, str], comparisons: Iterable[list[Step]]) -> Iterator[Step]:
    number = 0
    since_reference = REFERENCE_EVERY
    for members in comparisons:
        if since_reference >= REFERENCE_EVERY:
            yield reference_step(loads, number)
            number, since_reference = number + 1, 0
        yield from members
        since_reference += len(members)
    yield reference_step(loads, number)


def _planned(
    order: int, step: Step, settings: Settings, engine: EngineFacts, models: Mapping[str, ModelFacts]
) -> PlannedRun:
    target = models[step.cell.target]
    role = drafting_role(step.cell)
    draft = models[role] if role else None
    return PlannedRun(
        order=order,
        run_id=run_identity(step.cell, settings, engine, target.sha256, draft.sha256 if draft else None),
        cell=step.cell,
        prompt_text=step.prompt.text,
        prompt_tokens_wanted=step.prompt.wanted_tokens,
        time_limit_s=time_limit_s(step, target, draft),
    )
