"""What any source states, in one shape: published tables, a foreign log, or a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analysis.configurations import SWEEP_SUITE, Configuration
from analysis.foreign import ForeignLog
from analysis.foreign_summary import foreign_baseline_rows, foreign_rows
from analysis.load import Study
from analysis.published import published_study
from analysis.render import Row
from analysis.summary import baseline_rows, published_baseline_rows, published_rows, speculative


@dataclass(frozen=True)
class Figures:
    """Rows under the keys of `analysis.summary`, and what decides whether they compare with another source's."""

    name: str
    chip: str | None
    parameters: Mapping[str, float]
    """Total parameters by role; a role is missing where the source does not say."""
    rounding: Mapping[str, float]
    """Half a unit of the last printed digit by figure; 0 where figures are not rounded."""
    baselines: tuple[Row, ...]
    speculative: tuple[Row, ...]
    notes: tuple[str, ...] = ()


def published_figures() -> Figures:
    """Seed 003's tables; a draft is the dense model of its size."""
    study = published_study()
    sizes = {row.role: row.total_parameters for row in study.baselines}
    drafts = {role.replace("dense-", "draft-"): size for role, size in sizes.items()}
    return Figures(
        name=f"{study.source.author} {study.source.year}",
        chip=study.hardware.chip,
        parameters={**drafts, **sizes},
        rounding={
            "tok_s": study.rounding.tokens_per_s,
            "speedup": study.rounding.speedup,
            "acceptance": study.rounding.acceptance,
        },
        baselines=published_baseline_rows(study),
        speculative=published_rows(study.distinct_rows()),
    )


def study_figures(study: Study, found: Sequence[Configuration], notes: tuple[str, ...]) -> Figures:
    """A study's figures. The sweep is left out: it asks about prompts that no other source has."""
    return Figures(
        name=study.name,
        chip=study.manifest.machine.chip,
        parameters={facts.role: float(facts.parameters) for facts in study.manifest.models},
        rounding={},
        baselines=baseline_rows(study),
        speculative=tuple(speculative(one) for one in found if one.suite != SWEEP_SUITE),
        notes=notes,
    )


def log_figures(log: ForeignLog) -> Figures:
    """A foreign log's figures; it names its models by role only."""
    rows, notes = foreign_rows(log)
    chips = set(log.runs["chip"]) - {""}
    return Figures(
        name=log.name,
        chip=chips.pop() if len(chips) == 1 else None,
        parameters={},
        rounding={},
        baselines=foreign_baseline_rows(log),
        speculative=rows,
        notes=(*notes, f"{log.name} names its models by role only; they are taken to be what they are called."),
    )
