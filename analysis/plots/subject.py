"""What figures and report speak about: a study with everything that is computed of it once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from analysis.configurations import SWEEP_SUITE, Configuration, configurations
from analysis.decompose import Decomposition, decompose_one
from analysis.load import Study, load_study
from analysis.summary import label

CONTROLLED = ("verify-cost", "oracle", "ngram", "rollback", "rollback-plain", "routing", "phantom")
"""Suites that set one cause at a time; figures of the main matrix leave them out."""


@dataclass(frozen=True)
class Subject:
    """A study, its configurations, and the main ones explained (same order as `main`)."""

    folder: Path
    """Where the study lies: experiments keep logs of their own beside it."""
    study: Study
    found: tuple[Configuration, ...]
    main: tuple[Configuration, ...]
    """In a suite that sets no cause and sweeps no prompt length; with runs to average."""
    explained: tuple[Decomposition, ...]

    @property
    def targets(self) -> tuple[str, ...]:
        """Roles of the main targets, in the study's order."""
        return tuple(dict.fromkeys(one.target for one in self.main))

    @property
    def drafts(self) -> tuple[str, ...]:
        """Roles of the main drafts, in the study's order."""
        return tuple(dict.fromkeys(one.draft for one in self.main))


def subject_of(folder: Path) -> Subject:
    """The study in `folder` with everything computed once. Raises DataError when runs must not be averaged."""
    study = load_study(folder)
    found = configurations(study)
    main = tuple(one for one in found if _is_main(one))
    return Subject(folder, study, found, main, tuple(decompose_one(study, one) for one in main))


def lines(found: Sequence[Configuration]) -> Iterator[tuple[str, str, list[Configuration]]]:
    """Target, draft and their configurations by γ, for each pair and suite."""
    keys = dict.fromkeys((one.suite, one.target, one.draft) for one in found)
    for suite, target, draft in keys:
        same = [one for one in found if (one.suite, one.target, one.draft) == (suite, target, draft)]
        yield target, draft, sorted(same, key=lambda one: one.gamma)


def pair_label(target: str, draft: str) -> str:
    """A pair as legends name it."""
    return f"{label(target)} + {label(draft)}"


def _is_main(one: Configuration) -> bool:
    return len(one.pairs) > 0 and one.suite not in {SWEEP_SUITE, *CONTROLLED}
