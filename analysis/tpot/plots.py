"""Expected and current time per output token over γ, both minima marked, as seed 001 draws it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.tpot.model import Best, Pair, best_of
from analysis.tpot.study import Configuration, by_pair

PANEL_INCHES = (5.0, 3.6)
PANELS_ACROSS = 3


@dataclass(frozen=True)
class Curves:
    """One panel: times per output token in milliseconds at each γ."""

    title: str
    gammas: tuple[int, ...]
    expected_ms: tuple[float, ...]
    current_ms: tuple[float, ...]


def notebook_curves(pair: Pair, alone_ms: float, implied_ms: float) -> Curves:
    """The notes' figure: every γ at the draft's speed alone, and at its implied speed."""
    return Curves("Seed 001", pair.gammas, pair.tpots_ms(alone_ms), pair.tpots_ms(implied_ms))


def study_curves(rows: tuple[Configuration, ...]) -> tuple[Curves, ...]:
    """A panel for each suite, target and draft, observed times as the current ones."""
    return tuple(
        Curves(
            f"{group[0].suite}: {group[0].target} with {group[0].draft}",
            tuple(row.gamma for row in group),
            tuple(row.expected_tpot_ms for row in group),
            tuple(row.tpot_ms.point for row in group),
        )
        for group in by_pair(rows)
    )


def tpot_figure(panels: Sequence[Curves]) -> Figure:
    """One panel each, at most `PANELS_ACROSS` in a row."""
    across = min(PANELS_ACROSS, len(panels))
    down = -(-len(panels) // across)
    figure = Figure(figsize=(PANEL_INCHES[0] * across, PANEL_INCHES[1] * down), layout="constrained")
    axes = list(figure.subplots(down, across, squeeze=False).flat)
    for axis, curves in zip(axes, panels, strict=False):
        _draw(axis, curves)
    for axis in axes[len(panels) :]:
        axis.set_visible(False)
    return figure


def _draw(axis: Axes, curves: Curves) -> None:
    for name, tpots, colour in (("expected", curves.expected_ms, "C0"), ("current", curves.current_ms, "C1")):
        best: Best = best_of(curves.gammas, tpots)
        axis.plot(curves.gammas, tpots, "o-", color=colour, label=f"{name}, best at {best.gamma}")
        axis.plot(*best, "x", color=colour, markersize=14, markeredgewidth=2)
    axis.set(title=curves.title, xlabel="tokens drafted per cycle (γ)", ylabel="ms per output token")
    axis.grid(alpha=0.4)
    axis.legend()
