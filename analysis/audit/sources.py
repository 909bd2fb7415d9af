"""From what a user names to the evidence about it: `published`, a study's folder, or a foreign run log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import msgspec

from analysis.audit.evidence import Evidence
from analysis.audit.from_log import log_evidence
from analysis.audit.from_published import published_evidence
from analysis.audit.from_study import study_evidence
from analysis.foreign import load_foreign
from analysis.load import Study, load_study
from runner.errors import DataError, UsageError

PUBLISHED = "published"


def evidence_of(source: str, mapping: Mapping[str, str]) -> Evidence:
    """Evidence about `source`. Raises DataError when it cannot be read as any of the three."""
    path = Path(source)
    if mapping and not path.is_file():
        raise UsageError("--map names columns of a run log; it fits neither a study nor the published figures")
    if source == PUBLISHED:
        return published_evidence()
    if path.is_dir():
        return study_evidence(load_study(path))
    if path.is_file():
        return log_evidence(load_foreign(path, mapping))
    raise DataError(f"{source}: no such file or folder; name a study's folder, a run log, or `published`")


def marked_evidence(source: str) -> Evidence:
    """Evidence about the runs of a study that did wrong on purpose, as if they were meant."""
    path = Path(source)
    if not path.is_dir():
        raise UsageError(f"--marked looks into a study's folder; {source} is none")
    return study_evidence(only_marked(load_study(path)))


def only_marked(study: Study) -> Study:
    """The study with its marked runs and the baselines beside them, marks off. Raises DataError without any."""
    runs = study.runs
    if runs["mark"].isna().all():
        raise DataError(f"{study.name}: holds no marked run")
    kept = runs[runs["mark"].notna() | (runs["gamma"] == 0)].assign(mark=None)
    n_cells = int(kept.loc[kept["purpose"] == "cell", "run_id"].nunique())
    return replace(study, runs=kept, manifest=msgspec.structs.replace(study.manifest, n_cells=n_cells))
