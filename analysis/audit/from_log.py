"""Evidence from a foreign run log: one row a configuration and prompt, never a mean over prompts.

Room of a figure: from the kindest to the unkindest repeat, and 2 % on top, as a log of three repeats cannot show
more. Speedups that the log leaves empty are computed from the baseline of the same target and prompt; where there
is none, from the fastest to the slowest baseline of that target (and the audit says so).
"""

from __future__ import annotations

import pandas as pd

from analysis.audit.evidence import Evidence, PlainRow, Row, Span
from analysis.foreign import ForeignLog

SLACK = 0.02
ACCEPTANCE_ROUNDING = 0.0005
SETTING = ["prompt", "n_prompt_tokens"]
OTHER_FILE = 0.75
"""A draft may be another file of the model whose baseline is known, as Q8 instead of BF16: it may read down to
this share (1.2 of 1.5 GB for the published 0.8B)."""


def log_evidence(log: ForeignLog) -> Evidence:
    """Rows of every configuration that can be paired with a baseline, and the log for rules about its runs."""
    good = log.runs[(log.runs["status"] == "ok") & log.runs["ms_per_token"].notna()]
    baselines, speculative = good[good["gamma"] == 0], good[good["gamma"] > 0]
    rows = []
    for _, runs in speculative.groupby(["target", "draft", "gamma", *SETTING], sort=True, dropna=False):
        paired = paired_baselines(baselines, runs.iloc[0])
        if not paired.empty and runs["acceptance"].notna().any():
            rows.append(_row(runs, paired, own_speed(baselines, str(runs["draft"].iloc[0]))))
    plain = tuple(_plain(runs) for _, runs in baselines.groupby("target", sort=True))
    return Evidence(name=log.name, rows=tuple(rows), plain=plain, log=log.runs, problems=log.problems)


def paired_baselines(baselines: pd.DataFrame, run: pd.Series) -> pd.DataFrame:
    """Baselines of the run's target on its prompt; of all prompts where there are none on that one."""
    same_target: pd.DataFrame = baselines[baselines["target"] == run["target"]]
    on_prompt = same_target["prompt"] == run["prompt"]
    same = same_target[on_prompt & _equal(same_target["n_prompt_tokens"], run["n_prompt_tokens"])]
    return same_target if same.empty else same


def own_speed(baselines: pd.DataFrame, draft: str) -> Span | None:
    """T_D from a baseline of that very model, or of the same size (`draft-0.8b` and `dense-0.8b`); else None."""
    size = draft.partition("-")[2]
    for role, share in ((draft, 1.0), (f"dense-{size}", OTHER_FILE)):
        times = baselines.loc[baselines["target"] == role, "ms_per_token"]
        if not times.empty:
            span = _span(times)
            return Span(span.low * share, span.value, span.high)
    return None


def _equal(column: pd.Series, value: float) -> pd.Series:
    return column.isna() if pd.isna(value) else column == value


def _row(runs: pd.DataFrame, baselines: pd.DataFrame, draft_pass_ms: Span | None) -> Row:
    first = runs.iloc[0]
    gamma = int(first["gamma"])
    t1_ms, ms = _span(baselines["ms_per_token"]), _span(runs["ms_per_token"])
    alpha = Span(
        max(0.0, runs["acceptance"].min() - ACCEPTANCE_ROUNDING), runs["acceptance"].mean(),
        min(1.0, runs["acceptance"].max() + ACCEPTANCE_ROUNDING),
    )  # fmt: skip
    return Row(
        where=lines(runs), target=str(first["target"]), draft=str(first["draft"]), gamma=gamma,
        drafted=Span.exact(gamma), t1_ms=t1_ms, ms_per_token=ms, speedup=_speedup(runs, t1_ms, ms), alpha=alpha,
        tau=Span(1 + alpha.low * gamma, 1 + alpha.value * gamma, 1 + alpha.high * gamma),
        draft_pass_ms=draft_pass_ms, n_runs=len(runs), prompt=_prompt(first),
    )  # fmt: skip


def _speedup(runs: pd.DataFrame, t1_ms: Span, ms: Span) -> Span:
    given = runs["speedup"].dropna()
    if not given.empty:
        return _span(given)
    return Span(t1_ms.low / ms.high, t1_ms.value / ms.value, t1_ms.high / ms.low)


def _span(values: pd.Series) -> Span:
    return Span(values.min() * (1 - SLACK / 2), values.mean(), values.max() * (1 + SLACK / 2))


def _plain(runs: pd.DataFrame) -> PlainRow:
    target = str(runs["target"].iloc[0])
    return PlainRow(where=lines(runs), target=target, ms_per_token=_span(runs["ms_per_token"]))


def _prompt(run: pd.Series) -> str:
    if pd.isna(run["n_prompt_tokens"]):
        return str(run["prompt"])
    return f"{run['prompt']} ({run['n_prompt_tokens']:.0f})"


def lines(runs: pd.DataFrame) -> tuple[str, ...]:
    """`file:line` of each run."""
    return tuple(f"{file}:{line}" for file, line in zip(runs["file"], runs["line"], strict=True))
