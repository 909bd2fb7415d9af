"""The claims ledger: each finding of seed 003 as a statement that figures can decide, and its verdict.

A universal claim ("the smaller draft wins") is supported only when every case decides for it, and refuted by one
case that decides against it. Verdicts of a study rest on intervals, those of published tables on arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from analysis.render import Column, Document, Row, Table
from analysis.stats import Estimate

Verdict = Literal["supported", "refuted", "undecided"]

TESTS: dict[str, tuple[str, str]] = {
    "sd-helps-moe": (
        "With nothing accepted, the MoE target is still faster under SD than without: 1/(v+d+o) > 1",
        "speed with nothing accepted",
    ),
    "footprint-scaling": (
        "Of two targets with the same draft and γ, the one with more parameters in total gains more",
        "speedup, more over fewer parameters",
    ),
    "smaller-draft-wins": (
        "Of two drafts of one target at the same γ, the smaller gives the higher speedup",
        "speedup, smaller over larger draft",
    ),
    "larger-gamma-wins": (
        "The largest γ gives a higher speedup than the smallest, at whatever acceptance",
        "speedup, largest over smallest γ",
    ),
    "dense-4b-isolates-footprint": (
        "The dense control differs from the MoE in nothing that SD depends on but the verification ratio v",
        "MoE over control",
    ),
    "verify-16-costs-1.5x": (
        "A verification pass over 17 tokens costs 1.5 times one over 5",
        "cost, γ 16 over γ 4",
    ),
    "all-weights-read": (
        "The bytes of the whole MoE file, read once a token, fit through the memory in the time of a token",
        "bytes per second, needed over possible",
    ),
}
"""Finding -> the statement that is tested, and the name of the number that decides."""

TESTED_GAMMAS = (4, 16)
CLAIMED_COST_RATIO = 1.5


@dataclass(frozen=True)
class Claim:
    """One line of the ledger. `number`: what decided, None where nothing could; `where`: its run ids or rows."""

    id: str
    verdict: Verdict
    number: Estimate | float | None
    reason: str
    where: tuple[str, ...]


def universal(cases: Sequence[Estimate]) -> tuple[Verdict, Estimate | None]:
    """Verdict on "every case lies above its neutral value", and the case that decides: the lowest."""
    if not cases:
        return "undecided", None
    lowest = min(cases, key=lambda case: case.high)
    if lowest.high < lowest.neutral:
        return "refuted", lowest
    lowest = min(cases, key=lambda case: case.low)
    return ("supported" if lowest.low > lowest.neutral else "undecided"), lowest


def ledger(source: str, claims: Sequence[Claim]) -> Document:
    """The ledger as a document."""
    heads = (
        ("claim", "Claim"), ("statement", "Tested as"), ("verdict", "Verdict"), ("measure", "Deciding number"),
    )  # fmt: skip
    columns = (
        *(Column(key, head) for key, head in heads), Column("number", "Value", "ratio"),
        Column("reason", "Why"), Column("where", "From"),
    )  # fmt: skip
    rows = tuple(_row(claim) for claim in claims)
    table = Table("claims", "Claims of the 306-run study", columns, rows)
    return Document(f"Claims, judged by {source}", (table,))


def _row(claim: Claim) -> Row:
    statement, measure = TESTS[claim.id]
    row: dict[str, Estimate | float | str] = {
        "claim": claim.id, "statement": statement, "verdict": claim.verdict, "measure": measure,
        "reason": claim.reason, "where": "; ".join(claim.where),
    }  # fmt: skip
    return {**row, "number": claim.number} if claim.number is not None else row
