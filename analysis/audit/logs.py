"""Rules about a foreign run log as such: what its rows say about how it was made."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from analysis.audit.evidence import Evidence, of_log
from analysis.audit.finding import Finding, listed
from analysis.audit.from_log import SETTING, lines, paired_baselines

MAX_RATE_GAP = 0.05


def out_of_range(evidence: Evidence) -> Iterator[Finding]:
    """A figure of the log cannot be what its column says; its row is left out of everything else."""
    if evidence.problems:
        yield Finding(
            "out-of-range", "error", listed(evidence.problems), {"rows": len(evidence.problems)},
            f"{len(evidence.problems)} figures cannot be true: {evidence.problems[0]}. Their rows are "
            "left out.",
            "Correct the rows at their source; do not delete them.",
        )  # fmt: skip


@of_log
def log_failed_runs(log: pd.DataFrame) -> Iterator[Finding]:
    """Runs with another status than ok."""
    failed = log[log["status"] != "ok"]
    if not failed.empty:
        yield Finding(
            "failed-runs", "warning", listed(lines(failed)), {"failed": len(failed), "runs": len(log)},
            f"{len(failed)} of {len(log)} runs did not end well; no figure contains them.",
            "Show failed runs in every table, with their reason; a mean over survivors flatters.",
        )  # fmt: skip


@of_log
def log_duplicates(log: pd.DataFrame) -> Iterator[Finding]:
    """The same configuration, prompt and repeat more than once."""
    key = ["target", "draft", "gamma", *SETTING, "n_predict_tokens", "repeat"]
    twice = log[log.duplicated(key, keep=False)]
    extra = int(log.duplicated(key).sum())
    if extra:
        yield Finding(
            "duplicate-runs", "error", listed(lines(twice)), {"duplicates": extra},
            f"{extra} runs stand in the log more than once (same configuration, prompt and repeat).",
            "Keep one row a repeat and say which attempt it is; duplicates make intervals too narrow.",
        )  # fmt: skip


@of_log
def log_baselines(log: pd.DataFrame) -> Iterator[Finding]:
    """A speedup needs a baseline of the same target on the same prompt."""
    good = log[log["status"] == "ok"]
    baselines, speculative = good[good["gamma"] == 0], good[good["gamma"] > 0]
    for target, runs in speculative.groupby("target"):
        settings = [group for _, group in runs.groupby(SETTING, dropna=False)]
        found = [paired_baselines(baselines, group.iloc[0]) for group in settings]
        without = [group for group, paired in zip(settings, found, strict=True) if paired.empty]
        borrowed = [
            group for group, paired in zip(settings, found, strict=True)
            if not paired.empty and str(paired["prompt"].iloc[0]) != str(group["prompt"].iloc[0])
        ]  # fmt: skip
        if without:
            yield _no_baseline(str(target), pd.concat(without))
        if borrowed:
            yield _other_prompts(str(target), pd.concat(borrowed), baselines)


def _no_baseline(target: str, runs: pd.DataFrame) -> Finding:
    return Finding(
        "baseline-missing", "error", listed(lines(runs)), {"runs": len(runs)},
        f"{target}: {len(runs)} runs with a draft have no baseline of this target; no speedup can be computed.",
        "Measure γ 0 in the same loop, on the same prompt, right beside the others.",
    )  # fmt: skip


def _other_prompts(target: str, runs: pd.DataFrame, baselines: pd.DataFrame) -> Finding:
    theirs = sorted({str(prompt) for prompt in runs["prompt"]})
    ours = sorted({str(prompt) for prompt in baselines.loc[baselines["target"] == target, "prompt"]})
    return Finding(
        "baseline-other-prompt", "warning", listed(lines(runs)), {"runs": len(runs)},
        f"{target}: runs on {', '.join(theirs)} are divided by baselines on {', '.join(ours)}: another "
        "prompt, and perhaps another program or loop. The ratio holds whatever differs between the two.",
        "Measure the baseline with the same program, loop and prompt as the runs it is compared with.",
    )  # fmt: skip


@of_log
def log_budgets(log: pd.DataFrame) -> Iterator[Finding]:
    """All runs of one target and prompt generate the same number of tokens."""
    for (target, prompt), runs in log.groupby(["target", "prompt"]):
        budgets = sorted(runs["n_predict_tokens"].dropna().unique())
        if len(budgets) > 1:
            yield Finding(
                "unequal-budgets", "error", listed(lines(runs)), {"least": budgets[0], "most": budgets[-1]},
                f"{target}, {prompt}: runs generate between {budgets[0]:.0f} and {budgets[-1]:.0f} tokens. "
                "Later tokens cost more and are accepted differently, so their speeds do not compare.",
                "Give every arm of a comparison the same budget and ignore end-of-text in all of them.",
            )  # fmt: skip


@of_log
def log_mixtures(log: pd.DataFrame) -> Iterator[Finding]:
    """One machine, one chip, one build."""
    for column, rule in (("machine", "mixed-machines"), ("chip", "mixed-machines"), ("build", "mixed-builds")):
        values = sorted({str(value) for value in log[column] if value})
        if len(values) > 1:
            yield Finding(
                rule, "error", listed(values), {"values": len(values)},
                f"The runs name {len(values)} values of {column}: {', '.join(values[:4])}.",
                "Split the log by that column; only runs of one machine and build compare.",
            )  # fmt: skip


@of_log
def log_rates(log: pd.DataFrame) -> Iterator[Finding]:
    """tokens/s and ms per token of a run are two spellings of one figure."""
    product = log["tokens_per_s"] * log["ms_per_token"] / 1000
    apart = log[(product - 1).abs() > MAX_RATE_GAP]
    if not apart.empty:
        worst = float(product[apart.index].sub(1).abs().max())
        yield Finding(
            "rates-recompute", "error", listed(lines(apart)), {"rows": len(apart), "worst_gap": worst},
            f"{len(apart)} rows give a rate and a time per token that differ by up to {worst:.0%}; they time "
            "different things, or one of them was edited.",
            "Say which of the two is the decode loop, and derive the other from it.",
        )  # fmt: skip


@of_log
def log_acceptance(log: pd.DataFrame) -> Iterator[Finding]:
    """A speedup whose acceptance is not told cannot be checked."""
    runs = log[(log["gamma"] > 0) & (log["status"] == "ok")]
    silent = runs[runs["acceptance"].isna()]
    if not silent.empty:
        yield Finding(
            "acceptance-missing", "warning", listed(lines(silent)), {"runs": len(silent)},
            f"{len(silent)} runs with a draft do not say what was accepted: whether their speed is possible "
            "cannot be told, nor whether the draft ran at all.",
            "Log drafted and accepted tokens of every run.",
        )  # fmt: skip
