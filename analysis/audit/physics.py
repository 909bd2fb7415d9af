"""Bounds that hold on any machine, whatever was measured how: they need no timings but the reported ones.

A cycle drafts γ tokens one after another, runs the target once over γ + 1 tokens, and yields τ <= 1 + αγ of them.
A pass over several tokens reads at least what a pass over one reads, so it takes at least t₁. Hence

    S <= τ          τ · (ms per token) >= t₁ + γ · T_D          bytes read per second <= bandwidth

Source: design, "The identity"; facts/anchors.md 6.2; facts/llamacpp.md A4.
"""

from __future__ import annotations

from collections.abc import Iterator

from analysis.audit.evidence import Evidence, PlainRow, Row
from analysis.audit.finding import Finding

GIGA = 1e9
LOOK = "Check every return code of rollback and decode, compare the output with plain decoding, and count again."


def tau_bound(evidence: Evidence) -> Iterator[Finding]:
    """S <= τ <= 1 + αγ: a cycle costs at least one target pass, so it gains at most its tokens."""
    for row in evidence.rows:
        if row.speedup.low > row.tau.high:
            yield Finding(
                "tau-bound", "error", row.where,
                {"speedup": row.speedup.value, "bound": row.tau.value, "acceptance": row.alpha.value,
                 "gamma": row.gamma},
                f"{row.label}: a speedup of {row.speedup.value:.2f} is claimed, but at an acceptance of "
                f"{row.alpha.value:.1%} a target pass yields at most {row.tau.value:.3f} tokens. Even "
                "with drafting and verification for free it could not be faster than that: part of the "
                "output was not verified, or the baseline is that of another, slower program.",
                LOOK,
            )  # fmt: skip


def speedup_recomputes(evidence: Evidence) -> Iterator[Finding]:
    """The stated speedup is t₁ over ms per token."""
    for row in evidence.rows:
        ratio = row.t1_ms.value / row.ms_per_token.value
        low, high = row.t1_ms.low / row.ms_per_token.high, row.t1_ms.high / row.ms_per_token.low
        if row.speedup.high < low or row.speedup.low > high:
            yield Finding(
                "speedup-recomputes", "error", row.where, {"speedup": row.speedup.value, "recomputed": ratio},
                f"{row.label}: the speedup is given as {row.speedup.value:.3f}, its own times make it "
                f"{ratio:.3f}.",
                "Compute it again from the baseline and the run that are shown, or say which baseline "
                "was used.",
            )  # fmt: skip


def cycle_time(evidence: Evidence) -> Iterator[Finding]:
    """τ · ms per token >= t₁ + γ · T_D: a cycle lasts at least as long as its parts."""
    for row in evidence.rows:
        needed = least_cycle_ms(row)[1]
        if too_short(row):
            yield Finding(
                "cycle-time", "error", row.where,
                {"cycle_ms": row.cycle_ms.value, "needed_ms": needed, "t1_ms": row.t1_ms.value,
                 "drafted_tokens": row.drafted.value,
                 "draft_pass_ms": row.draft_pass_ms.value if row.draft_pass_ms else 0.0},
                f"{row.label}: the figures leave {row.cycle_ms.value:.1f} ms for a cycle, but one target "
                f"pass and {row.drafted.value:.0f} draft passes take at least {needed:.1f} ms by the same "
                "source's own baselines. Done as described, this would run at "
                f"{row.tau.value / needed * 1000:.1f} tokens/s.",
                LOOK,
            )  # fmt: skip


def draft_budget(evidence: Evidence) -> Iterator[Finding]:
    """γ tokens must be drafted in what a cycle leaves beside the target's pass, no faster than the draft can.

    The target pass is taken at its cheapest, t₁. Where it alone fills the cycle, no draft speed is high enough.
    """
    for row in evidence.rows:
        if row.draft_pass_ms is None or row.drafted.low <= 0:
            continue
        left_ms = row.cycle_ms.high - row.t1_ms.low
        if left_ms < row.drafted.low * row.draft_pass_ms.low:
            yield _draft_budget(row, left_ms)


def _draft_budget(row: Row, left_ms: float) -> Finding:
    assert row.draft_pass_ms is not None
    measured = 1000 / row.draft_pass_ms.value
    evidence = {
        "measured_draft_tokens_per_s": measured,
        "left_for_drafting_ms": left_ms,
        "draft_tokens_per_s_if_target_were_free": 1000 * row.drafted.value / row.cycle_ms.value,
    }
    if left_ms > 0:
        evidence["implied_draft_tokens_per_s"] = 1000 * row.drafted.value / left_ms
        needs = f"would have to draft {evidence['implied_draft_tokens_per_s']:.0f} tokens/s"
    else:
        needs = "would have to draft in no time at all, as the target's own pass already fills the cycle,"
    return Finding(
        "draft-budget", "error", row.where, evidence,
        f"{row.label}: {row.draft} {needs} to propose {row.drafted.value:.0f} tokens a cycle; it was "
        f"measured at {measured:.0f} tokens/s. Most of the drafted tokens were counted but never computed.",
        LOOK,
    )  # fmt: skip


def bandwidth(evidence: Evidence) -> Iterator[Finding]:
    """Bytes read per second stay below the chip's bandwidth: what must be read, and what is said to be read."""
    peak = evidence.bandwidth_bytes_per_s
    if peak is None:
        return
    for plain in evidence.plain:
        explained = ("all weights, as the explanation has it", plain.claimed_bytes)
        for reading, size in (("active weights", plain.active_bytes), explained):
            if size is not None and size / plain.ms_per_token.high * 1000 > peak:
                what = f"{size / GIGA:.1f} GB ({reading})"
                yield _bandwidth(plain, what, size / plain.ms_per_token.value, peak)
    for row in evidence.rows:
        if row.target_bytes is None:
            continue
        drafts = row.drafted.low * (row.draft_bytes or 0.0)
        for reading, size in (
            ("the target's active weights, without a single draft pass", row.target_bytes),
            ("the target's active weights and the draft's passes", row.target_bytes + drafts),
        ):
            if size / row.cycle_ms.high * 1000 > peak:
                yield _bandwidth(row, f"{size / GIGA:.1f} GB ({reading})", size / row.cycle_ms.value, peak)
                break


def _bandwidth(row: Row | PlainRow, what: str, bytes_per_ms: float, peak: float) -> Finding:
    rate = bytes_per_ms * 1000
    return Finding(
        "bandwidth", "error", row.where,
        {"bytes_per_s": rate, "peak_bytes_per_s": peak, "ratio": rate / peak},
        f"{row.label}: reading {what} in the time given takes {rate / GIGA:.0f} GB/s, and the chip can read "
        f"{peak / GIGA:.0f} GB/s. What is said to be read is not read, or the passes did not happen.",
        "Use the bytes that a pass really reads (for a mixture: the experts routed to), and count the passes.",
    )  # fmt: skip


def least_cycle_ms(row: Row) -> tuple[float, float]:
    """Least time of one target pass and the drafted passes: (kindest reading, as reported)."""
    if row.draft_pass_ms is None:
        return row.t1_ms.low, row.t1_ms.value
    return (
        row.t1_ms.low + row.drafted.low * row.draft_pass_ms.low,
        row.t1_ms.value + row.drafted.value * row.draft_pass_ms.value,
    )


def too_short(row: Row) -> bool:
    """Whether even the kindest reading leaves a cycle less time than its passes take."""
    return row.cycle_ms.high < least_cycle_ms(row)[0]
