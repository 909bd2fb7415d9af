"""The phantom beside the honest run of the same cell (suite `phantom`).

Marked runs never enter any other table. Here they are read as the tools behind two published artefacts would have
reported them: one ignored every failure and printed a speedup at hardly any acceptance (seed 003), the other
counted only fully accepted drafts and printed 100 % (facts/llamacpp.md, A6).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

import numpy as np
import pandas as pd

from analysis.accounting import COMPARISON, pairs, with_rates
from analysis.load import Study
from analysis.render import Column, Document, Row, Table
from analysis.stats import Estimate, ratios
from runner.errors import DataError
from runner.record import UncheckedCounts

SUITE = "phantom"
PHANTOM = "phantom"


def phantom_runs(study: Study) -> pd.DataFrame:
    """Completed marked runs with their rates and the t1_ms of their comparison's honest baseline."""
    runs = study.runs
    marked = with_rates(runs[(runs["mark"] == PHANTOM) & (runs["status"] == "ok") & ~runs["superseded"]])
    honest = pairs(study).drop_duplicates(list(COMPARISON))[[*COMPARISON, "t1_ms"]]
    return marked.reset_index(names="row").merge(honest, on=list(COMPARISON)).set_index("row")


def phantom_document(study: Study) -> Document:
    """The table of the suite. Raises DataError when it was not run."""
    marked = phantom_runs(study)
    if marked.empty:
        raise DataError(f"{study.name}: no phantom was run; run `python -m runner suite {SUITE}`")
    honest = pairs(study)
    honest = honest[(honest["suite"] == SUITE) & (honest["draft"] == honest["pair_draft"])]
    rows = tuple(_rows(study, marked, honest))
    return Document(study.name, (_as_printed(rows), _what_happened(rows)))


def _rows(study: Study, marked: pd.DataFrame, honest: pd.DataFrame) -> Iterator[Row]:
    key = ["target", "pair_draft", "gamma"]
    for _, group in marked.groupby(key, sort=True):
        target, draft, gamma = group[key].iloc[0]
        same = honest[(honest["target"] == target) & (honest["pair_draft"] == draft) & (honest["gamma"] == gamma)]
        counts = _counts(group)
        tokens = float(group["n_tokens"].sum())
        yield {
            "target": str(target),
            "draft": str(draft),
            "gamma": int(gamma),
            "phantom_alpha": _share(group),
            "phantom_speedup": _speedup(group["t1_ms"] / group["ms_per_token"], group),
            "honest_alpha": _share(same),
            "honest_tau": float(same["emitted_tokens"].sum() / same["n_cycles"].sum()),
            "honest_speedup": _speedup(same["speedup"], same),
            "only_full_alpha": fully_accepted_share(study, list(same.index)),
            "failed_target": counts.failed_target_passes,
            "failed_draft": counts.failed_draft_passes,
            "refused": counts.refused_rollbacks,
            "target_per_token": counts.target_passes / tokens,
            "draft_per_token": counts.draft_passes / tokens,
            "repeats": repeated_tokens(study, list(group.index)),
        }


def _counts(group: pd.DataFrame) -> UncheckedCounts:
    found: list[UncheckedCounts] = list(group["unchecked"])
    names = UncheckedCounts.__struct_fields__
    return UncheckedCounts(**{name: sum(getattr(each, name) for each in found) for name in names})


def _share(runs: pd.DataFrame) -> float:
    return float(runs["accepted_tokens"].sum() / runs["drafted_tokens"].sum())


def _speedup(speedups: pd.Series[float], runs: pd.DataFrame) -> Estimate:
    return ratios(np.log(speedups.to_numpy(float)), list(runs["prompt"]))


def fully_accepted_share(study: Study, rows: list[int]) -> float | None:
    """Acceptance when partly rejected drafts are not counted: 1 whenever anything was fully accepted."""
    drafted = accepted = 0
    for row in rows:
        arrays = study.arrays[row]
        full = (arrays.accepted == arrays.drafted) & (arrays.drafted > 0)
        drafted += int(arrays.drafted[full].sum())
        accepted += int(arrays.accepted[full].sum())
    return accepted / drafted if drafted else None


def repeated_tokens(study: Study, rows: list[int]) -> float:
    """Median length of the stretches of one repeated token in the outputs."""
    lengths = [len(list(same)) for row in rows for _, same in groupby(study.arrays[row].tokens.tolist())]
    return float(np.median(lengths))


_CELL = (Column("target", "Target"), Column("draft", "Draft"), Column("gamma", "γ", "count"))


def _as_printed(rows: tuple[Row, ...]) -> Table:
    columns = (
        *_CELL,
        Column("phantom_alpha", "α printed by the unchecked loop", "share"),
        Column("phantom_speedup", "its “speedup”", "ratio"),
        Column("honest_alpha", "α, honest", "share"),
        Column("honest_tau", "τ, honest", "factor"),
        Column("honest_speedup", "S, honest", "ratio"),
        Column("only_full_alpha", "α if only full drafts count", "share"),
    )
    notes = ("Both loops ran the same models on the same prompts in the same blocks.",)
    return Table("phantom", "The phantom beside the honest run", columns, rows, notes)


def _what_happened(rows: tuple[Row, ...]) -> Table:
    columns = (
        *_CELL,
        Column("failed_target", "failed target passes", "count"),
        Column("failed_draft", "failed draft passes", "count"),
        Column("refused", "refused rollbacks", "count"),
        Column("target_per_token", "target passes per token", "factor"),
        Column("draft_per_token", "draft passes per token", "factor"),
        Column("repeats", "each token repeated", "count"),
    )
    notes = ("Summed over runs. A failed pass computes nothing; the loop samples the last good logits.",)
    return Table("phantom-passes", "What the unchecked loop really did", columns, rows, notes)
