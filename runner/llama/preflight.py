"""Proves a rollback strategy on the very model before anything is timed.

`True` from llama.cpp is no proof: a rollback over several single-token decodes returns True and leaves a wrong
state (ggml-org/llama.cpp#26695). So the strategy is run as it will be used, tokens are rejected, and the logits
that follow are compared with a context that never saw them. How large an error means something depends on the
model, so its own rounding noise and the effect of one wrong token are measured beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from runner.decode import Choice
from runner.errors import EngineError
from runner.llama.context import Context
from runner.llama.draft import ModelDrafter
from runner.llama.model import Model
from runner.llama.rollback import (
    Rollback,
    draft_strategies,
    make_context,
    make_rollback,
    no_strategy,
    target_strategies,
)
from runner.llama.target import LlamaTarget
from runner.record import RollbackProof, Settings, Strategy

PROBE_TEXT = (
    "A river that has been straightened runs faster and digs deeper, so the fields beside it dry out in summer "
    "and flood in winter. Twelve years after the old bends were dug again, the water table had risen by 40 cm, "
    "the herons were back, and the village downstream had not been flooded once."
)
_PROMPT_TOKENS = 16
_SAME_MARGIN_LOGITS = 1e-3

Logits = NDArray[np.float32]

_YARDSTICKS: WeakKeyDictionary[Context, dict[tuple[tuple[int, ...], ...], tuple[float, float]]]
_YARDSTICKS = WeakKeyDictionary()
"""Of each reference that is still in use; a context never decodes the same tokens to other logits."""


@dataclass(frozen=True)
class Proved:
    """A context together with the rollback that was proved on it."""

    context: Context
    rollback: Rollback
    proof: RollbackProof


@dataclass(frozen=True)
class Side:
    """How one side of a pair rolls back: strategies to try, cheapest first, and how each is tried."""

    strategies: Callable[[Model], tuple[Strategy, ...]]
    attempt: Callable[[Context, Context, Rollback, int], RollbackProof]


def prove(
    side: Side, reference: Context, settings: Settings, *, gamma: int, only: Strategy | None = None
) -> Proved:
    """The first strategy of `side` that holds for `gamma` tokens, or the one asked for by `only`.

    `reference` is a context of the same model without snapshots. Raises RollbackError when none holds.
    """
    tried: list[str] = []
    for strategy in side.strategies(reference.model) if only is None else (only,):
        try:
            proved = _attempted(side, reference, settings, strategy, gamma)
        except EngineError as error:
            tried.append(f"{strategy}: {error}")
            continue
        proof = proved.proof
        if proof.holds:
            return proved
        proved.context.close()
        tried.append(
            f"{strategy}: error {proof.rolled_back:.1e}, rounding {proof.noise:.1e}, "
            f"one wrong token {proof.wrong_state:.1e}"
        )
    raise no_strategy(reference.model, tried)


def _attempted(side: Side, reference: Context, settings: Settings, strategy: Strategy, gamma: int) -> Proved:
    """The strategy run as it will be used, whether it holds or not; raises EngineError as llama.cpp refuses."""
    context = make_context(reference.model, settings, strategy, gamma=gamma)
    rollback = make_rollback(strategy)
    try:
        return Proved(context, rollback, side.attempt(context, reference, rollback, gamma))
    except BaseException:
        context.close()
        raise


def prove_device_choice(context: Context, *, most_rows: int) -> None:
    """Let `context` choose on the device from now on, once it chose the same tokens there as the host.

    Tried on passes with one output, two, and `most_rows`, as many as its loop will ask for. Raises EngineError
    when the device cannot choose, or chooses otherwise.
    """
    sizes = sorted({1, min(2, most_rows), most_rows})
    on_host = _probe_choices(context, sizes)
    context.choose_on_device()
    for (tokens, margins), (theirs, their_margins) in zip(on_host, _probe_choices(context, sizes), strict=True):
        if tokens != theirs or not np.allclose(margins, their_margins, atol=_SAME_MARGIN_LOGITS):
            raise EngineError(
                f"{context.model.name}: the device chose tokens {theirs} where the host chose {tokens}, "
                f"margins {their_margins} and {margins}: leave --choose-on device out"
            )


def _probe_choices(context: Context, sizes: Sequence[int]) -> list[Choice]:
    """Choices at each token of batches of these sizes."""
    text = _probe_tokens(context, _PROMPT_TOKENS + max(sizes))
    found = []
    for n_rows in sizes:
        context.begin(text[:_PROMPT_TOKENS])
        context.decode(text[_PROMPT_TOKENS : _PROMPT_TOKENS + n_rows], n_outputs=n_rows)
        found.append(context.choose(n_rows))
    return found


def _try_target(context: Context, reference: Context, rollback: Rollback, gamma: int) -> RollbackProof:
    """Two cycles with rejections, as in the loop, for several numbers of kept tokens."""
    text = _probe_tokens(context, _PROMPT_TOKENS + gamma + 4)
    prompt, right = text[:_PROMPT_TOKENS], text[_PROMPT_TOKENS:]
    target = LlamaTarget(context, rollback)
    proofs = []
    for n_keep in sorted({1, (gamma + 2) // 2, gamma, gamma + 1}):
        target.begin(prompt)
        _reject(target, right[:n_keep], gamma + 1 - n_keep)
        _reject(target, right[n_keep : n_keep + 1], gamma)
        probe = right[n_keep + 1 : n_keep + 3]
        context.decode(probe, n_outputs=len(probe))
        rolled_back = context.logits(len(probe)).copy()
        proofs.append(_judge(rolled_back, reference, [*prompt, *right[: n_keep + 1]], probe))
    return _worst(proofs)


def _reject(target: LlamaTarget, kept: Sequence[int], n_rejected: int) -> None:
    target.mark()
    target.verify([*kept, *_wrong(kept[-1], n_rejected)])
    target.keep(len(kept))


def _try_draft(context: Context, reference: Context, rollback: Rollback, gamma: int) -> RollbackProof:
    """Draft, accept some, and look at the logits that the next cycle would start from."""
    text = _probe_tokens(context, _PROMPT_TOKENS + 1)
    prompt, bonus = text[:-1], text[-1]
    drafter = ModelDrafter(context, rollback)
    proofs = []
    for n_accepted in sorted({0, gamma // 2, max(gamma - 2, 0), gamma - 1, gamma}):
        drafter.begin(prompt)
        proposal = drafter.propose(gamma)
        drafter.settle(n_accepted, bonus)
        drafter.propose(1)
        rolled_back = context.logits(1).copy()
        proofs.append(_judge(rolled_back, reference, [*prompt, *proposal[:n_accepted]], [bonus]))
    return _worst(proofs)


def _judge(
    rolled_back: Logits, reference: Context, confirmed: Sequence[int], probe: Sequence[int]
) -> RollbackProof:
    fresh = _fresh_logits(reference, [confirmed], probe)
    noise, wrong_state = _yardsticks(reference, confirmed, probe, fresh)
    return RollbackProof(rolled_back=nmse(rolled_back, fresh), noise=noise, wrong_state=wrong_state)


def _yardsticks(
    reference: Context, confirmed: Sequence[int], probe: Sequence[int], fresh: Logits
) -> tuple[float, float]:
    """What rounding and one wrong token do after these tokens; every gamma asks for some of the same."""
    known = _YARDSTICKS.setdefault(reference, {})
    key = (tuple(confirmed), tuple(probe))
    if key not in known:
        one_by_one = _fresh_logits(reference, [[token] for token in confirmed], probe)
        one_wrong = _fresh_logits(reference, [[*confirmed, *_wrong(confirmed[-1], 1)]], probe)
        known[key] = nmse(one_by_one, fresh), nmse(one_wrong, fresh)
    return known[key]


def _fresh_logits(reference: Context, batches: Sequence[Sequence[int]], probe: Sequence[int]) -> Logits:
    reference.begin([])
    for batch in batches:
        reference.decode(batch, n_outputs=0)
    reference.decode(probe, n_outputs=len(probe))
    return reference.logits(len(probe)).copy()


def _worst(proofs: Sequence[RollbackProof]) -> RollbackProof:
    return RollbackProof(
        rolled_back=max(proof.rolled_back for proof in proofs),
        noise=max(proof.noise for proof in proofs),
        wrong_state=min(proof.wrong_state for proof in proofs),
    )


def _probe_tokens(context: Context, count: int) -> list[int]:
    text = context.model.tokenize(PROBE_TEXT)
    return (text * (count // len(text) + 1))[:count]


def _wrong(after: int, count: int) -> list[int]:
    """Tokens that do not continue the probe text: its own last token, repeated."""
    return [after] * count


def nmse(found: Logits, expected: Logits) -> float:
    """Mean squared error over the variance of `expected`; 0 is equal, 1 is unrelated."""
    return float(np.mean((found - expected) ** 2) / np.var(expected))


TARGET = Side(target_strategies, _try_target)
DRAFT = Side(draft_strategies, _try_draft)
