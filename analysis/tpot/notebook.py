"""Every figure of seed 001 recomputed from its own inputs, with what the rounding of those inputs leaves open.

The notes print their inputs with two decimals, so each may be off by half a unit of the last. An interval here
holds all values that inputs within these limits can give; what does not survive it was never shown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Literal

from analysis.published import TpotNotebook
from analysis.tpot.model import Pair, cycle_ms, implied_draft_ms, sd_tpot_ms

HALF_UNIT = 0.005
"""Half a unit of the last printed digit, of inputs and of stated figures (shares: whole per cent)."""

Verdict = Literal["agrees", "rounded", "undecided", "contradicted", "not stated"]
Unit = Literal["ms", "x", "share", "tokens"]


@dataclass(frozen=True)
class Figure:
    """One figure of the notes beside ours; `low` and `high` hold all that the rounding of the inputs allows.

    Verdicts: `agrees` to the digits stated; `rounded`: only within the interval; `undecided`: the rounding of the
    inputs leaves it open; `contradicted` by the notes' own inputs; `not stated`: computed there, but not shown.
    """

    name: str
    stated: tuple[float, ...]
    """Empty, one figure, or the two ends of a range."""
    value: float
    low: float
    high: float
    unit: Unit
    verdict: Verdict
    remark: str = ""


def pair_of(notes: TpotNotebook) -> Pair:
    """The notes' target with its acceptance lengths."""
    lengths = notes.acceptance_lengths
    return Pair(notes.constants.target_tpot_ms, lengths.gamma, lengths.tokens)


def implied(notes: TpotNotebook) -> float:
    """The notes' implied draft time, milliseconds."""
    c = notes.constants
    return implied_draft_ms(c.measured_sd_tpot_ms, c.gamma, c.target_tpot_ms, c.acceptance_length_tokens)


def corners(function: Callable[..., float], inputs: tuple[float, ...]) -> tuple[float, float]:
    """Least and greatest value of a function monotonous in each input, all off by up to `HALF_UNIT`."""
    values = [function(*point) for point in product(*((x - HALF_UNIT, x + HALF_UNIT) for x in inputs))]
    return min(values), max(values)


def possible_best(pair: Pair, draft_ms: float) -> tuple[int, ...]:
    """Every γ that could have the least T_s, given that each acceptance length was rounded on its own."""
    lows, highs = {}, []
    for gamma, length in zip(pair.gammas, pair.acceptance_lengths, strict=True):
        lows[gamma] = sd_tpot_ms(gamma, draft_ms, pair.target_ms, length + HALF_UNIT)
        highs.append(sd_tpot_ms(gamma, draft_ms, pair.target_ms, length - HALF_UNIT))
    return tuple(gamma for gamma, low in lows.items() if low <= min(highs))


def figures(notes: TpotNotebook) -> tuple[Figure, ...]:
    """All figures of the notes, in their order."""
    return (*_times(notes), *_speedups(notes), *_best_gammas(notes), *_closing(notes))


def inconsistencies(notes: TpotNotebook) -> tuple[str, ...]:
    """What cannot be true together in the notes, or does not show what they say it shows; one item each."""
    return tuple(filter(None, (_CIRCULAR, _wrong_optimum(notes), _open_optimum(notes), _rising(notes))))


def _figure(
    name: str, function: Callable[..., float], inputs: tuple[float, ...], unit: Unit, *,
    stated: tuple[float, ...] = (), remark: str = "",
) -> Figure:  # fmt: skip
    value, (low, high) = function(*inputs), corners(function, inputs)
    return Figure(name, stated, value, low, high, unit, _verdict(stated, value, low, high), remark)


def _verdict(stated: tuple[float, ...], value: float, low: float, high: float) -> Verdict:
    if not stated:
        return "not stated"
    least, most = min(stated) - HALF_UNIT, max(stated) + HALF_UNIT
    if least <= value <= most:
        return "agrees"
    return "rounded" if low <= most and least <= high else "contradicted"


def _times(notes: TpotNotebook) -> tuple[Figure, ...]:
    c, stated = notes.constants, notes.stated
    alone, observed = (c.draft_tpot_ms, c.target_tpot_ms), f"observed: {c.measured_sd_tpot_ms} ms"
    tpot_of = (c.measured_sd_tpot_ms, c.acceptance_length_tokens)
    apart = stated.measured_cycle_ms - tpot_of[0] * tpot_of[1]
    return (
        _figure("expected cycle (ITL)", lambda d, t: cycle_ms(c.gamma, d, t), alone, "ms"),
        _figure(
            "expected TPOT", lambda d, t, n: sd_tpot_ms(c.gamma, d, t, n), (*alone, c.acceptance_length_tokens),
            "ms", remark=observed,
        ),
        _figure(
            "implied draft time", lambda s, n, t: implied_draft_ms(s, c.gamma, t, n),
            (*tpot_of, c.target_tpot_ms), "ms", stated=(stated.draft_tpot_as_draft_ms,),
        ),
        _figure(
            "implied cycle (ITL)", lambda s, n: s * n, tpot_of, "ms", stated=(stated.measured_cycle_ms,),
            remark=f"called equal to the measured one; {apart:.2f} ms less",
        ),
    )  # fmt: skip


def _speedups(notes: TpotNotebook) -> tuple[Figure, ...]:
    c, pair = notes.constants, pair_of(notes)
    best = pair.best(c.draft_tpot_ms).gamma

    def expected(gamma: int) -> Callable[[float, float, float], float]:
        return lambda draft, target, length: target / sd_tpot_ms(gamma, draft, target, length)

    alone = c.draft_tpot_ms, c.target_tpot_ms
    return (
        _figure("actual speedup", lambda t, s: t / s, (c.target_tpot_ms, c.measured_sd_tpot_ms), "x"),
        _figure("expected speedup", expected(c.gamma), (*alone, c.acceptance_length_tokens), "x"),
        _figure(
            "best expected speedup", expected(best), (*alone, pair.length_at(best)), "x", remark=f"at K = {best}"
        ),
    )


def _best_gammas(notes: TpotNotebook) -> tuple[Figure, ...]:
    stated = notes.stated
    text = f"the notes also say {stated.best_gamma_expected_low} to {stated.best_gamma_expected_high}"
    return (
        _best_gamma(notes, "best K now", implied(notes), stated.best_gamma_now),
        _best_gamma(
            notes, "best K with a faster draft", notes.constants.draft_tpot_ms,
            stated.best_gamma_with_less_overhead, f"; {text}",
        ),
    )  # fmt: skip


def _best_gamma(notes: TpotNotebook, name: str, draft_ms: float, stated: int, more: str = "") -> Figure:
    pair = pair_of(notes)
    best, possible = pair.best(draft_ms), possible_best(pair, draft_ms)
    verdict: Verdict = (
        "contradicted" if stated not in possible else "agrees" if len(possible) == 1 else "undecided"
    )
    remark = f"TPOT {best.tpot_ms:.3f} ms{more}"
    return Figure(name, (stated,), best.gamma, min(possible), max(possible), "tokens", verdict, remark)


def _closing(notes: TpotNotebook) -> tuple[Figure, ...]:
    c, stated = notes.constants, notes.stated
    best = pair_of(notes).best(c.draft_tpot_ms).gamma
    slower = implied(notes) / c.draft_tpot_ms
    inputs = c.measured_sd_tpot_ms, c.acceptance_length_tokens, c.target_tpot_ms, c.draft_tpot_ms
    return (
        _figure(
            "draft slower than alone", lambda s, n, t, d: implied_draft_ms(s, c.gamma, t, n) / d - 1.0, inputs,
            "share", stated=(stated.drafter_speedup_from_cuda_graphs,),
            remark=f"its time would fall by {1 - 1 / slower:.1%}",
        ),
        _gain(notes, "gain at the same K", c.gamma),
        _gain(notes, "gain at the best K", best),
    )  # fmt: skip


def _gain(notes: TpotNotebook, name: str, gamma: int) -> Figure:
    c, stated = notes.constants, notes.stated
    length = pair_of(notes).length_at(gamma)
    inputs = c.measured_sd_tpot_ms, c.draft_tpot_ms, c.target_tpot_ms, length

    def gain(observed: float, draft: float, target: float, tokens: float) -> float:
        return observed / sd_tpot_ms(gamma, draft, target, tokens) - 1.0

    said = stated.tpot_gain_from_cuda_graphs_low, stated.tpot_gain_from_cuda_graphs_high
    remark = f"in speed, at K = {gamma}; TPOT falls by {1 - 1 / (1 + gain(*inputs)):.1%}"
    return _figure(name, gain, inputs, "share", stated=said, remark=remark)


_CIRCULAR = (
    "That implied and measured cycle agree does not show that the target's own time is unchanged: the implied "
    "cycle is TPOT x AL, whatever the target's time is taken to be. The implied draft time holds all that is not "
    "one plain target pass, dearer verification included."
)


def _wrong_optimum(notes: TpotNotebook) -> str:
    pair, stated = pair_of(notes), notes.stated
    best, most = pair.best(notes.constants.draft_tpot_ms), stated.best_gamma_expected_high
    tpots = dict(zip(pair.gammas, pair.tpots_ms(notes.constants.draft_tpot_ms), strict=True))
    if most in possible_best(pair, notes.constants.draft_tpot_ms):
        return ""
    return (
        f"The notes expect the best K at {stated.best_gamma_expected_low} to {most}; by their own acceptance "
        f"lengths K = {most} gives {tpots[most]:.3f} ms, more than K = {best.gamma} ({best.tpot_ms:.3f} ms) and "
        f"even K = {notes.constants.gamma} ({tpots[notes.constants.gamma]:.3f} ms)."
    )


def _open_optimum(notes: TpotNotebook) -> str:
    pair, draft = pair_of(notes), implied(notes)
    possible = possible_best(pair, draft)
    if len(possible) == 1:
        return ""
    tpots = dict(zip(pair.gammas, pair.tpots_ms(draft), strict=True))
    shown = ", ".join(f"K = {gamma}: {tpots[gamma]:.3f} ms" for gamma in possible)
    return f"Which K is best now is not shown: the rounding of the acceptance lengths leaves it open ({shown})."


def _rising(notes: TpotNotebook) -> str:
    steps = [after - before for before, after in pairwise((1.0, *notes.acceptance_lengths.tokens))]
    # Neighbouring steps share a length, which then counts twice: 4 half units in all.
    rises = [i for i in range(1, len(steps)) if steps[i] - steps[i - 1] > 4 * HALF_UNIT]
    if not rises:
        return ""
    late = rises[0]
    return (
        f"Draft token {late + 1} adds {steps[late]:.2f} to the acceptance length, token {late} only "
        f"{steps[late - 1]:.2f}. A token counts only where the one before it was accepted, so drafts cut "
        "from the same cycles cannot give these lengths; each K had cycles of its own, and they differ by more "
        "than the digits say."
    )
