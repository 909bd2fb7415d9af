"""Seed 001's analysis on any study: what drafting should have brought, what it brought, which γ is best.

Where the seed had to imply the draft time from the whole cycle, a study also measured it, so that the difference
splits: drafting slower than alone, and everything else (verifying γ + 1 tokens, rollback, sampling).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from analysis.accounting import cells
from analysis.configurations import Configuration as Averaged
from analysis.configurations import configurations as by_draft_model
from analysis.load import FloatArray, Study
from analysis.stats import Estimate, quotient
from analysis.tpot.model import Best, best_of, implied_draft_ms, sd_tpot_ms
from runner.errors import DataError


@dataclass(frozen=True)
class Configuration:
    """One target, draft and γ. Times in milliseconds, lengths in tokens; estimates average prompts equally."""

    suite: str
    target: str
    draft: str
    gamma: int
    target_ms: Estimate
    """T_t: the paired baselines' time per token."""
    draft_ms: Estimate
    """Drafting, per drafted token, as measured inside the cycles."""
    draft_alone_ms: float | None
    """Time per token of the same file decoding on its own; None where the study has no such run."""
    drafted: Estimate
    """Tokens really drafted per cycle; below γ as the last cycles draft less."""
    cycle_ms: Estimate
    """Observed ITL: wall time per cycle."""
    acceptance_length: Estimate
    tpot_ms: Estimate
    speedup: Estimate

    @property
    def expected_draft_ms(self) -> float:
        """T_d of the expectation: alone where known, else as measured in place."""
        return self.draft_ms.point if self.draft_alone_ms is None else self.draft_alone_ms

    @property
    def expected_tpot_ms(self) -> float:
        """T_s without any overhead."""
        return sd_tpot_ms(
            self.drafted.point, self.expected_draft_ms, self.target_ms.point, self.acceptance_length.point
        )

    @property
    def implied_draft_ms(self) -> float:
        """T_d that would explain the observed cycle, were verifying as cheap as a plain step."""
        return implied_draft_ms(
            self.tpot_ms.point, self.drafted.point, self.target_ms.point, self.acceptance_length.point
        )

    @property
    def expected_speedup(self) -> float:
        """T_t over the expected T_s."""
        return self.target_ms.point / self.expected_tpot_ms


@dataclass(frozen=True)
class BestGamma:
    """The best γ of one target and draft, with and without the overhead."""

    suite: str
    target: str
    draft: str
    observed: Best
    expected: Best
    possible: tuple[int, ...]
    """Every γ whose observed interval reaches below the least upper end: noise leaves these open."""


def configurations(study: Study) -> tuple[Configuration, ...]:
    """A row for each suite, target, draft model and γ whose runs can be averaged and drafted something.

    Raises DataError when none has, or where runs differ in what an average would hide.
    """
    found = [one for one in by_draft_model(study) if one.column("drafted_tokens").any()]
    if not found:
        raise DataError(f"{study.name}: no completed run with a draft model and a baseline; nothing to compare")
    alone = _alone_ms(study)
    return tuple(_configuration(one, alone) for one in found)


def n_left_out(study: Study) -> int:
    """Speculative runs that no row averages: another output than the baseline's, or times that do not add up."""
    return sum(one.n_broken for one in by_draft_model(study))


def best_gammas(rows: tuple[Configuration, ...]) -> tuple[BestGamma, ...]:
    """One entry for each suite, target and draft of the rows."""
    return tuple(_best(group) for group in by_pair(rows))


def by_pair(rows: tuple[Configuration, ...]) -> Iterator[list[Configuration]]:
    """The rows of each suite, target and draft, in the order of γ."""
    keys = dict.fromkeys((row.suite, row.target, row.draft) for row in rows)
    for key in keys:
        yield sorted((r for r in rows if (r.suite, r.target, r.draft) == key), key=lambda r: r.gamma)


def _best(rows: list[Configuration]) -> BestGamma:
    gammas = [row.gamma for row in rows]
    surely = min(row.tpot_ms.high for row in rows)
    return BestGamma(
        rows[0].suite,
        rows[0].target,
        rows[0].draft,
        observed=best_of(gammas, [row.tpot_ms.point for row in rows]),
        expected=best_of(gammas, [row.expected_tpot_ms for row in rows]),
        possible=tuple(row.gamma for row in rows if row.tpot_ms.low <= surely),
    )


def _alone_ms(study: Study) -> dict[str, float]:
    """Mean time per token of every file's plain runs, by its SHA-256."""
    runs = cells(study)
    plain = runs[runs["gamma"] == 0]
    return {str(sha): float(ms) for sha, ms in plain.groupby("target_sha256")["ms_per_token"].mean().items()}


def _configuration(one: Averaged, alone: dict[str, float]) -> Configuration:
    wall_ms, tokens, n_cycles = one.column("decode_wall_ns") / 1e6, one.column("n_tokens"), one.column("n_cycles")
    baseline_ms = one.column("t1_ms") * tokens

    def per(total: FloatArray, count: FloatArray) -> Estimate:
        return quotient(total, count, one.prompts)

    return Configuration(
        suite=one.suite,
        target=one.target,
        draft=one.draft,
        gamma=one.gamma,
        target_ms=per(baseline_ms, tokens),
        draft_ms=per(one.column("draft_ns") / 1e6, one.column("drafted_tokens")),
        draft_alone_ms=alone.get(str(one.pairs["draft_sha256"].iloc[0])),
        drafted=per(one.column("drafted_tokens"), n_cycles),
        cycle_ms=per(wall_ms, n_cycles),
        acceptance_length=per(one.column("emitted_tokens"), n_cycles),
        tpot_ms=per(wall_ms, tokens),
        speedup=replace(per(baseline_ms, wall_ms), neutral=1.0),
    )
