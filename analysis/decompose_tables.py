"""Decompositions as tables, and the bounds that stand in where a source has no timings."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.configurations import configurations
from analysis.controls import controls_tables
from analysis.decompose import Contributions, Counterfactuals, Decomposition, decompose_one
from analysis.load import Study
from analysis.published import PublishedStudy, SpeculativeRow, published_study
from analysis.render import Column, Document, Row, Table, Value
from analysis.tables import named, study_notes, table
from runner.errors import DataError

_WHAT = (
    Column("suite", "Suite"),
    Column("target", "Target"),
    Column("draft", "Draft"),
    Column("gamma", "γ", "count"),
)
_PARTS = (
    Column("speedup", "S", "ratio"), Column("tau", "τ", "factor"), Column("alpha", "α", "share"),
    Column("v", "v", "factor"), Column("d", "d", "factor"), Column("o", "o", "factor"),
)  # fmt: skip
_CONTRIBUTIONS = (
    Column("width", "Width -ln(γ+1)", "factor"), Column("amortization", "Amortization", "difference"),
    Column("acceptance", "Acceptance", "difference"), Column("drafting", "Drafting + overhead", "difference"),
    Column("sum", "Sum = ln S", "difference"),
)  # fmt: skip
_COUNTERFACTUALS = (
    Column("speedup", "Measured", "ratio"), Column("nothing_accepted", "Nothing accepted", "ratio"),
    Column("everything_accepted", "Everything accepted", "ratio"),
    Column("free_drafting", "Free drafting", "ratio"), Column("no_amortization", "No amortization", "ratio"),
)  # fmt: skip
_FIT = (
    Column("agreement", "p per token", "share"), Column("n_cycles", "Full cycles", "count"),
    Column("measured_tau", "τ measured", "factor"), Column("model_tau", "τ of the model", "factor"),
    Column("total_variation", "Total variation", "share"), Column("p_value", "p-value (G-test)", "p"),
)  # fmt: skip
_BOUNDS = (
    Column("speedup", "S claimed", "ratio"), Column("alpha", "α", "share"), Column("tau", "τ at most", "factor"),
    Column("cycle_ms", "Cycle implied, ms", "ms"), Column("target_ms", "One target pass, ms", "ms"),
    Column("draft_ms", "γ draft passes, ms", "ms"), Column("ceiling", "S at most", "ratio"),
    Column("excess", "Claimed / possible", "factor"),
)  # fmt: skip
_WIDTH_NOTE = (
    "Shapley values; a negative one slows down. Width: what a cycle of γ+1 tokens costs without amortization, "
    "acceptance and drafting; perfect amortization pays back exactly that."
)
_BOUNDS_NOTE = (
    "τ is 1 + αγ where every cycle drafts γ. Cycle implied: τ times ms per token. S at most: τ / (1 + γ·T_D/t₁), "
    "T_D from the draft's own baseline, verification at the price of one token."
)


def decompose_document(study: Study) -> Document:
    """Why each speedup of a study is what it is. Raises DataError when there is nothing to explain."""
    found = configurations(study)
    if not found:
        raise DataError(f"{study.name}: holds no speculative run; decompose needs a suite with a draft")
    explained = [decompose_one(study, one) for one in found]
    return Document(
        study.name, (*decomposition_tables(explained), *controls_tables(study, found)), study_notes(study, found)
    )


def decomposition_tables(explained: Sequence[Decomposition]) -> tuple[Table, ...]:
    """Parts, contributions, counterfactuals, acceptance by position, histogram, and the geometric fit."""
    return (
        table("parts", "S = τ / (v + d + o)", (*_WHAT, *_PARTS), [_parts(one) for one in explained]),
        Table(
            "contributions", "Contributions to ln S", (*_WHAT, *_CONTRIBUTIONS),
            tuple(named([_contributions(one) for one in explained])), (_WIDTH_NOTE,),
        ),
        table("counterfactuals", "What if", (*_WHAT, *_COUNTERFACTUALS), [_otherwise(one) for one in explained]),
        table("positions", "Acceptance by position, given all before", (*_WHAT, *_places(explained)),
              [_positions(one) for one in explained]),
        table("histogram", "Cycles by accepted tokens", (*_WHAT, *_counts(explained)),
              [_histogram(one) for one in explained]),
        table("geometric", "Does one chance per token explain it?", (*_WHAT, *_FIT),
              [_fit(one) for one in explained]),
    )  # fmt: skip


def published_bounds() -> Document:
    """What the published figures allow: without timings there is no decomposition, only bounds."""
    study = published_study()
    rows = [_bounds(study, row) for row in study.distinct_rows()]
    columns = (*(column for column in _WHAT if column.key != "suite"), *_BOUNDS)
    bounds = table("bounds", "What acceptance and drafting allow", columns, rows)
    return Document(f"{study.source.author} {study.source.year}", (bounds,), (_BOUNDS_NOTE,))


def _what(one: Decomposition) -> dict[str, Value]:
    configuration = one.configuration
    return {key: getattr(configuration, key) for key in ("suite", "target", "draft", "gamma")}


def _parts(one: Decomposition) -> Row:
    return {**_what(one), **{column.key: getattr(one, column.key) for column in _PARTS}}


def _contributions(one: Decomposition) -> Row:
    parts = {name: one.contributions.get(name) for name in Contributions._fields}
    width = parts["width"]
    total = sum(part.point for part in one.contributions.values()) if one.contributions else None
    return {**_what(one), **parts, "width": width.point if width else None, "sum": total}


def _otherwise(one: Decomposition) -> Row:
    values = {name: one.counterfactuals.get(name) for name in Counterfactuals._fields}
    return {**_what(one), "speedup": one.speedup, **values}


def _places(explained: Sequence[Decomposition]) -> list[Column]:
    longest = max((len(one.acceptance.positions) for one in explained), default=0)
    return [Column(f"position_{place}", f"{place}", "brief") for place in range(1, longest + 1)]


def _positions(one: Decomposition) -> Row:
    return {**_what(one), **{f"position_{place.position}": place.rate for place in one.acceptance.positions}}


def _counts(explained: Sequence[Decomposition]) -> list[Column]:
    longest = max((len(one.acceptance.histogram) for one in explained), default=0)
    return [Column(f"accepted_{k}", f"{k}", "count") for k in range(longest)]


def _histogram(one: Decomposition) -> Row:
    return {**_what(one), **{f"accepted_{k}": count for k, count in enumerate(one.acceptance.histogram)}}


def _fit(one: Decomposition) -> Row:
    fit = one.acceptance.geometric
    if fit is None:
        return _what(one)
    return {
        **_what(one), "agreement": fit.agreement, "n_cycles": fit.n_cycles, "measured_tau": fit.measured_tau,
        "model_tau": fit.tau, "total_variation": fit.total_variation, "p_value": fit.p_value,
    }  # fmt: skip


def _bounds(study: PublishedStudy, row: SpeculativeRow) -> Row:
    target_ms = study.baseline(row.target).ms_per_token
    draft_ms = row.gamma * study.baseline(row.draft.replace("draft-", "dense-")).ms_per_token
    tau = 1 + row.acceptance * row.gamma
    ceiling = tau / (1 + draft_ms / target_ms)
    return {
        "target": row.target, "draft": row.draft, "gamma": row.gamma, "speedup": row.speedup,
        "alpha": row.acceptance, "tau": tau, "cycle_ms": tau * target_ms / row.speedup, "target_ms": target_ms,
        "draft_ms": draft_ms, "ceiling": ceiling, "excess": row.speedup / ceiling,
    }  # fmt: skip
