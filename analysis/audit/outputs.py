"""Rules about what came out: speculation must not change it, and rollback must have been proved."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from analysis.accounting import NEAR_TIE_MARGIN_LOGITS
from analysis.audit.evidence import StudyEvidence, of_study
from analysis.audit.finding import Finding, listed
from analysis.load import TokenArray

REPEATED = 0.5
REPEATED_MORE = 0.3


@of_study
def lossless(found: StudyEvidence) -> Iterator[Finding]:
    """Greedy output of SD is the baseline's, up to near-ties of the baseline's two best tokens."""
    runs = found.pairs
    broken, ties = runs[runs["verdict"] == "broken"], runs[runs["verdict"] == "near-tie"]
    if not broken.empty:
        yield Finding(
            "lossless", "error", listed(broken["run_id"]),
            {"broken": len(broken), "runs": len(runs),
             "first_difference": float(broken["first_difference"].min())},
            f"{len(broken)} of {len(runs)} runs gave another text than plain decoding, where plain "
            "decoding was not in doubt. What they accelerate is another, wrong generation.",
            "Check rollback and the positions of every batch; such runs count as failed.",
        )  # fmt: skip
    if not ties.empty:
        yield Finding(
            "near-ties", "note", listed(ties["run_id"]),
            {"runs": len(ties), "largest_margin_logits": float(ties["margin"].max())},
            f"{len(ties)} runs leave the baseline's text where its two best tokens lie within "
            f"{NEAR_TIE_MARGIN_LOGITS} logits: rounding of another batch shape.",
            "Nothing to do.",
        )  # fmt: skip


@of_study
def repeated_output(found: StudyEvidence) -> Iterator[Finding]:
    """Stale logits print each token several times; the baseline tells whether the text itself repeats."""
    runs = found.pairs
    share, usual = (
        [repeated_share(found.study.arrays[row].tokens) for row in rows.tolist()]
        for rows in (runs.index, runs["baseline_row"])
    )
    repeating = np.array(share, dtype=float) > np.maximum(REPEATED, np.array(usual, dtype=float) + REPEATED_MORE)
    if repeating.any():
        yield Finding(
            "repeated-output", "error", listed(runs.loc[repeating, "run_id"]),
            {"runs": int(repeating.sum()), "repeated_share": float(np.max(share))},
            f"{int(repeating.sum())} runs print a token again right after itself in up to "
            f"{max(share):.0%} of the places, their baselines do not: the same logits were sampled "
            "several times.",
            "A failed decode leaves the old logits in place; check its return code.",
        )  # fmt: skip


def repeated_share(tokens: TokenArray) -> float:
    """Share of tokens that equal the one before; 0 for fewer than two."""
    return float(np.mean(tokens[1:] == tokens[:-1])) if len(tokens) > 1 else 0.0


@of_study
def rollback_proved(found: StudyEvidence) -> Iterator[Finding]:
    """Each speculative run names its rollback strategy and carries the preflight's proof that it works."""
    speculative = found.cells[(found.cells["gamma"] > 0) & (found.cells["n_predict_tokens"] > 1)]
    with_model = speculative[speculative["draft_sha256"].notna()]
    for side, runs in (("target", speculative), ("draft", with_model)):
        wrong = runs[(runs[f"{side}_rollback"] == "none") | ~_proof_holds(runs, f"{side}_proof")]
        if not wrong.empty:
            yield Finding(
                "rollback-proved", "error", listed(wrong["run_id"]), {"runs": len(wrong)},
                f"{len(wrong)} runs reject tokens without proof that the {side}'s state is as good as fresh "
                "after it: rejected tokens may live on in its memory.",
                "Run the preflight on that very model and use only a strategy that it proved.",
            )  # fmt: skip


def _proof_holds(runs: pd.DataFrame, proof: str) -> pd.Series:
    """`runner.record.RollbackProof.holds`, for columns; False where there is no proof."""
    rolled_back, noise, wrong_state = (
        runs[f"{proof}_{name}"] for name in ("rolled_back", "noise", "wrong_state")
    )
    noise = noise.clip(lower=1e-12)
    return (wrong_state > 10 * noise) & (rolled_back <= np.sqrt(noise * wrong_state))
