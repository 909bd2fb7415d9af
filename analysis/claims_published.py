"""What the published tables decide about their own conclusions, by arithmetic alone.

Whoever wants to save a claim may take verification and drafting at their cheapest; the figures are read kindly
throughout (`analysis.audit.from_published`), and still rule some claims out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from analysis.audit.evidence import Evidence, Row
from analysis.audit.from_published import published_evidence
from analysis.audit.physics import least_cycle_ms, too_short
from analysis.audit.signatures import phantom_verify_ms
from analysis.claims import CLAIMED_COST_RATIO, TESTED_GAMMAS, Claim
from analysis.published import model_files, published_study

GIGA = 1e9
SAME = 0.1
"""Two targets whose bytes per token differ by more are not alike in everything but their total."""
CONTROL = "dense-4b"
MAIN_DRAFT = "draft-0.8b"
MAIN_TARGET = "moe-q4"


def published_claims() -> tuple[Claim, ...]:
    """One verdict for each finding of seed 003, in its order."""
    evidence = published_evidence()
    judges: dict[str, Callable[[Evidence], Claim]] = {
        "sd-helps-moe": _helps, "footprint-scaling": _scaling, "smaller-draft-wins": _smaller_draft,
        "larger-gamma-wins": _larger_gamma, "dense-4b-isolates-footprint": _control,
        "verify-16-costs-1.5x": _verify_cost, "all-weights-read": _weights,
    }  # fmt: skip
    return tuple(judges[finding.id](evidence) for finding in published_study().findings)


def _helps(evidence: Evidence) -> Claim:
    rows = [row for row in evidence.rows if row.target.startswith("moe") and row.draft == MAIN_DRAFT]
    broken = [row for row in rows if row.speedup.low > row.tau.high]
    worst = max(rows, key=lambda row: row.speedup.value / row.tau.value)
    needed = least_cycle_ms(worst)[1]
    return Claim(
        "sd-helps-moe", "refuted" if broken else "undecided", worst.t1_ms.value / needed,
        "Perfect amortization makes a pass over γ+1 tokens as cheap as over one; then S is at most τ = 1 "
        f"+ αγ. {worst.label}: α {worst.alpha.value:.1%} gives τ = {worst.tau.value:.3f}, the table says "
        f"S = {worst.speedup.value:.2f}; {len(broken)} of {len(rows)} such rows break the bound. With the "
        f"draft passes that the same source timed, a cycle lasts {needed:.0f} ms and the table leaves it "
        f"{worst.cycle_ms.value:.1f} ms: with nothing accepted SD slows this target down.",
        _where(broken or rows),
    )  # fmt: skip


def _scaling(evidence: Evidence) -> Claim:
    moe, dense = _row(evidence, MAIN_TARGET, 16), _row(evidence, "dense-9b", 16)
    totals = {row.role: row.total_parameters for row in published_study().baselines}
    ratio = moe.speedup.value / dense.speedup.value
    return Claim(
        "footprint-scaling", "refuted" if ratio < 1 else "undecided", ratio,
        f"At γ 16, {moe.target} has {totals[moe.target] / totals[dense.target]:.1f} times the parameters of "
        f"{dense.target} and gains {moe.speedup.value:.2f} against {dense.speedup.value:.2f}: the order of the "
        "speedups is not that of the totals, whether or not such rows can be believed.",
        _where([moe, dense]),
    )  # fmt: skip


def _smaller_draft(evidence: Evidence) -> Claim:
    pairs = list(_draft_pairs(evidence))
    rows = [row for pair in pairs for row in pair]
    extra = [large.ms_per_token.value - small.ms_per_token.value for small, large in pairs]
    passes = [_pass(large) - _pass(small) for small, large in pairs]
    wins = sum(small.speedup.low > large.speedup.high for small, large in pairs)
    least = min(small.speedup.value / large.speedup.value for small, large in pairs)
    return Claim(
        "smaller-draft-wins", "undecided", least,
        f"It wins in {wins} of {len(pairs)} pairs, but {sum(map(too_short, rows))} of their {len(rows)} "
        f"rows are impossible as described. The larger draft costs {min(extra):.1f} to {max(extra):.1f} "
        f"ms a token more at every γ; one pass of it costs {passes[0]:.1f} ms more. Honest drafting would "
        "cost γ passes a cycle: what was compared is one draft pass a token.",
        _where(rows),
    )  # fmt: skip


def _larger_gamma(evidence: Evidence) -> Claim:
    short, long = (_row(evidence, MAIN_TARGET, gamma) for gamma in TESTED_GAMMAS)
    most = long.tau.value / short.tau.value
    return Claim(
        "larger-gamma-wins", "refuted" if most < 1 else "undecided", most,
        f"{MAIN_TARGET}: at these acceptances a cycle yields {short.tau.value:.3f} tokens at γ "
        f"{short.gamma} and {long.tau.value:.3f} at γ {long.gamma}, and γ {long.gamma} drafts and "
        f"verifies more. So S(16)/S(4) is at most {most:.3f}; the table has "
        f"{long.speedup.value / short.speedup.value:.3f}.",
        _where([short, long]),
    )  # fmt: skip


def _control(evidence: Evidence) -> Claim:
    files = model_files()
    moe, control = _row(evidence, MAIN_TARGET, 16), _row(evidence, CONTROL, 16)
    ratio = files[moe.target].bytes_per_token / files[control.target].bytes_per_token
    costs = [row.gamma * _pass(row) / row.t1_ms.value for row in (moe, control)]
    return Claim(
        "dense-4b-isolates-footprint", "refuted" if abs(ratio - 1) > SAME else "undecided", ratio,
        f"{moe.target} reads about {files[moe.target].bytes_per_token / GIGA:.2f} GB a token and "
        f"{control.target} {files[control.target].bytes_per_token / GIGA:.2f} GB; drafting 16 tokens "
        f"costs {costs[0]:.1f} baseline tokens on the one and {costs[1]:.1f} on the other; depth, "
        "quantisation and acceptance differ as well. More than one thing varies, so the difference has "
        "no single cause.",
        _where([moe, control]),
    )  # fmt: skip


def _verify_cost(evidence: Evidence) -> Claim:
    short, long = (_row(evidence, MAIN_TARGET, gamma) for gamma in TESTED_GAMMAS)
    honest = long.cycle_ms.value / short.cycle_ms.value
    phantom = phantom_verify_ms(long) / phantom_verify_ms(short)
    return Claim(
        "verify-16-costs-1.5x", "undecided", honest,
        "The tables hold no verification time. Read as described, a whole cycle at γ 16 takes "
        f"{honest:.2f} times one at γ 4, which cannot be; read as failed rollback, a pass takes "
        f"{phantom:.1f} times as long. No reading gives {CLAIMED_COST_RATIO}.",
        _where([short, long]),
    )  # fmt: skip


def _weights(evidence: Evidence) -> Claim:
    assert evidence.bandwidth_bytes_per_s is not None
    plain = next(row for row in evidence.plain if row.target == MAIN_TARGET)
    assert plain.claimed_bytes is not None
    rate = plain.claimed_bytes / plain.ms_per_token.value * 1000
    return Claim(
        "all-weights-read", "refuted" if rate > evidence.bandwidth_bytes_per_s else "undecided",
        rate / evidence.bandwidth_bytes_per_s,
        f"{1000 / plain.ms_per_token.value:.1f} tokens/s times {plain.claimed_bytes / GIGA:.1f} GB is "
        f"{rate / GIGA:.0f} GB/s; the chip reads {evidence.bandwidth_bytes_per_s / GIGA:.0f} GB/s. The "
        "experts that are routed to, and what all tokens share, are about 2 GB.",
        plain.where,
    )  # fmt: skip


def _row(evidence: Evidence, target: str, gamma: int) -> Row:
    key = (target, MAIN_DRAFT, gamma)
    return next(row for row in evidence.rows if (row.target, row.draft, row.gamma) == key)


def _draft_pairs(evidence: Evidence) -> Iterator[tuple[Row, Row]]:
    for small in evidence.rows:
        for large in evidence.rows:
            same = (small.target, small.gamma) == (large.target, large.gamma)
            if same and small.draft == MAIN_DRAFT and large.draft != MAIN_DRAFT:
                yield small, large


def _pass(row: Row) -> float:
    assert row.draft_pass_ms is not None
    return row.draft_pass_ms.value


def _where(rows: list[Row]) -> tuple[str, ...]:
    return tuple(place for row in rows for place in row.where)
