"""Compares what a GGUF is with what its role expects: a renamed or swapped file is caught by its content."""

from __future__ import annotations

from typing import Literal, NamedTuple

from runner.gguf_facts import GgufCard
from runner.models.registry import ExpectedModel, RoleEntry

SIZE_TOLERANCE = 0.10
"""Uploads of the same type are re-made with other mixes; beyond a tenth it is another type."""


class Finding(NamedTuple):
    """One thing that is not as expected; `fail` makes every number of the role worthless."""

    severity: Literal["warn", "fail"]
    text: str


def unexpected(card: GgufCard, role: RoleEntry, model: ExpectedModel) -> list[Finding]:
    """What differs from the registry; empty when the file is what its role says."""
    return [*_structure(card, model), *_quantisation(card, role), *_companions(card)]


def _structure(card: GgufCard, model: ExpectedModel) -> list[Finding]:
    expected: list[tuple[str, object, object]] = [
        ("architecture", card.architecture, model.architecture),
        ("layers", card.n_layers, model.layers),
        ("experts", card.n_experts, model.experts),
        ("experts used", card.n_experts_used, model.experts_used),
        ("parameters", card.weights.parameters, model.parameters),
        ("tokens in the vocabulary", card.n_vocab, model.vocabulary),
    ]
    return [
        Finding("fail", f"{what}: {_shown(found)} instead of {_shown(wanted)}; it is another model")
        for what, found, wanted in expected
        if found != wanted
    ]


def _quantisation(card: GgufCard, role: RoleEntry) -> list[Finding]:
    wanted = sorted({file.quantisation for file in role.files})
    if card.quantisation not in wanted:
        return [Finding("fail", f"quantised as {card.quantisation} instead of {' or '.join(wanted)}")]
    sizes = [file.bytes for file in role.files if file.quantisation == card.quantisation]
    if all(abs(card.size_bytes - size) > SIZE_TOLERANCE * size for size in sizes):
        known = ", ".join(f"{size / 1e9:.1f}" for size in sizes)
        found = card.size_bytes / 1e9
        return [Finding("warn", f"{found:.1f} GB where {known} GB is usual: another upload")]
    return []


def _companions(card: GgufCard) -> list[Finding]:
    if not card.n_mtp_layers:
        return []
    millions = card.weights.mtp_parameters / 1e6
    text = f"carries an MTP block ({millions:.0f} M parameters), which plain decoding does not run"
    return [Finding("warn", text)]


def _shown(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
