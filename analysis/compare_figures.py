"""`compare` for sources that cannot be paired run by run: published tables and foreign logs, against a study."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from analysis.figures_of import Figures
from analysis.render import Row, Value
from analysis.reproduction import ACCEPTANCE_TOLERANCE, TOLERANCE, WIDEST, Judged, Rows, other_chip, shown
from analysis.stats import Estimate

SAME_MODEL = 0.10
"""Two files with parameter counts closer than this are the same model, give or take what counting includes."""
_SPECS = {"tok_s": ".1f", "speedup": ".2f", "acceptance": ".3f"}
_NAMES = {"tok_s": "tok/s"}


def figure_rows(left: Figures, right: Figures) -> Rows:
    """Every row of `left` answered from `right`: baselines by tok/s, the others by speedup and acceptance."""
    plain = {str(row["role"]): row for row in right.baselines}
    here = {_configuration(row): row for row in right.speculative}
    rows: list[Row] = []
    for printed in left.baselines:
        role = str(printed["role"])
        why = _other_model(left, right, role) or other_chip(left.chip, right.chip)
        rows += _answers(left, printed, plain.get(role), {"target": role}, figures=("tok_s",), why=why)
    for printed in left.speculative:
        target, draft, gamma = _configuration(printed)
        what: dict[str, Value] = {"target": target, "draft": draft, "gamma": gamma}
        why = _other_model(left, right, target) or _other_model(left, right, draft)
        rows += _answers(
            left, printed, here.get((target, draft, gamma)), what, figures=("speedup", "acceptance"), why=why
        )
    return tuple(rows)


def agreement(there: Value, here: Value, room: float) -> Judged:
    """Two figures, each printed or measured: the same when their spans meet, `room` (same unit) granted."""
    if here is None or there is None:
        return Judged("not comparable", f"the figure is missing {'here' if here is None else 'there'}")
    left, right = _span(there), _span(here)
    if not all(math.isfinite(end) for end in (*left, *right)):
        return Judged("not comparable", "one side has no figure")
    if right[1] > right[0] * WIDEST and right[1] - right[0] > 2 * room:
        return Judged("not comparable", "the interval is too wide to tell; measure more blocks")
    if left[0] - room <= right[1] and right[0] <= left[1] + room:
        return Judged("reproduced", "within the interval and the tolerance")
    return Judged("not reproduced", f"{'lower' if right[1] < left[0] else 'higher'} here by more than {room:.2g}")


def _answers(
    left: Figures, printed: Row, found: Row | None, what: Row, *, figures: tuple[str, ...], why: str | None
) -> Iterator[Row]:
    for figure in figures:
        there, here = printed.get(figure), found.get(figure) if found else None
        if there is None:
            continue
        if found is None:
            judged = Judged("not comparable", "there is no such run here")
        else:
            judged = Judged("not comparable", why) if why else agreement(there, here, _room(left, figure, there))
        spec = _SPECS[figure]
        yield {
            **what, "figure": _NAMES.get(figure, figure), "left": shown(there, spec), "right": shown(here, spec),
            **judged._asdict(),
        }  # fmt: skip


def _room(left: Figures, figure: str, there: Value) -> float:
    tolerance = ACCEPTANCE_TOLERANCE if figure == "acceptance" else TOLERANCE * _span(there)[1]
    return tolerance + left.rounding.get(figure, 0.0)


def _span(value: Value) -> tuple[float, float]:
    if isinstance(value, Estimate):
        return value.low, value.high
    return float(value or 0.0), float(value or 0.0)


def _configuration(row: Row) -> tuple[str, str, int]:
    return str(row["target"]), str(row["draft"]), int(str(row["gamma"]))


def _other_model(left: Figures, right: Figures, role: str) -> str | None:
    """Why the models in that role are not the same; None when they are, or when a source does not say."""
    sizes: tuple[Mapping[str, float], Mapping[str, float]] = (left.parameters, right.parameters)
    there, here = (parameters.get(role) for parameters in sizes)
    if there is None or here is None or abs(here / there - 1) <= SAME_MODEL:
        return None
    return f"other model: {here / 1e9:.3g}B parameters here, {there / 1e9:.3g}B there"
