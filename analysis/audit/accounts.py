"""Rules about the inside of a run: tokens are conserved, times add up, no pass is cheaper than it can be."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from analysis.accounting import IDENTITY_TOLERANCE
from analysis.audit.evidence import CONFIGURATION, StudyEvidence, of_study
from analysis.audit.finding import Finding, listed
from analysis.audit.from_study import draft_pass_ms, draft_roles
from analysis.load import NS_FIELDS, RunArrays
from runner.drafter_names import NGRAM

WALL_ROOM = 1.001
LEAST_PASS = 0.8
"""A verification pass over γ + 1 tokens reads what a pass over one reads; below 0.8 of it is not noise."""
LEAST_DRAFT_PASS = 0.5


@of_study
def counts_in_range(found: StudyEvidence) -> Iterator[Finding]:
    """0 <= accepted <= drafted <= γ in every cycle, and no time is negative."""
    gammas = zip(found.cells.index.tolist(), found.cells["gamma"].tolist(), strict=True)
    wrong = [row for row, gamma in gammas if _out_of_range(found.study.arrays[row], gamma)]
    if wrong:
        ids = found.cells.loc[wrong, "run_id"]
        yield Finding(
            "counts-in-range", "error", listed(ids), {"runs": len(ids)},
            f"{len(ids)} runs count more accepted than drafted tokens in a cycle, more drafted ones than "
            "γ, or a negative time.",
            "Count drafted and accepted where they happen, once a cycle.",
        )  # fmt: skip


def _out_of_range(lists: RunArrays, gamma: int) -> bool:
    counts = (lists.accepted < 0) | (lists.accepted > lists.drafted) | (lists.drafted > gamma)
    return bool(counts.any() or any((getattr(lists, name) < 0).any() for name in NS_FIELDS))


@of_study
def nothing_drafted(found: StudyEvidence) -> Iterator[Finding]:
    """A run with γ > 0 drafts; one that does not is a baseline under another name.

    Only prompt lookup may find nothing to propose, in a text that repeats nothing.
    """
    runs = found.cells[(found.cells["gamma"] > 0) & (found.cells["draft"] != NGRAM)]
    idle = runs[(runs["drafted_tokens"] == 0) & (runs["n_predict_tokens"] > 1)]
    if not idle.empty:
        yield Finding(
            "nothing-drafted", "error", listed(idle["run_id"]), {"runs": len(idle)},
            f"{len(idle)} runs with a draft never drafted a token: speculation was not on.",
            "Check that the draft model was loaded and that its tokens reach the target.",
        )  # fmt: skip


@of_study
def tokens_conserved(found: StudyEvidence) -> Iterator[Finding]:
    """Σ(accepted + 1) = tokens that came out = tokens asked for."""
    runs = found.cells
    wrong = runs[(runs["emitted_tokens"] != runs["n_tokens"]) | (runs["n_tokens"] != runs["n_predict_tokens"])]
    if not wrong.empty:
        first = wrong.iloc[0]
        yield Finding(
            "token-conservation", "error", listed(wrong["run_id"]),
            {"runs": len(wrong), "asked": first["n_predict_tokens"], "cycles_yield": first["emitted_tokens"],
             "came_out": first["n_tokens"]},
            f"{len(wrong)} runs do not conserve tokens: the first was asked for "
            f"{first['n_predict_tokens']:.0f}, its cycles yield {first['emitted_tokens']:.0f}, and "
            f"{first['n_tokens']:.0f} came out. Cycles were lost, counted twice, or output was cut.",
            "Record one entry a cycle, and stop at the budget exactly.",
        )  # fmt: skip


@of_study
def output_rows(found: StudyEvidence) -> Iterator[Finding]:
    """Both arms copy one row of output for each token that they verify, and drafts one for each they propose."""
    runs = found.cells
    verified = runs["drafted_tokens"] + runs["n_cycles"]
    target = runs["target_output_rows"].notna() & (runs["target_output_rows"] != verified)
    draft = runs["draft_output_rows"].notna() & (runs["draft_output_rows"] != runs["drafted_tokens"])
    wrong = runs[target | draft]
    if not wrong.empty:
        yield Finding(
            "output-rows", "error", listed(wrong["run_id"]), {"runs": len(wrong)},
            f"{len(wrong)} runs copied another number of output rows than they verified or drafted tokens: "
            "one arm pays for copies that the other does not make.",
            "Ask for an output at each verified token, in both arms, and at no other.",
        )  # fmt: skip


@of_study
def identity_closes(found: StudyEvidence) -> Iterator[Finding]:
    """S = τ / (v + d + o): what the cycles say equals what the wall clock says."""
    runs = found.pairs
    gap = (runs["identity"] / runs["speedup"] - 1).abs()
    open_ = runs[~(gap <= IDENTITY_TOLERANCE)]
    if not open_.empty:
        yield Finding(
            "identity-closes", "error", listed(open_["run_id"]),
            {"runs": len(open_), "worst_gap": float(gap.max())},
            f"{len(open_)} runs have a speedup by the clock that their cycles do not explain (worst gap "
            f"{gap.max():.0%}).",
            "Cycles, tokens or time were lost between the loop and the record; trust neither figure.",
        )  # fmt: skip


@of_study
def times_add_up(found: StudyEvidence) -> Iterator[Finding]:
    """Parts of a run take no longer than the run, and a baseline drafts and rolls back nothing."""
    runs = found.cells
    parts = runs[list(NS_FIELDS)].sum(axis=1)
    over = runs[np.maximum(parts, runs["llama_ns"]) > runs["decode_wall_ns"] * WALL_ROOM]
    if not over.empty:
        worst = float((parts / runs["decode_wall_ns"])[over.index].max())
        yield Finding(
            "times-add-up", "error", listed(over["run_id"]), {"runs": len(over), "parts_per_wall": worst},
            f"{len(over)} runs have parts that take longer than the whole (up to {worst:.2f} times).",
            "Take all times from one monotonic clock, around decode and synchronise.",
        )  # fmt: skip


@of_study
def pass_times(found: StudyEvidence) -> Iterator[Finding]:
    """In every block: a verification pass takes at least what a baseline pass takes."""
    runs = found.pairs
    beside = found.cells.loc[runs["baseline_row"], "verify_ms"].to_numpy()
    ratio = (runs["verify_ms"] / beside).rename("ratio")
    for _, ratios in ratio.groupby([runs[name] for name in CONFIGURATION], dropna=False):
        if ratios.max() * found.room(len(ratios)) < LEAST_PASS:
            first = runs.loc[ratios.index[0]]
            yield Finding(
                "pass-time", "error", listed(runs.loc[ratios.index, "run_id"]),
                {"verify_per_baseline_pass": float(ratios.mean()), "least": LEAST_PASS},
                f"{_label(first)}: verifying {first['gamma'] + 1} tokens takes "
                f"{ratios.mean():.2f} times as long as decoding one, in every block. It reads at least as "
                "much, so passes were refused or skipped and their old logits used again.",
                "Check the return code of every decode.",
            )  # fmt: skip


@of_study
def draft_pass_times(found: StudyEvidence) -> Iterator[Finding]:
    """In every block: a drafted token takes at least half of what that draft takes on its own."""
    runs = found.pairs[found.pairs["drafted_tokens"] > 0]
    for role, of_draft in runs.groupby(draft_roles(found.study, runs)):
        alone = draft_pass_ms(found, str(role))
        if alone is None:
            continue
        each = (of_draft["draft_ns"] / of_draft["drafted_tokens"] / 1e6).rename("each")
        for _, times in each.groupby([of_draft[name] for name in CONFIGURATION], dropna=False):
            if times.max() * found.room(len(times)) < LEAST_DRAFT_PASS * alone.value:
                yield _draft_pass(of_draft.loc[times.index], times, alone.value)


def _draft_pass(runs: pd.DataFrame, times: pd.Series, alone_ms: float) -> Finding:
    return Finding(
        "draft-pass-time", "error", listed(runs["run_id"]),
        {"drafted_token_ms": float(times.mean()), "alone_ms": alone_ms},
        f"{_label(runs.iloc[0])}: a drafted token takes {times.mean():.2f} ms, the same model alone "
        f"{alone_ms:.2f} ms. Tokens were counted as drafted that no pass computed.",
        "Check the return code of every decode of the draft, and count the tokens that it really proposed.",
    )  # fmt: skip


def _label(run: pd.Series) -> str:
    return f"{run['target']} + {run['draft']}, γ {run['gamma']}, {run['prompt']}"
