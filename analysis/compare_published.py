"""`compare published STUDY`: every published row against the study, with interval and reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from analysis.configurations import SWEEP_SUITE, Configuration, configurations
from analysis.load import Study
from analysis.published import BaselineRow, PublishedStudy, SpeculativeRow, published_study
from analysis.render import Row, Value
from analysis.reproduction import (
    ACCEPTANCE_TOLERANCE,
    TOLERANCE,
    Comparison,
    Judged,
    comparison,
    facts_of,
    other_chip,
    shown,
    within,
)
from analysis.stats import Estimate
from analysis.summary import baseline_rows

SAME_MODEL = 0.10
"""Two files with parameter counts closer than this are the same model, give or take what counting includes."""
_NO_RUN = Judged("not comparable", "the study has no such run")


def compare_published(study: Study) -> Comparison:
    """Baselines by tok/s where the chip is the published one, speculative rows by speedup and acceptance."""
    published, found = published_study(), configurations(study)
    here = {(one.target, one.draft, one.gamma): one for one in found if one.suite != SWEEP_SUITE}
    speeds = {str(row["role"]): row["tok_s"] for row in baseline_rows(study)}
    rows = [_baseline(published, study, printed, speeds.get(printed.role)) for printed in published.baselines]
    for printed in published.distinct_rows():
        rows += _speculative(published, study, printed, here)
    source = f"{published.source.author} {published.source.year} and {study.name}"
    return comparison(source, (), rows, study, found)


def _baseline(published: PublishedStudy, study: Study, printed: BaselineRow, speed: Value) -> Row:
    why = _why_not(published, study, printed.role) or other_chip(published.hardware.chip, study)
    judged = _NO_RUN
    if isinstance(speed, Estimate):
        room = speed.point * TOLERANCE + published.rounding.tokens_per_s
        judged = Judged("not comparable", why) if why else within(speed, printed.tokens_per_s, room)
    return {
        "target": printed.role, "figure": "tok/s", "left": f"{printed.tokens_per_s:.1f}",
        "right": shown(speed, ".1f"), **judged._asdict(),
    }  # fmt: skip


def _speculative(
    published: PublishedStudy,
    study: Study,
    printed: SpeculativeRow,
    here: Mapping[tuple[str, str, int], Configuration],
) -> Iterator[Row]:
    one = here.get(printed.configuration)
    why = _why_not(published, study, printed.target) or _why_not(published, study, printed.draft)
    speedup, alpha = (one.ratio("speedup"), one.acceptance()) if one else (None, None)
    rooms = (
        printed.speedup * TOLERANCE + published.rounding.speedup,
        ACCEPTANCE_TOLERANCE + published.rounding.acceptance,
    )
    figures = (
        ("speedup", printed.speedup, speedup, rooms[0], ".2f"),
        ("acceptance", printed.acceptance, alpha, rooms[1], ".3f"),
    )
    for name, value, estimate, room, spec in figures:
        judged = _NO_RUN
        if estimate is not None:
            judged = Judged("not comparable", why) if why else within(estimate, value, room)
        yield {
            "target": printed.target, "draft": printed.draft, "gamma": printed.gamma, "figure": name,
            "left": f"{value:{spec}}", "right": shown(estimate, spec), **judged._asdict(),
        }  # fmt: skip


def _why_not(published: PublishedStudy, study: Study, role: str) -> str | None:
    """Why the study's model in that role is not the published one; None when it is."""
    printed = {row.role: row.total_parameters for row in published.baselines}
    expected = printed.get(role) or printed.get(role.replace("draft-", "dense-"))
    facts = facts_of(study, role)
    if expected is None or facts is None:
        return f"one side has no {role}"
    if abs(facts.parameters / expected - 1) > SAME_MODEL:
        return f"other model: {facts.parameters / 1e9:.3g}B parameters here, {expected / 1e9:.3g}B there"
    return None
