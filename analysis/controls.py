"""MoE against the dense controls: amortization, acceptance and draft cost, apart, as ratios with intervals.

The product of the three says nothing about a cause, so it is never compared alone. Both arms must share draft, γ
and prompts; their blocks were measured in different suites and are resampled apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from analysis.causes import cause_table
from analysis.configurations import SWEEP_SUITE, Configuration
from analysis.load import FloatArray, Study
from analysis.render import Column, Row, Table, Value
from analysis.stats import Estimate, contrast
from analysis.summary import label

QUANTITIES: Mapping[str, Callable[[Configuration], FloatArray]] = {
    "amortization": lambda one: (one.gamma + 1) / one.column("v"),
    "acceptance": lambda one: one.column("tau"),
    "draft_cost": lambda one: one.column("d"),
    "speedup": lambda one: one.column("identity"),
}
"""What is compared, per pair, shape (n_pairs,): (γ+1)/v, τ, d in t₁ of its own target, and S."""

_COLUMNS = (
    Column("moe", "MoE"), Column("control", "Control"), Column("draft", "Draft"), Column("gamma", "γ", "count"),
    Column("amortization", "Amortization (γ+1)/v", "ratio"), Column("acceptance", "Acceptance τ", "ratio"),
    Column("draft_cost", "Draft cost d", "ratio"), Column("speedup", "S, for reference", "ratio"),
)  # fmt: skip


def controls_tables(study: Study, found: Sequence[Configuration]) -> tuple[Table, ...]:
    """The comparison with the controls and the test of the published cause; empty where a study lacks an arm."""
    usable = [one for one in found if one.suite != SWEEP_SUITE and len(one.pairs)]
    rows = tuple(comparisons(study, usable))
    if not rows:
        return ()
    note = "MoE over control: above 1, the MoE has more of it. d is in baseline tokens of its own target."
    return (
        Table("controls", "MoE against the dense controls", _COLUMNS, rows, (note,)),
        cause_table(study, usable),
    )


def comparisons(study: Study, found: Sequence[Configuration]) -> Iterator[Row]:
    """Each MoE configuration against each dense one with the same draft and γ, on the prompts they share."""
    for moe in found:
        for control in found:
            same = (moe.draft, moe.gamma) == (control.draft, control.gamma)
            if same and _is_moe(study, moe) and not _is_moe(study, control):
                shared = set(moe.prompts) & set(control.prompts)
                if shared:
                    yield _compared(moe.on(shared), control.on(shared))


def _is_moe(study: Study, one: Configuration) -> bool:
    return study.model(one.target).n_experts > 0


def _compared(moe: Configuration, control: Configuration) -> Row:
    figures: dict[str, Value] = {name: _contrast(quantity, moe, control) for name, quantity in QUANTITIES.items()}
    return {
        "moe": label(moe.target), "control": label(control.target), "draft": label(moe.draft), "gamma": moe.gamma,
        **figures,
    }  # fmt: skip


def _contrast(
    quantity: Callable[[Configuration], FloatArray], moe: Configuration, control: Configuration
) -> Estimate | None:
    """The ratio of both; None where one is zero, as the cost of a draft that never proposed is."""
    left, right = quantity(moe), quantity(control)
    if not (left.all() and right.all()):
        return None
    return contrast(np.log(left), moe.prompts, np.log(right), control.prompts)
