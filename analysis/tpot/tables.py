"""The tables that `python -m analysis tpot` prints."""

from __future__ import annotations

from analysis.load import Study
from analysis.published import TpotNotebook
from analysis.render import Column, Document, Row, Table
from analysis.tpot.model import Pair
from analysis.tpot.notebook import Figure, Unit, figures, implied, inconsistencies, pair_of
from analysis.tpot.study import BestGamma, Configuration, best_gammas, n_left_out

_FIGURES = (
    Column("figure", "Figure"),
    Column("stated", "Notes"),
    Column("recomputed", "Recomputed"),
    Column("range", "What rounding allows"),
    Column("verdict", "Verdict"),
    Column("remark", "Remark"),
)
_BY_GAMMA = (
    Column("gamma", "K", "count"),
    Column("acceptance_length", "AL", "factor"),
    Column("expected_ms", "Expected TPOT (ms)", "ms"),
    Column("current_ms", "Current TPOT (ms)", "ms"),
)
_CONFIGURATIONS = (
    Column("suite", "Suite"),
    Column("target", "Target"),
    Column("draft", "Draft"),
    Column("gamma", "γ", "count"),
    Column("target_ms", "T_t (ms)", "ms"),
    Column("draft_ms", "T_d in place (ms)", "ms"),
    Column("draft_alone_ms", "T_d alone (ms)", "ms"),
    Column("implied_draft_ms", "T_d implied (ms)", "ms"),
    Column("cycle_ms", "ITL (ms)", "ms"),
    Column("acceptance_length", "AL", "factor"),
    Column("expected_ms", "Expected TPOT (ms)", "ms"),
    Column("tpot_ms", "Observed TPOT (ms)", "ms"),
    Column("expected_speedup", "Expected speedup", "ratio"),
    Column("speedup", "Observed speedup", "ratio"),
)
_BEST = (
    Column("suite", "Suite"),
    Column("target", "Target"),
    Column("draft", "Draft"),
    Column("best_observed", "Best γ with overhead", "count"),
    Column("observed_ms", "TPOT (ms)", "ms"),
    Column("possible", "Not ruled out"),
    Column("best_expected", "Best γ without", "count"),
    Column("expected_ms", "TPOT (ms)", "ms"),
    Column("gain", "Gain without overhead", "share"),
)
_EXPECTED = (
    "Expected TPOT = (K·T_d + T_t)/AL with K the tokens really drafted per cycle, and T_d of the draft alone "
    "where the study ran the same file as a target, else in place."
)
_IMPLIED = (
    "T_d implied is what the draft would have to take if verifying K + 1 tokens cost no more than a plain step; "
    "what it exceeds T_d in place by is verification, rollback and sampling, not the draft."
)


def notebook_document(notes: TpotNotebook) -> Document:
    """Seed 001 recomputed."""
    rows = tuple(_figure_row(figure) for figure in figures(notes))
    by_gamma = tuple(_by_gamma(pair_of(notes), notes.constants.draft_tpot_ms, implied(notes)))
    return Document(
        "Seed 001: time per output token under SD",
        (
            Table("figures", f"{notes.models.draft} drafts for {notes.models.target}", _FIGURES, rows),
            Table("by-gamma", "Expected (draft alone) and current (implied draft) over K", _BY_GAMMA, by_gamma),
        ),
        inconsistencies(notes),
    )


def study_document(study: Study, rows: tuple[Configuration, ...]) -> Document:
    """Every configuration of a study, and the best γ of each target and draft."""
    n_left = n_left_out(study)
    why = "another output than the baseline's, or times that do not add up"
    left_out = (f"{n_left} runs left out: {why}.",) if n_left else ()
    best = tuple(_best_row(entry) for entry in best_gammas(rows))
    return Document(
        study.name,
        (
            Table(
                "tpot", "Time per output token", _CONFIGURATIONS, tuple(_configuration_row(r) for r in rows),
                (_EXPECTED, _IMPLIED),
            ),
            Table("best-gamma", "Best γ", _BEST, best),
        ),
        left_out,
    )  # fmt: skip


def _figure_row(figure: Figure) -> Row:
    stated = " to ".join(_as_printed(value, figure.unit) for value in figure.stated)
    return {
        "figure": figure.name,
        "stated": stated or None,
        "recomputed": _shown(figure.value, figure.unit),
        "range": f"{_shown(figure.low, figure.unit)} to {_shown(figure.high, figure.unit)}",
        "verdict": figure.verdict,
        "remark": figure.remark,
    }


def _shown(value: float, unit: Unit) -> str:
    forms = {"ms": f"{value:.2f} ms", "x": f"{value:.2f}×", "share": f"{value:.1%}", "tokens": f"{value:.0f}"}
    return forms[unit]


def _as_printed(value: float, unit: Unit) -> str:
    return f"{value:.0%}" if unit == "share" else _shown(value, unit)


def _by_gamma(pair: Pair, alone_ms: float, implied_ms: float) -> list[Row]:
    columns = pair.gammas, pair.acceptance_lengths, pair.tpots_ms(alone_ms), pair.tpots_ms(implied_ms)
    return [
        {"gamma": gamma, "acceptance_length": length, "expected_ms": expected, "current_ms": current}
        for gamma, length, expected, current in zip(*columns, strict=True)
    ]


def _configuration_row(row: Configuration) -> Row:
    return {
        "suite": row.suite,
        "target": row.target,
        "draft": row.draft,
        "gamma": row.gamma,
        "target_ms": row.target_ms,
        "draft_ms": row.draft_ms.point,
        "draft_alone_ms": row.draft_alone_ms,
        "implied_draft_ms": row.implied_draft_ms,
        "cycle_ms": row.cycle_ms.point,
        "acceptance_length": row.acceptance_length,
        "expected_ms": row.expected_tpot_ms,
        "tpot_ms": row.tpot_ms,
        "expected_speedup": row.expected_speedup,
        "speedup": row.speedup,
    }


def _best_row(best: BestGamma) -> Row:
    return {
        "suite": best.suite,
        "target": best.target,
        "draft": best.draft,
        "best_observed": best.observed.gamma,
        "observed_ms": best.observed.tpot_ms,
        "possible": ", ".join(map(str, best.possible)),
        "best_expected": best.expected.gamma,
        "expected_ms": best.expected.tpot_ms,
        "gain": best.observed.tpot_ms / best.expected.tpot_ms - 1.0,
    }
