"""`python -m analysis moesd`: fit, strides, predict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np

from analysis.figures import check_figure_path, save_figure
from analysis.moesd.bootstrap import Refits, refit
from analysis.moesd.facts import Verified, read_facts
from analysis.moesd.fit import Fit
from analysis.moesd.identify import n_free
from analysis.moesd.measured import grid_document, read_measured
from analysis.moesd.plots import fit_figure, predict_figure, strides_figure
from analysis.moesd.predict import Setting, predict
from analysis.moesd.source import PUBLISHED, Source, load_source
from analysis.moesd.strides import fit_stride, stride_study
from analysis.moesd.tables import fit_document, predict_document, strides_document
from analysis.moesd.transfer import transfer, transfer_refits
from analysis.render import FORMATS, Document, Format, render
from runner.errors import UsageError

SHOWN_BATCHES = (1, 2, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60, 80, 100)
"""The paper's batch sizes."""
PAPER_STRIDE = 11
"""21 of 228 points."""

_Command = Callable[..., Any]


@click.group()
def moesd() -> None:
    """The MoESD model of SD on mixtures of experts (arXiv 2505.19645).

    DATA is a CSV file with its facts beside it (same name, .toml or .json), a folder with grid.csv and grid.toml,
    a study of the suite moesd-grid, or `published`: the points of the paper's Figure 4. Columns and facts:
    docs/moesd.md.
    """


def _data_options(command: _Command) -> _Command:
    for decorate in (
        click.option(
            "--format", "form", type=click.Choice(FORMATS), default="md", show_default=True, help="How to print."
        ),
        click.option("--plot", type=click.Path(path_type=Path), help="Write a figure: .svg, .png or .pdf."),
        click.option("--verified", type=click.Choice(["gamma", "gamma+1"]), help="Overrides the facts."),
        click.option("--facts", type=click.Path(path_type=Path), help="Facts that are not beside DATA."),
        click.argument("data", default=PUBLISHED),
    ):
        command = decorate(command)
    return command


@moesd.command()
@_data_options
@click.option("--stride", default=PAPER_STRIDE, show_default=True, help="Fit every n-th point.")
def fit(
    *, data: str, facts: Path | None, verified: Verified | None, plot: Path | None, form: Format, stride: int
) -> None:
    """Fit the ten parameters to every n-th point and judge them on the others."""
    source = _load(data, facts, verified, plot)
    row = fit_stride(source.grid, source.facts, stride)
    refits = _refits(row.fit)
    if plot is not None:
        save_figure(fit_figure(source.grid, source.facts, row.fit, refits), plot)
    _print(fit_document(source.name, row, source.grid, source.facts, refits), form, source.notes)


@moesd.command()
@_data_options
def strides(*, data: str, facts: Path | None, verified: Verified | None, plot: Path | None, form: Format) -> None:
    """How many points the fit needs: the appendix's Table 1, the published error beside ours."""
    source = _load(data, facts, verified, plot)
    rows = stride_study(source.grid, source.facts)
    if plot is not None:
        save_figure(strides_figure(source.grid, source.facts, [row.fit for row in rows]), plot)
    _print(strides_document(source.name, rows, source.facts), form, source.notes)


@moesd.command("predict")
@_data_options
@click.option("--stride", default=1, show_default=True, help="Fit every n-th point.")
@click.option("--experts", type=int, help="E; by default the target's.")
@click.option("--used", type=int, required=True, help="K, experts used per token.")
@click.option("--gamma", type=int, required=True, help="Drafted tokens per cycle.")
@click.option("--alpha", type=float, required=True, help="Chance that a drafted token is accepted.")
@click.option("--batch", type=int, multiple=True, help="B to show; may be repeated. By default the paper's.")
@click.option("--max-batch", default=100, show_default=True, help="Largest B looked at for where SD pays.")
@click.option("--onto", type=click.Path(path_type=Path), help="Facts of another machine or other models.")
def predict_command(
    *, data: str, facts: Path | None, verified: Verified | None, plot: Path | None, form: Format, stride: int,
    experts: int | None, used: int, gamma: int, alpha: float, batch: tuple[int, ...], max_batch: int,
    onto: Path | None,
) -> None:  # fmt: skip
    """Speedup over batch size from a fit to DATA, where SD pays, and dense targets beside it."""
    shown = _shown_batches(batch, max_batch)
    source = _load(data, facts, verified, plot)
    there = source.facts if onto is None else read_facts(onto)
    setting = Setting(there.target.experts if experts is None else experts, used, gamma, alpha, there.verified)
    fitted = fit_stride(source.grid, source.facts, stride).fit
    parameters = transfer(fitted.parameters, source.facts, there)
    refits = transfer_refits(refit(fitted), source.facts, there)
    curve = predict(parameters, refits, setting, np.arange(1.0, max_batch + 1.0))
    if plot is not None:
        save_figure(predict_figure(f"{setting.used} of {setting.experts} experts, γ = {gamma}", curve), plot)
    assumed = (
        "" if onto is None else f"Carried over to {there.machine.name} by its facts; nothing was measured there."
    )
    document = predict_document(source.name, setting, curve, [size - 1 for size in shown], assumed)
    _print(document, form, source.notes)


@moesd.command("grid")
@click.argument("study", type=click.Path(path_type=Path))
@click.option(
    "--format", "form", type=click.Choice(FORMATS), default="md", show_default=True, help="How to print."
)
def grid_command(*, study: Path, form: Format) -> None:
    """Every point that the suite moesd-grid measured; as CSV it is DATA for the other commands."""
    _print(grid_document(read_measured(study)), form)


def _shown_batches(asked: tuple[int, ...], most: int) -> tuple[int, ...]:
    """The batch sizes to show: those asked for, else the paper's, all from 1 to `most`. Else UsageError."""
    if most < 1:
        raise UsageError(f"--max-batch {most}: a batch holds at least 1 sequence")
    for size in asked:
        if not 1 <= size <= most:
            raise UsageError(f"--batch {size}: outside 1 to {most}; raise --max-batch to ask about larger ones")
    return asked or tuple(size for size in SHOWN_BATCHES if size <= most)


def _load(data: str, facts: Path | None, verified: Verified | None, plot: Path | None) -> Source:
    if plot is not None:
        check_figure_path(plot)
    return load_source(data, facts, verified)


def _refits(fitted: Fit) -> Refits | None:
    return refit(fitted) if len(fitted.grid) > n_free(fitted) else None


def _print(document: Document, form: Format, notes: tuple[str, ...] = ()) -> None:
    click.echo(render(replace(document, notes=(*document.notes, *notes)), form), nl=False)
