"""The advice as people read it."""

from __future__ import annotations

from collections.abc import Iterator

from runner.advise.advice import Advice, Compared
from runner.advise.breakeven import Remedy
from runner.advise.predict import WORTHWHILE, Interval
from runner.advise.question import is_model
from runner.units import scaled

MISSING = "–"
_HEAD = ("drafter", "γ", "τ", "α", "v", "d", "o", "predicted S", "verified S", "pairs", "agree")


def as_text(advice: Advice, memory_bytes: int, server_command: str) -> str:
    """Verdict first, then what it rests on."""
    parts = [
        "\n".join(_verdict(advice, memory_bytes)),
        f"llama.cpp's server: {server_command}",
        "\n".join(_table(advice)),
        "\n".join(_notes(advice)),
    ]
    return "\n\n".join(part for part in parts if part)


def _verdict(advice: Advice, memory_bytes: int) -> Iterator[str]:
    found = advice.best.predicted
    expected = advice.best.expected
    if advice.use:
        yield f"Use {found.drafter} with gamma {found.gamma} for {advice.target}: S = {interval(expected)}"
        yield (
            f"{advice.t1_ms:.2f} ms per token become {advice.t1_ms / expected.point:.2f}; "
            f"it costs {scaled(memory_bytes, 'B')} of memory more"
        )
        return
    yield f"Do not use speculation for {advice.target} here: {_why_not(advice)}"
    if found.is_idle:
        return
    yield f"the best found is {found.drafter} with gamma {found.gamma}: S = {interval(expected)}"
    yield from _break_even(advice)


def _why_not(advice: Advice) -> str:
    """The cause whose end would help most, or what else stands in the way."""
    best, explained = advice.best, advice.explained
    helpful = [remedy for remedy in advice.remedies if remedy.speedup > 1 and applies(remedy, explained)]
    obstacles = (
        (best.predicted.is_idle, "the text repeats nothing that n-gram lookup could continue"),
        (not any(each.verified for each in advice.compared), "no candidate could be verified"),
        (best.verified is None and best.predicted.may_pay, "the best found could not be verified"),
        (explained.has_broken_text, f"the text with {explained.predicted.drafter} is not the baseline's"),
        (best.is_undecided, "too few pairs of runs to be sure of a gain"),
        (best.expected.low > 1, f"the gain is below {WORTHWHILE - 1:.0%}"),
        (best.expected.high > 1 and best == explained, "a gain cannot be told from noise"),
        (not helpful, "nothing changed alone would make it pay"),
    )
    return next((text for stands, text in obstacles if stands), "") or helpful[0].cause


def applies(remedy: Remedy, best: Compared) -> bool:
    """A drafter that is no model cannot be too slow to speak of."""
    return remedy.cause != "draft too slow" or is_model(best.predicted.drafter)


def _break_even(advice: Advice) -> Iterator[str]:
    found, even = advice.explained.predicted, advice.break_even
    yield f"for {found.drafter} to break even at gamma {even.gamma}, one of these would have to change alone:"
    if is_model(found.drafter):
        step = advice.draft_step_ms
        needed = None if even.draft_step is None else even.draft_step * advice.t1_ms
        yield f"  draft time per token  {step:.2f} ms now, {_at_most(needed, 'ms')}"
    yield f"  verification v({even.gamma + 1})    {found.v:.2f} now, {_at_most(even.passes, 't₁')}"
    alpha = (
        "out of reach even when all is accepted" if even.alpha is None else f"at least {even.alpha:.0%} needed"
    )
    yield f"  acceptance rate       {found.alpha:.0%} now, {alpha}"
    for remedy in advice.remedies:
        if applies(remedy, advice.explained):
            yield f"  without '{remedy.cause}' S would be {remedy.speedup:.2f} (gamma {remedy.gamma})"


def _at_most(value: float | None, unit: str) -> str:
    return "out of reach even at its best" if value is None else f"at most {value:.2f} {unit} needed"


def _table(advice: Advice) -> Iterator[str]:
    rows = [_HEAD, *(_row(each) for each in advice.compared)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(_HEAD))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _row(compared: Compared) -> tuple[str, ...]:
    found, verified = compared.predicted, compared.verified
    figures = (f"{found.tau:.2f}", f"{found.alpha:.1%}", f"{found.v:.2f}", f"{found.d:.2f}", f"{found.o:.2f}")
    head = (found.drafter, str(found.gamma), *figures, interval(found.speedup))
    if verified is None:
        return (*head, MISSING, MISSING, MISSING)
    measured = interval(verified.interval) if verified.interval else f"{verified.speedup:.2f}"
    return (*head, measured, str(verified.n_pairs), "yes" if compared.agrees else "no")


def _notes(advice: Advice) -> Iterator[str]:
    yield (
        f"{advice.n_prompts} prompts, {advice.n_predict_tokens} tokens each, {advice.spent_s:.0f} s; "
        "S: speedup over the same loop without drafting, 95 % intervals"
    )
    for line in advice.not_measured:
        yield f"not measured: {line}"
    broken = [each.verified for each in advice.compared if each.verified and each.verified.broken_texts]
    for each in broken:
        yield (
            f"{each.drafter} at gamma {each.gamma}: {each.broken_texts} of {each.n_pairs} texts differ from the "
            "baseline's by more than rounding; report it with `python -m runner doctor`"
        )


def interval(value: Interval) -> str:
    """`1.43 [1.38, 1.49]`."""
    return f"{value.point:.2f} [{value.low:.2f}, {value.high:.2f}]"
