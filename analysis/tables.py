"""The four tables of the published study, in its layout: from a study, a foreign log, or the published figures.

Columns that the source is silent about are left out; what it counts on top (τ, verdicts, failures) stands on the
right. A study that counted energy has a fifth table. Layout: seed 003.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from analysis.configurations import Configuration, configurations, doubts
from analysis.energy import NOTE, energy_rows
from analysis.foreign import ForeignLog
from analysis.foreign_summary import foreign_baseline_rows, foreign_rows
from analysis.load import Study
from analysis.published import PublishedStudy, published_study
from analysis.render import Column, Document, Row, Table, Value
from analysis.summary import (
    baseline_rows,
    draft_rows,
    label,
    published_baseline_rows,
    published_rows,
    side_by_side,
    speculative_rows,
    sweep_rows,
)
from runner.errors import DataError

_BASELINE = (
    Column("model", "Model"), Column("suite", "Suite"), Column("active_parameters", "Active", "parameters"),
    Column("total_parameters", "Total", "parameters"), Column("tok_s", "tok/s", "speed"),
    Column("read_bytes_per_s", "Weights read", "rate"), Column("mj_per_token", "mJ/token", "mj"),
    Column("n_runs", "Runs", "count"), Column("n_failed", "Failed", "count"),
)  # fmt: skip
_FIGURES = (
    Column("tok_s", "tok/s", "speed"), Column("speedup", "Speedup", "ratio"),
    Column("acceptance", "Acceptance α", "share"), Column("tau", "τ", "factor"),
)  # fmt: skip
_COUNTS = (
    Column("n_runs", "Runs", "count"), Column("n_identical", "Identical", "count"),
    Column("n_near_ties", "Near-tie", "count"), Column("n_broken", "Broken", "count"),
    Column("n_failed", "Failed", "count"),
)  # fmt: skip
_WHAT = (
    Column("suite", "Suite"),
    Column("target", "Target"),
    Column("draft", "Draft"),
    Column("gamma", "γ", "count"),
)
_LENGTH = (
    Column("n_prompt_tokens", "Prompt tokens", "count"),
    Column("baseline_tok_s", "Baseline tok/s", "speed"),
)
_ENERGY = (
    Column("mj_per_token", "mJ/token", "mj"), Column("cpu_mj_per_token", "of it CPU", "mj"),
    Column("gpu_mj_per_token", "of it GPU", "mj"), Column("dram_mj_per_token", "of it memory", "mj"),
    Column("ane_mj_per_token", "of it neural engine", "mj"),
    Column("baseline_mj_per_token", "Baseline mJ/token", "mj"), Column("energy_ratio", "Over baseline", "ratio"),
    Column("n_runs", "Runs", "count"),
)  # fmt: skip
SYNTHETIC_NOTE = "This family measures llama.cpp on this machine, not Qwen3.5: its models are built, not trained."


def study_tables(study: Study) -> Document:
    """All tables of a study. Raises DataError when it holds no run, or runs that must not be averaged."""
    if study.runs.empty:
        raise DataError(f"{study.name}: holds no run that can be read; run a suite into it first")
    found = configurations(study)
    tables = (
        _baselines(baseline_rows(study)),
        _speculative(speculative_rows(found)),
        _drafts(draft_rows(found)),
        _sweep(sweep_rows(study, found)),
        _energy(energy_rows(study, found)),
    )
    return Document(study.name, tuple(one for one in tables if one.rows), study_notes(study, found))


def published_tables() -> Document:
    """Seed 003's tables, recomputed from nothing: the figures as they were printed."""
    study = published_study()
    tables = (
        _baselines(published_baseline_rows(study)),
        _speculative(published_rows(study.speculative)),
        _drafts(_published_drafts(study)),
    )
    source = f"{study.source.title} ({study.source.author}, {study.source.year})"
    return Document(source, tables, ("As printed; `audit published` says which of these figures cannot be.",))


def foreign_tables(log: ForeignLog) -> Document:
    """The tables that a foreign log has figures for."""
    rows, notes = foreign_rows(log)
    tables = (_baselines(foreign_baseline_rows(log)), _speculative(rows), _drafts(_side_by_side(rows)))
    return Document(log.name, tuple(one for one in tables if one.rows), (*notes, *log.problems))


def study_notes(study: Study, found: Sequence[Configuration]) -> tuple[str, ...]:
    """What a reader of any table of the study must know: doubts about runs, unreadable lines, and the family."""
    notes = [caveat.text for caveat in doubts(found)]
    if study.notes:
        notes.append(f"Lines of the run log that cannot be read: {len(study.notes)}; `audit` names them.")
    if study.manifest.family == "synthetic":
        notes.append(SYNTHETIC_NOTE)
    return tuple(notes)


def named(rows: Sequence[Row]) -> list[dict[str, Value]]:
    """Rows with the roles of target, draft and winner spelled as tables do."""
    return [
        {
            key: label(str(value)) if key in {"target", "draft", "winner"} and value else value
            for key, value in row.items()
        }
        for row in rows
    ]


def table(name: str, title: str, columns: Sequence[Column], rows: Sequence[Row]) -> Table:
    """A table without the columns that no row fills."""
    filled = [column for column in columns if any(row.get(column.key) is not None for row in rows)]
    return Table(name, title, tuple(filled), tuple(named(rows)))


def _baselines(rows: Sequence[Row]) -> Table:
    several = len({row.get("suite") for row in rows}) > 1 and _repeats(rows, ("role",))
    return table(
        "baseline", "Baseline: plain decoding", _BASELINE if several else _without(_BASELINE, "suite"), rows
    )


def _speculative(rows: Sequence[Row]) -> Table:
    shown = _main_drafts(rows)
    what = _WHAT if _repeats(shown, ("target", "draft", "gamma")) else _without(_WHAT, "suite")
    return table("speculative", "Speculative decoding", (*what, *_FIGURES, *_COUNTS), shown)


def _main_drafts(rows: Sequence[Row]) -> list[Row]:
    """Per target the rows of one draft: the one that most rows share, where the target has it, else its first."""
    served = Counter(row["draft"] for row in rows)
    first: dict[tuple[Value, Value], Value] = {}
    for row in sorted(rows, key=lambda row: -served[row["draft"]]):
        first.setdefault((row.get("suite"), row["target"]), row["draft"])
    return [row for row in rows if row["draft"] == first[row.get("suite"), row["target"]]]


def _drafts(rows: Sequence[Row]) -> Table:
    roles = list(
        dict.fromkeys(key.removeprefix("speedup_") for row in rows for key in row if key.startswith("speedup_"))
    )
    columns = [*_without(_WHAT, "draft", "suite")]
    for role in roles:
        columns += [
            Column(f"speedup_{role}", f"{label(role)}: speedup", "ratio"),
            Column(f"acceptance_{role}", f"{label(role)}: α", "share"),
        ]
    columns += [Column("winner", "Winner"), Column("advantage", "Best over second", "ratio")]
    return table("drafts", "Comparison of drafts", columns, rows)


def _published_drafts(study: PublishedStudy) -> list[Row]:
    winners: dict[tuple[Value, Value], Value] = {
        (row.target, row.gamma): row.draft for row in study.draft_comparison if row.winner
    }
    rows = _side_by_side(published_rows(study.draft_comparison))
    return [{**row, "winner": winners.get((row["target"], row["gamma"]))} for row in rows]


def _side_by_side(rows: Sequence[Row]) -> list[Row]:
    groups: dict[tuple[Value, Value], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["target"], row["gamma"]), []).append(row)
    return [side_by_side(group) for group in groups.values() if len(group) > 1]


def _sweep(rows: Sequence[Row]) -> Table:
    what = _without(_WHAT, "suite")
    return table(
        "prompt-sweep", "Prompt length", (*what, *_LENGTH, *_FIGURES, *_without(_COUNTS, "n_runs")), rows
    )


def _energy(rows: Sequence[Row]) -> Table:
    what = _WHAT if _repeats(rows, ("target", "draft", "gamma")) else _without(_WHAT, "suite")
    return replace(table("energy", "Energy per token", (*what, *_ENERGY), rows), notes=(NOTE,))


def _repeats(rows: Sequence[Row], keys: Sequence[str]) -> bool:
    return max(Counter(tuple(row.get(key) for key in keys) for row in rows).values(), default=0) > 1


def _without(columns: Sequence[Column], *keys: str) -> tuple[Column, ...]:
    return tuple(column for column in columns if column.key not in keys)
