"""The tables that `python -m analysis moesd` prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from analysis.moesd.bootstrap import LEVEL, Refits
from analysis.moesd.facts import Facts
from analysis.moesd.fit import Fit, half_sse, plain_seconds, rmse
from analysis.moesd.grid import Grid
from analysis.moesd.identify import scale_is_free, standings
from analysis.moesd.predict import Curve, Setting, Span, near_peak, paying, saturated_at
from analysis.moesd.strides import StrideRow
from analysis.moesd.theory import FloatArray
from analysis.moesd.times import target_efficiency
from analysis.render import Column, Document, Row, Table

_ERROR = (
    "Error is half the sum of squares over all points, in squared speedup units: what line 13 of Algorithm 1 "
    "minimises over the fitted points, and what the appendix's table calls MSE."
)
_RATIOS = "Speedups are ratios: every time below has the scale that a bound gave it, none is a measurement."
_STRIDES = (
    Column("m", "m", "count"),
    Column("stride", "Stride", "count"),
    Column("published", "Error, published", "p"),
    Column("error", "Error", "p"),
    Column("held_out_rmse", "RMSE, held out", "p"),
    Column("batch_sizes", "Batch sizes involved"),
)
_SUMMARY = (
    Column("m", "Fitted", "count"),
    Column("n", "Points", "count"),
    Column("error", "Error", "p"),
    Column("rmse", "RMSE, all", "p"),
    Column("fitted_rmse", "RMSE, fitted", "p"),
    Column("held_out_rmse", "RMSE, held out", "p"),
    Column("inside", "Held out inside interval", "share"),
    Column("efficiency_rmse", "RMSE, target efficiency", "p"),
    Column("same_end", "Starts at this end"),
    Column("seconds", "Seconds", "p"),
    Column("plain", "In plain single-start fits", "factor"),
)
_PARAMETERS = (
    Column("name", "Parameter"),
    Column("value", "Value"),
    Column("low", "Least"),
    Column("high", "Greatest"),
    Column("relative_error", "Relative error", "factor"),
    Column("verdict", "Verdict"),
)
_POINTS = (
    Column("K", "K", "count"),
    Column("gamma", "γ", "count"),
    Column("B", "B", "count"),
    Column("fitted", "Fitted"),
    Column("measured", "Measured", "p"),
    Column("modelled", "Modelled", "p"),
    Column("low", "Low", "p"),
    Column("high", "High", "p"),
)
_CURVE = (
    Column("B", "B", "count"),
    Column("verify_ratio", "v", "factor"),
    Column("target_efficiency", "Target efficiency", "p"),
    Column("draft_ratio", "Drafting", "factor"),
    Column("reject_ratio", "Rejection", "factor"),
    Column("speedup", "Speedup", "ratio"),
    Column("low", "Low", "ratio"),
    Column("high", "High", "ratio"),
    Column("dense_active", "Dense, active size", "ratio"),
    Column("dense_total", "Dense, total size", "ratio"),
)
_SPANS = (
    Column("target", "Target"),
    Column("peak", "Peak speedup", "ratio"),
    Column("peak_at", "at B", "count"),
    Column("pays", "Speedup over 1"),
    Column("near_peak", "Over peak/√2"),
)


def strides_document(source: str, rows: Sequence[StrideRow], facts: Facts) -> Document:
    """Table 1 of the appendix, the published error beside ours."""
    compared = [row for row in rows if row.published is not None]
    notes = [_ERROR, *_judged(compared)]
    if facts.rejection is not None and compared:
        notes.append(f"T_rej is not published; {facts.rejection.max_ms} ms is taken. docs/moesd.md shows others.")
    return Document(
        source,
        (Table("strides", "Fits to every n-th point", _STRIDES, tuple(map(_stride_row, rows))),),
        tuple(notes),
    )


def _judged(rows: Sequence[StrideRow]) -> Iterator[str]:
    if rows:
        good = sum(row.error <= row.published for row in rows if row.published is not None)
        worst = max(rows, key=lambda row: row.error)
        yield f"At or below the published error: {good} of {len(rows)} rows. Largest at m = {worst.n_fitted}."


def _stride_row(row: StrideRow) -> Row:
    return {
        "m": row.n_fitted,
        "stride": row.stride,
        "published": row.published,
        "error": row.error,
        "held_out_rmse": row.held_out_rmse,
        "batch_sizes": " ".join(map(str, row.batch_sizes)),
    }


def fit_document(source: str, row: StrideRow, grid: Grid, facts: Facts, refits: Refits | None) -> Document:
    """A fit, its parameters, and every point beside what the fit says. `refits` None: no interval can be had."""
    notes = [_ERROR, _RATIOS]
    if scale_is_free(row.fit):
        notes.append("No bound holds any time: all eight are known up to one common factor only.")
    if refits is None:
        notes.append("As many free parameters as points: no interval can be had. Fit more points.")
    return Document(
        source,
        (
            Table("fit", "Fit", _SUMMARY, (_summary_row(row, grid, facts, refits),)),
            Table("parameters", "Parameters", _PARAMETERS, tuple(_parameter_rows(row.fit))),
            Table("points", "Points", _POINTS, tuple(_point_rows(row, grid, refits))),
        ),
        tuple(notes),
    )


def _summary_row(row: StrideRow, grid: Grid, facts: Facts, refits: Refits | None) -> Row:
    fit = row.fit
    held_out = np.arange(len(grid)) % row.stride != 0
    low, high = _interval(grid, refits)
    inside = (grid.speedup >= low) & (grid.speedup <= high)
    return {
        "m": row.n_fitted,
        "n": len(grid),
        "error": half_sse(fit.residuals(grid)),
        "rmse": rmse(fit.residuals(grid)),
        "fitted_rmse": rmse(fit.residuals(fit.grid)),
        "held_out_rmse": row.held_out_rmse,
        "inside": float(inside[held_out].mean()) if refits is not None and held_out.any() else None,
        "efficiency_rmse": _efficiency_rmse(fit, grid, facts),
        "same_end": f"{fit.n_same_end}/{fit.n_starts}",
        "seconds": fit.seconds,
        "plain": fit.seconds / plain_seconds(fit.grid, fit.bounds, fit.ridge_tokens),
    }


def _efficiency_rmse(fit: Fit, grid: Grid, facts: Facts) -> float | None:
    measured = grid.target_efficiency(facts)
    if measured is None:
        return None
    return rmse(target_efficiency(fit.parameters, grid.points, fit.ridge_tokens) - measured)


def _interval(grid: Grid, refits: Refits | None) -> tuple[FloatArray, FloatArray]:
    unknown = np.full(len(grid), np.nan)
    return (unknown, unknown) if refits is None else refits.interval(grid.points)


def _parameter_rows(fit: Fit) -> Iterator[Row]:
    for standing in standings(fit):
        yield {
            "name": standing.name,
            "value": standing.value,
            "low": standing.low,
            "high": standing.high,
            "relative_error": standing.relative_error,
            "verdict": standing.verdict,
        }


def _point_rows(row: StrideRow, grid: Grid, refits: Refits | None) -> Iterator[Row]:
    low, high = _interval(grid, refits)
    modelled = row.fit.speedup(grid.points)
    for i, key in enumerate(grid.frame[["K", "gamma", "B"]].astype(int).itertuples(index=False)):
        yield {
            "K": int(key[0]),
            "gamma": int(key[1]),
            "B": int(key[2]),
            "fitted": i % row.stride == 0,
            "measured": float(grid.speedup[i]),
            "modelled": float(modelled[i]),
            "low": float(low[i]),
            "high": float(high[i]),
        }


def predict_document(source: str, setting: Setting, curve: Curve, shown: Sequence[int], assumed: str) -> Document:
    """Speedup over batch size, and the ranges in which SD pays. `shown`: positions; `assumed`: a note or ""."""
    title = (
        f"{setting.used} of {setting.experts} experts, γ = {setting.gamma}, α = {setting.alpha:g} "
        f"(σ = {setting.sigma:.3f})"
    )
    targets = (
        ("mixture", curve.speedup),
        ("dense, active size", curve.dense_active),
        ("dense, total size", curve.dense_total),
    )
    notes = (
        f"A plain step is expected to load 95 % of the experts from B = {saturated_at(setting)} (Eq. 9).",
        "v, drafting and rejection are in units of one plain step; target efficiency is 1/v.",
        f"Low and high hold a new measurement with chance {LEVEL:.0%}.",
        *filter(None, [assumed]),
    )
    return Document(
        source,
        (
            Table("where-it-pays", title, _SPANS, tuple(_spans_row(n, curve.batch, s) for n, s in targets)),
            Table("curve", "Over batch size", _CURVE, tuple(_curve_row(curve, i) for i in shown)),
        ),
        notes,
    )


def _spans_row(name: str, batch: FloatArray, speedups: FloatArray) -> Row:
    peak = int(speedups.argmax())
    return {
        "target": name,
        "peak": float(speedups[peak]),
        "peak_at": int(batch[peak]),
        "pays": _spans(paying(batch, speedups)),
        "near_peak": _spans(near_peak(batch, speedups)),
    }


def _spans(spans: tuple[Span, ...]) -> str:
    return ", ".join(f"B {span.first} to {span.last}" for span in spans) or "nowhere"


def _curve_row(curve: Curve, i: int) -> Row:
    names = [name for name in curve.__dataclass_fields__ if name != "batch"]
    return {"B": int(curve.batch[i]), **{name: float(getattr(curve, name)[i]) for name in names}}
