"""Whether a measurement can be one of its cell at all. What it means is the analysis's business."""

from __future__ import annotations

from runner.drafter_names import NGRAM
from runner.record import Cell, Cycles, Measurement


def objection(cell: Cell, measurement: Measurement) -> str | None:
    """What contradicts the accounting, in one clause; None when nothing does.

    Every emitted token comes out of a cycle, so tokens = Σ(accepted + 1) = the cell's budget, and
    0 <= accepted <= drafted <= gamma in every cycle (facts/anchors.md, 6.2). Only n-gram lookup may find
    nothing to propose.
    """
    cycles = measurement.cycles
    if len({len(getattr(cycles, name)) for name in Cycles.__struct_fields__}) != 1:
        return "the lists of its cycles have different lengths"
    if any(not 0 <= yes <= all_ <= cell.gamma for yes, all_ in zip(cycles.accepted, cycles.drafted, strict=True)):
        return f"a cycle accepted more than it drafted, or drafted more than gamma = {cell.gamma}"
    if not len(measurement.tokens) == cycles.emitted_tokens == cell.n_predict_tokens:
        return (
            f"{len(measurement.tokens)} tokens, {cycles.emitted_tokens} emitted by its cycles and"
            f" {cell.n_predict_tokens} planned are not the same number"
        )
    if strange := _strange_copies(measurement):
        return strange
    if cell.gamma and cell.draft != NGRAM and not any(cycles.drafted):
        return "nothing was drafted, so speculative decoding was not on"
    return None


def _strange_copies(measurement: Measurement) -> str | None:
    """Both arms ask for one output per verified token, and a draft model for one per drafted token."""
    n_drafted = sum(measurement.cycles.drafted)
    n_verified = n_drafted + len(measurement.cycles.drafted)
    target, draft = measurement.target_output_rows, measurement.draft_output_rows
    if target not in {None, n_verified}:
        return f"the target copied {target} rows of output for {n_verified} verified tokens"
    if draft not in {None, n_drafted}:
        return f"the draft copied {draft} rows of output for {n_drafted} drafted tokens"
    return None
