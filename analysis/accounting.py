"""What each speculative run cost and brought, against the baseline of its own comparison.

    S = τ / (v + d + o),   S = t₁ / (ms per token of the speculative run)

Both sides are computed on their own: the left from the cycles, the right from wall times and the tokens that came
out. They agree by construction; where they do not, cycles or tokens were lost. Equation: docs "The identity".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from analysis.load import RunArrays, Study, completed

COMPARISON = ("suite", "target", "pair_draft", "prompt", "block")
"""Columns that name a comparison: all gammas of one pair on one prompt in one block."""

NEAR_TIE_MARGIN_LOGITS = 0.25
"""A first difference where the baseline's two best logits lie closer than this is rounding, not error.

Verifying a batch rounds differently from decoding one by one: on Q4_K_M mixtures the greedy choice first flipped
at margins of 0.02-0.06, where the median margin was 2 to 10. Four times the largest of these; a wrong state moves
logits by more than that.
"""

IDENTITY_TOLERANCE = 0.02
"""A run whose two sides of the identity differ by more lost cycles or tokens: it is broken (design)."""

VerdictKind = Literal["identical", "near-tie", "broken"]


@dataclass(frozen=True)
class Verdict:
    """Whether speculation changed the output. `margin` in logits, NaN where the baseline recorded none."""

    kind: VerdictKind
    first_difference: int
    """Position of the first token that differs, from 0; -1 when all are equal."""
    margin: float


def with_rates(runs: pd.DataFrame) -> pd.DataFrame:
    """`runs` with tau, alpha, ms_per_token, tok_s, and per cycle verify_ms, draft_ms, other_ms.

    alpha is NaN where nothing was drafted. other_ms is the wall time that is neither drafting nor verifying:
    rollback, sampling, and all between.
    """
    cycles = runs["n_cycles"].where(runs["n_cycles"] > 0)
    drafted = runs["drafted_tokens"].where(runs["drafted_tokens"] > 0)
    tokens = runs["n_tokens"].where(runs["n_tokens"] > 0)
    return runs.assign(
        tau=runs["emitted_tokens"] / cycles,
        alpha=runs["accepted_tokens"] / drafted,
        ms_per_token=runs["decode_wall_ns"] / tokens / 1e6,
        tok_s=tokens / runs["decode_wall_ns"].where(runs["decode_wall_ns"] > 0) * 1e9,
        verify_ms=runs["verify_ns"] / cycles / 1e6,
        draft_ms=runs["draft_ns"] / cycles / 1e6,
        other_ms=(runs["decode_wall_ns"] - runs["verify_ns"] - runs["draft_ns"]) / cycles / 1e6,
    )


def cells(study: Study) -> pd.DataFrame:
    """Completed runs with their rates, without the reference runs, which watch the machine and no model."""
    runs = completed(study.runs)
    return with_rates(runs[runs["purpose"] != "reference"])


def pairs(study: Study) -> pd.DataFrame:
    """Every completed speculative run beside the baseline of its comparison; index as in `study.runs`.

    Adds to `cells`: baseline_row, baseline_run_id, t1_ms, v, d, o (per cycle, in t₁), speedup, identity
    (τ/(v+d+o)), sound, verdict, first_difference (-1: none), margin. Runs whose comparison has no completed
    baseline are left out. A run is sound when its identity closes and no part of its time is negative.
    """
    rows = cells(study)
    baselines = rows[rows["gamma"] == 0].drop_duplicates(list(COMPARISON), keep="last")
    beside = baselines.assign(baseline_row=baselines.index)[
        [*COMPARISON, "baseline_row", "run_id", "ms_per_token"]
    ]
    beside = beside.rename(columns={"run_id": "baseline_run_id", "ms_per_token": "t1_ms"})
    speculative = rows[rows["gamma"] > 0]
    paired = speculative.reset_index(names="row").merge(beside, on=list(COMPARISON)).set_index("row")
    return _with_verdicts(study, _with_identity(paired))


def losslessness(run: RunArrays, baseline: RunArrays) -> Verdict:
    """Compare greedy outputs token by token; the baseline's margin at the first difference decides."""
    shared = min(len(run.tokens), len(baseline.tokens))
    differing = np.flatnonzero(run.tokens[:shared] != baseline.tokens[:shared])
    if len(differing) == 0 and len(run.tokens) == len(baseline.tokens):
        return Verdict("identical", -1, float("nan"))
    if len(differing) == 0:
        return Verdict("broken", shared, float("nan"))
    first = int(differing[0])
    margin = float(baseline.margins[first]) if first < len(baseline.margins) else float("nan")
    return Verdict("near-tie" if margin < NEAR_TIE_MARGIN_LOGITS else "broken", first, margin)


def _with_identity(paired: pd.DataFrame) -> pd.DataFrame:
    t1 = paired["t1_ms"]
    v, d, o = paired["verify_ms"] / t1, paired["draft_ms"] / t1, paired["other_ms"] / t1
    speedup, identity = t1 / paired["ms_per_token"], paired["tau"] / (v + d + o)
    closes = (identity / speedup - 1).abs() <= IDENTITY_TOLERANCE
    sound = closes & (v > 0) & (d >= 0) & (o >= 0)
    return paired.assign(v=v, d=d, o=o, speedup=speedup, identity=identity, sound=sound)


def _with_verdicts(study: Study, paired: pd.DataFrame) -> pd.DataFrame:
    verdicts = [
        losslessness(study.arrays[row], study.arrays[baseline])
        for row, baseline in zip(paired.index, paired["baseline_row"], strict=True)
    ]
    return paired.assign(
        verdict=[verdict.kind for verdict in verdicts],
        first_difference=[verdict.first_difference for verdict in verdicts],
        margin=[verdict.margin for verdict in verdicts],
    )
