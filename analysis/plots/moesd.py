"""MoESD's panels: the paper's digitised points with the model fitted to every eleventh of them."""

from __future__ import annotations

from matplotlib.figure import Figure

from analysis.moesd.bootstrap import refit
from analysis.moesd.plots import fit_figure
from analysis.moesd.source import PUBLISHED, load_source
from analysis.moesd.strides import fit_stride
from analysis.plots.style import COLUMN_INCHES

STRIDE = 11
"""The paper's choice: 21 of 228 points."""
N_REFITS = 60
"""Enough for a band that is only looked at; `moesd fit` takes more."""
ROW_INCHES = 1.9


def moesd_figure() -> Figure:
    """One panel for each K and γ of the published points, fit and prediction interval over them."""
    source = load_source(PUBLISHED, None, None)
    row = fit_stride(source.grid, source.facts, STRIDE)
    figure = fit_figure(source.grid, source.facts, row.fit, refit(row.fit, n=N_REFITS))
    figure.set_size_inches(COLUMN_INCHES, ROW_INCHES * len(figure.axes) / 2)
    for axis in figure.axes:
        axis.label_outer()
    return figure
