"""Which cells a suite stands for. A cell says what is measured; in which order is the plan's business."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import msgspec

from runner.drafter_names import MODEL, drafter_spec
from runner.errors import SuiteError, UsageError
from runner.prompts import Prompt, load_prompt
from runner.record import NO_DRAFT, Cell, Strategy
from suites.loader import Suite

REFERENCE_SUITE = "reference"
REFERENCE_PROMPT = "short"
REFERENCE_TOKENS = 32


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A cell and the prompt that it names."""

    cell: Cell
    prompt: Prompt

    @property
    def loads(self) -> tuple[str, str]:
        """The roles that must be loaded for it: target and draft (`none` in a pure baseline)."""
        return (self.cell.target, self.cell.pair_draft)

    @property
    def at_most_tokens(self) -> int:
        """Context that the run can come to need: prompt, generated tokens, and one rejected draft beyond them."""
        return self.prompt.at_most_tokens + self.cell.n_predict_tokens + self.cell.gamma


def steps_of(suite: Suite) -> Iterator[Step]:
    """All cells of a suite with their baselines, unordered.

    Raises SuiteError when the suite names a prompt that cannot be had.
    """
    prompts = [_prompt(suite, index, prompt_id) for index, prompt_id in enumerate(suite.axes.prompts)]
    drafts = suite.axes.drafts or [NO_DRAFT]
    for target in suite.axes.targets:
        for draft in drafts:
            for prompt in prompts:
                for block in range(suite.blocks):
                    yield from _comparison(suite, target, draft, prompt, block)


def drafting_role(cell: Cell) -> str | None:
    """Role of the model that drafts in a cell, or None: a baseline, and a drafter that is no model, have none."""
    if cell.draft == NO_DRAFT:
        return None
    spec = drafter_spec(cell.draft)
    if spec is None:
        return cell.draft
    return cell.pair_draft if spec.needs_model else None


def reference_step(loads: tuple[str, str], number: int) -> Step:
    """The `number`-th reference run of a loaded pair: always the same short baseline, so that drift shows."""
    prompt = load_prompt(REFERENCE_PROMPT)
    cell = Cell(
        suite=REFERENCE_SUITE,
        target=loads[0],
        draft=NO_DRAFT,
        pair_draft=loads[1],
        gamma=0,
        prompt=prompt.id,
        prompt_sha256=prompt.sha256,
        n_predict_tokens=REFERENCE_TOKENS,
        block=number,
        purpose="reference",
    )
    return Step(cell=cell, prompt=prompt)


def _comparison(suite: Suite, target: str, draft: str, prompt: Prompt, block: int) -> Iterator[Step]:
    baseline = Cell(
        suite=suite.name,
        target=target,
        draft=NO_DRAFT,
        pair_draft=draft,
        gamma=0,
        prompt=prompt.id,
        prompt_sha256=prompt.sha256,
        n_predict_tokens=suite.n_predict_tokens,
        block=block,
        purpose="paired-baseline" if suite.baseline == "paired" else "cell",
    )
    yield Step(cell=baseline, prompt=prompt)
    axes = suite.axes
    rollbacks: list[Strategy | None] = [*axes.rollbacks] or [None]
    for drafter, gamma, rollback in product(axes.drafters, axes.gammas, rollbacks):
        speculative = msgspec.structs.replace(
            baseline,
            draft=draft if drafter == MODEL else drafter,
            gamma=gamma,
            rollback=rollback,
            purpose="cell",
        )
        yield Step(cell=speculative, prompt=prompt)


def _prompt(suite: Suite, index: int, prompt_id: str) -> Prompt:
    try:
        return load_prompt(prompt_id)
    except UsageError as error:
        raise SuiteError(f"{suite.name}.toml: axes.prompts[{index}]: {error}") from None
