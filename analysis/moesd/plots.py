"""Panels of measured and modelled speedup over batch size, one for each K and γ, and the prediction curve."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.moesd.bootstrap import Refits
from analysis.moesd.facts import Facts
from analysis.moesd.fit import Fit
from analysis.moesd.grid import Grid, points_of
from analysis.moesd.predict import NEAR_PEAK, PAYS, Curve
from analysis.moesd.theory import FloatArray
from analysis.moesd.times import Points

PANEL_INCHES = (3.4, 2.5)


def strides_figure(grid: Grid, facts: Facts, fits: Sequence[Fit]) -> Figure:
    """Points of every panel with the curve of each fit, coloured by how many points it saw."""
    figure = Figure(layout="constrained")
    colours = mpl.colormaps["viridis"](np.linspace(0.0, 0.9, len(fits)))
    for axis, panel in _panels(figure, grid):
        batch, points = _line(panel, facts)
        for fit, colour in zip(fits, colours, strict=True):
            axis.plot(batch, fit.speedup(points), color=colour, linewidth=1, label=f"m = {len(fit.grid)}")
        _measured(axis, panel)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", fontsize="small")
    return figure


def fit_figure(grid: Grid, facts: Facts, fit: Fit, refits: Refits | None) -> Figure:
    """Points of every panel with one fit and, where there are refits, its prediction interval."""
    figure = Figure(layout="constrained")
    for axis, panel in _panels(figure, grid):
        batch, points = _line(panel, facts)
        axis.plot(batch, fit.speedup(points), color="C3", label="modelled")
        if refits is not None:
            axis.fill_between(batch, *refits.interval(points), color="C3", alpha=0.15, linewidth=0)
        _measured(axis, panel)
    figure.axes[0].legend(fontsize="small")
    return figure


def predict_figure(title: str, curve: Curve) -> Figure:
    """The mixture with its interval and both dense targets on the same axes."""
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axis = figure.subplots()
    axis.fill_between(curve.batch, curve.low, curve.high, color="C0", alpha=0.15, linewidth=0)
    axis.plot(curve.batch, curve.speedup, color="C0", label="mixture")
    axis.plot(curve.batch, curve.dense_active, "--", color="C1", label="dense, active size")
    axis.plot(curve.batch, curve.dense_total, ":", color="C2", label="dense, total size")
    axis.axhline(PAYS, color="black", linewidth=0.8)
    axis.axhline(NEAR_PEAK * curve.speedup.max(), color="C0", linewidth=0.8, linestyle="-.", label="peak/√2")
    axis.set(title=title, xlabel="batch size (B)", ylabel="speedup")
    axis.legend()
    return figure


def _panels(figure: Figure, grid: Grid) -> Iterable[tuple[Axes, Grid]]:
    """An axis for each K (down) and γ (across) that the grid has."""
    used, gammas = (sorted(set(grid.frame[name].astype(int))) for name in ("K", "gamma"))
    figure.set_size_inches(PANEL_INCHES[0] * len(gammas) + 1.2, PANEL_INCHES[1] * len(used))
    axes = figure.subplots(len(used), len(gammas), squeeze=False)
    for (row, column), axis in np.ndenumerate(axes):
        chosen = (grid.frame["K"] == used[row]) & (grid.frame["gamma"] == gammas[column])
        axis.set_title(f"K = {used[row]}, γ = {gammas[column]}", fontsize="medium")
        axis.set(xlabel="batch size (B)", ylabel="speedup")
        if chosen.any():
            yield axis, grid.where(chosen.to_numpy())


def _line(panel: Grid, facts: Facts) -> tuple[FloatArray, Points]:
    """Every whole batch size of a panel, with σ as at the nearest measured one."""
    measured = panel.frame["B"].to_numpy(dtype=np.float64)
    batch = np.arange(measured.min(), measured.max() + 1.0)
    nearest = np.abs(batch[:, None] - measured[None, :]).argmin(axis=1)
    return batch, points_of(panel.frame.iloc[nearest].assign(B=batch), facts)


def _measured(axis: Axes, panel: Grid) -> None:
    axis.plot(panel.frame["B"], panel.speedup, "o", color="black", markersize=3, label="measured")
