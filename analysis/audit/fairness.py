"""Rules between the runs of a comparison: same prompt, same budget, same start, a baseline, and mixed in time."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from analysis.accounting import COMPARISON
from analysis.audit.evidence import StudyEvidence, of_study
from analysis.audit.finding import Finding, listed

KEY = list(COMPARISON)
FAST_PREFILL = 0.25
MAX_SPLIT = 0.1
LEAST_COMPARISONS = 8
"""A place among four runs is taken by chance in all of eight comparisons once in sixteen thousand studies."""


@of_study
def baseline_missing(found: StudyEvidence) -> Iterator[Finding]:
    """Every run with a draft has a completed baseline in its comparison."""
    speculative = found.cells[found.cells["gamma"] > 0]
    alone = speculative[~speculative.index.isin(found.pairs.index)]
    if not alone.empty:
        yield Finding(
            "baseline-missing", "warning", listed(alone["run_id"]), {"runs": len(alone)},
            f"{len(alone)} runs have no completed baseline of the same target, prompt and block: they "
            "have a speed but no speedup.",
            "Resume the study; never borrow a baseline from another prompt or block.",
        )  # fmt: skip


@of_study
def unequal_budgets(found: StudyEvidence) -> Iterator[Finding]:
    """All runs of a comparison generate the same number of tokens."""
    wrong = _varying(found.cells, ["n_predict_tokens"])
    if not wrong.empty:
        yield Finding(
            "unequal-budgets", "error", listed(wrong["run_id"]),
            {"runs": len(wrong), "least": wrong["n_predict_tokens"].min(),
             "most": wrong["n_predict_tokens"].max()},
            f"{len(wrong)} runs stand in comparisons whose arms generate different numbers of tokens. "
            "Later tokens cost more and are accepted differently.",
            "Give all arms one budget and ignore end-of-text in all of them.",
        )  # fmt: skip


@of_study
def other_prompt(found: StudyEvidence) -> Iterator[Finding]:
    """All runs of a comparison decode the same prompt, token for token."""
    wrong = _varying(found.cells, ["prompt_sha256", "prompt_tokens_sha256", "n_prompt_tokens"])
    if not wrong.empty:
        yield Finding(
            "other-prompt", "error", listed(wrong["run_id"]), {"runs": len(wrong)},
            f"{len(wrong)} runs stand in comparisons whose arms decoded different prompts.",
            "Measure the baseline on the prompt of the runs it is compared with.",
        )  # fmt: skip


@of_study
def cached_prefill(found: StudyEvidence) -> Iterator[Finding]:
    """Every run decodes its whole prompt, minus the last token, before the loop."""
    runs = found.cells
    usual = runs.groupby(["target", "prompt"])["prefill_target_ns"].transform("median")
    cached = (runs["prefill_tokens"] != runs["n_prompt_tokens"] - 1) & (runs["n_prompt_tokens"] > 0)
    fast = runs["prefill_target_ns"] * found.room(1) < FAST_PREFILL * usual
    wrong = runs[cached | fast]
    if not wrong.empty:
        yield Finding(
            "cached-prefill", "error", listed(wrong["run_id"]),
            {"runs": len(wrong), "not_decoded": int(cached.sum()), "too_fast": int(fast.sum())},
            f"{len(wrong)} runs did not decode their whole prompt: {int(cached.sum())} say so, "
            f"{int(fast.sum())} took less than a quarter of the usual time. They started from what an "
            "earlier run had left.",
            "Clear the memory of both contexts before every run.",
        )  # fmt: skip


@of_study
def interleaved(found: StudyEvidence) -> Iterator[Finding]:
    """A comparison's runs stand together in time, and its baseline does not always have the same place.

    Time is the order of lines in the run log. A pause splits the one comparison that it falls into.
    """
    runs = found.cells[found.cells["purpose"] != "reference"].sort_values("line")
    sizes = runs.groupby(KEY)["line"].transform("size")
    mixed = runs[(sizes > 1) & (runs.groupby(KEY)["gamma"].transform("min") == 0)]
    if mixed.empty:
        return
    place = mixed.groupby(KEY).cumcount()
    position = pd.Series(range(len(mixed)), index=mixed.index)
    spread = position.groupby([mixed[name] for name in KEY]).agg(["min", "max", "size"])
    split = spread[spread["max"] - spread["min"] + 1 > spread["size"]]
    if len(split) > max(2, MAX_SPLIT * len(spread)):
        yield _not_interleaved(
            f"{len(split)} of {len(spread)} comparisons are spread over the study: other runs lie between a "
            "baseline and what is divided by it, so a drift of the machine counts as speedup or slowdown.",
            [" ".join(map(str, key)) for key in split.index], len(split),
        )  # fmt: skip
    places = place[mixed["gamma"] == 0]
    if len(places) >= LEAST_COMPARISONS and places.nunique() == 1:
        yield _not_interleaved(
            f"In all {len(places)} comparisons the baseline is run number {int(places.iloc[0]) + 1}: what "
            "warms up or heats up with the place counts as speedup or slowdown.",
            mixed.loc[places.index, "run_id"].tolist(), len(places),
        )  # fmt: skip


def _not_interleaved(message: str, where: list[str], n_comparisons: int) -> Finding:
    return Finding(
        "not-interleaved", "warning", listed(where), {"comparisons": n_comparisons}, message,
        "Run baseline and every γ back to back, in a random order that changes from block to block.",
    )  # fmt: skip


def _varying(runs: pd.DataFrame, fields: list[str]) -> pd.DataFrame:
    """Runs of comparisons in which one of the fields has more than one value."""
    several = runs.groupby(KEY)[fields].transform("nunique") > 1
    return runs[several.any(axis=1)]
