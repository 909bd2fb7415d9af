"""Signatures: patterns between rows that honest speculation does not leave, and that known faults do.

Source: facts/llamacpp.md A3 and A4; facts/anchors.md 2.2.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, groupby

from analysis.audit.evidence import Evidence, Row
from analysis.audit.finding import Finding
from analysis.audit.physics import LOOK, too_short

PHANTOM_AGREEMENT = 0.05
LEAST_GAIN = 1.25
"""Twice the tokens from the same work make a run nearly twice as fast; less than this is no effect."""


def acceptance_falls(evidence: Evidence) -> Iterator[Finding]:
    """Accepted tokens per cycle, αγ, cannot fall as γ grows: a longer draft begins like a shorter one.

    α ~ 1/γ is what a saturated honest draft shows (αγ constant); faster than that means that acceptance is
    decided by something other than the drafts.
    """
    for (target, draft, prompt), rows in _grouped(evidence.rows):
        falls = [
            (short, long) for short, long in combinations(sorted(rows, key=lambda row: row.gamma), 2)
            if long.gamma > short.gamma and long.accepted_per_cycle.high < short.accepted_per_cycle.low
        ]  # fmt: skip
        if falls:
            short, long = max(falls, key=lambda pair: (pair[0].tau.value - 1) / max(pair[1].tau.value - 1, 1e-9))
            name = f"{target} + {draft}" + (f", {prompt}" if prompt else "")
            yield Finding(
                "acceptance-falls", "warning", short.where + long.where,
                {"gamma_short": short.gamma, "accepted_per_cycle_short": short.tau.value - 1,
                 "gamma_long": long.gamma, "accepted_per_cycle_long": long.tau.value - 1},
                f"{name}: accepted tokens per cycle fall from {short.tau.value - 1:.3f} at γ "
                f"{short.gamma} to {long.tau.value - 1:.3f} at γ {long.gamma}; α falls faster than 1/γ. "
                f"The first {short.gamma} tokens of a longer draft are the same, so what is accepted does "
                "not depend on what was drafted.",
                "Count accepted tokens per position; check that the draft's state after a rejection is "
                "as good as fresh.",
            )  # fmt: skip


def phantom_signature(evidence: Evidence) -> Iterator[Finding]:
    """With rollback ignored, a tool runs one draft pass a token and one target pass every γ + 1 tokens.

    Then ms/token = T_D + T_v/(γ+1). Two drafts of one target and γ give T_v twice; when both agree and the honest
    reading of both rows is impossible, the failed rollback explains the figures (facts/llamacpp.md A3, A4).
    """
    impossible = [row for row in evidence.rows if row.draft_pass_ms is not None and too_short(row)]
    for _, rows in groupby(sorted(impossible, key=_setting), key=_setting):
        for one, other in combinations(rows, 2):
            low, high = sorted((phantom_verify_ms(one), phantom_verify_ms(other)))
            if one.draft != other.draft and 0 < high <= low * (1 + PHANTOM_AGREEMENT):
                yield _phantom(one, other)


def _phantom(one: Row, other: Row) -> Finding:
    gamma, passes = one.gamma, (phantom_verify_ms(one), phantom_verify_ms(other))
    mean = sum(passes) / 2
    name = f"{one.target}, γ {gamma}" + (f", {one.prompt}" if one.prompt else "")
    honest = 1000 / (mean + gamma * min(_pass_ms(one), _pass_ms(other)))
    return Finding(
        "phantom-signature", "error", one.where + other.where,
        {"verify_ms_first_draft": passes[0], "verify_ms_second_draft": passes[1], "gamma": gamma,
         "honest_tokens_per_s": honest},
        f"{name}: {one.draft} and {other.draft} agree on a target pass of {passes[0]:.1f} and "
        f"{passes[1]:.1f} ms if each output token cost one draft pass and only every {gamma + 1}th a "
        "target pass. That is what a tool does that ignores a refused rollback and samples stale logits: "
        "fast, wrong, nearly nothing accepted. Honest decoding with these passes and nothing accepted "
        f"would give {honest:.1f} tokens/s.",
        "Look for failed decodes in the tool's log and for tokens printed γ + 1 times; measure with "
        "checked rollback.",
    )  # fmt: skip


def acceptance_without_effect(evidence: Evidence) -> Iterator[Finding]:
    """Between prompts, speed must follow acceptance: τ tokens cost about the same cycle whatever was accepted."""
    for (target, draft, gamma), group in groupby(sorted(evidence.rows, key=_pair), key=_pair):
        rows = sorted(group, key=lambda row: row.tau.value)
        least, most = rows[0], rows[-1]
        if most.tau.low > 2 * least.tau.high and most.speedup.high < LEAST_GAIN * least.speedup.low:
            yield Finding(
                "acceptance-without-effect", "error", least.where + most.where,
                {"tau_low": least.tau.value, "tau_high": most.tau.value, "speedup_at_low": least.speedup.value,
                 "speedup_at_high": most.speedup.value},
                f"{target} + {draft}, γ {gamma}: {most.tau.value:.2f} tokens per cycle ({most.prompt}) "
                f"give a speedup of {most.speedup.value:.2f}, {least.tau.value:.2f} tokens "
                f"({least.prompt}) one of {least.speedup.value:.2f}. A cycle costs the same work in both: "
                "accepted tokens do not cause the speed.",
                LOOK,
            )  # fmt: skip


def _pass_ms(row: Row) -> float:
    assert row.draft_pass_ms is not None
    return row.draft_pass_ms.value


def phantom_verify_ms(row: Row) -> float:
    """T_v that solves ms/token = T_D + T_v/(γ+1). The row must have T_D."""
    return (row.ms_per_token.value - _pass_ms(row)) * (row.gamma + 1)


def _setting(row: Row) -> tuple[str, int, str]:
    return (row.target, row.gamma, row.prompt)


def _pair(row: Row) -> tuple[str, str, int]:
    return (row.target, row.draft, row.gamma)


def _grouped(rows: tuple[Row, ...]) -> Iterator[tuple[tuple[str, str, str], list[Row]]]:
    def key(row: Row) -> tuple[str, str, str]:
        return (row.target, row.draft, row.prompt)

    for name, group in groupby(sorted(rows, key=key), key=key):
        yield name, list(group)
