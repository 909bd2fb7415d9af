"""Rules about the study's files: is everything there, is it what was written, does each record re-compute?"""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from analysis.audit.evidence import CONFIGURATION, StudyEvidence, of_study
from analysis.audit.finding import Finding, listed
from analysis.audit.from_study import draft_roles


@of_study
def unreadable_lines(found: StudyEvidence) -> Iterator[Finding]:
    """Lines of the run log that were torn or edited; their checksum does not fit."""
    texts = {
        "torn-line": ("torn", "Writing was interrupted. Resume the study; it measures the cell again."),
        "bad-line": ("edited or damaged after they were measured", "Restore the file, or measure again."),
    }
    for kind, (how, remedy) in texts.items():
        notes = [note for note in found.study.notes if note.kind == kind]
        if notes:
            yield Finding(
                kind, "error", listed(f"{note.file}:{note.line}" for note in notes), {"lines": len(notes)},
                f"{len(notes)} lines of the run log were {how}: {notes[0].message}.", remedy,
            )  # fmt: skip


@of_study
def run_identity_recomputes(found: StudyEvidence) -> Iterator[Finding]:
    """A run's id is the hash of its cell, the settings, the build and the models; it must come out again."""
    runs = found.study.runs
    wrong = runs[runs["run_id"] != runs["recomputed_run_id"]]
    if not wrong.empty:
        yield Finding(
            "run-identity", "error", listed(wrong["run_id"]), {"runs": len(wrong)},
            f"{len(wrong)} runs are not what their id says: cell, settings, build or model were changed "
            "after the run, or the run is of another study.",
            "Restore manifest and run log together, or measure those cells again.",
        )  # fmt: skip


@of_study
def duplicate_runs(found: StudyEvidence) -> Iterator[Finding]:
    """One attempt at one run stands in the log once."""
    runs = found.study.runs
    extra = runs[runs.duplicated(["run_id", "attempt"])]
    if not extra.empty:
        yield Finding(
            "duplicate-runs", "error", listed(extra["run_id"]), {"duplicates": len(extra)},
            f"{len(extra)} attempts stand in the run log twice; intervals from them would be too narrow.",
            "Find out who wrote the second copy; a study is appended to by one process.",
        )  # fmt: skip


@of_study
def superseded_runs(found: StudyEvidence) -> Iterator[Finding]:
    """Earlier attempts at a run are kept; the latest counts. Two good attempts would be a choice."""
    runs = found.study.runs
    earlier = runs[runs["superseded"] & ~runs.duplicated(["run_id", "attempt"], keep=False)]
    good = earlier[earlier["status"] == "ok"]
    if not good.empty:
        yield Finding(
            "remeasured-runs", "warning", listed(good["run_id"]), {"runs": len(good)},
            f"{len(good)} runs had ended well and were measured again; the earlier figures are not in any "
            "table.",
            "Say why; choosing between attempts by their result makes any claim come true.",
        )  # fmt: skip
    if len(earlier) > len(good):
        yield Finding(
            "superseded-attempts", "note", listed(earlier.loc[earlier["status"] != "ok", "run_id"]),
            {"attempts": len(earlier) - len(good)},
            f"{len(earlier) - len(good)} failed attempts were followed by later ones, which count.",
            "Nothing to do.",
        )  # fmt: skip


@of_study
def failed_runs(found: StudyEvidence) -> Iterator[Finding]:
    """Runs whose latest attempt failed."""
    runs = found.judged
    failed = runs[runs["status"] != "ok"]
    for kind, group in failed.groupby("failure_kind", dropna=False):
        yield Finding(
            "failed-runs", "warning", listed(group["run_id"]), {"failed": len(group), "runs": len(runs)},
            f"{len(group)} of {len(runs)} runs failed ({kind}): {group['failure_message'].iloc[0]}. They "
            "stay in the tables and out of the figures.",
            "Mend the cause and resume the study.",
        )  # fmt: skip


@of_study
def missing_cells(found: StudyEvidence) -> Iterator[Finding]:
    """Every planned cell was run, and each configuration in every block."""
    runs = found.study.runs
    done = runs.loc[runs["purpose"] == "cell", "run_id"].nunique()
    planned = found.study.manifest.n_cells
    gaps = _gaps(runs[runs["purpose"] != "reference"])
    if done != planned or gaps:
        named = f" First gap: {gaps[0]}." if gaps else ""
        yield Finding(
            "missing-cells", "error" if done > planned else "warning", listed(gaps or [found.study.name]),
            {"planned": planned, "done": done, "gaps": len(gaps)},
            f"The plan has {planned} cells, the run log {done}; {len(gaps)} configurations lack a block "
            f"that others have.{named}",
            "Resume the study until nothing is missing; a study that stops when the result pleases "
            "proves nothing.",
        )  # fmt: skip


def _gaps(runs: pd.DataFrame) -> list[str]:
    """Configurations that lack a block which their suite has."""
    gaps = []
    for suite, of_suite in runs.groupby("suite"):
        blocks = set(of_suite["block"])
        for key, group in of_suite.fillna({"rollback": "any"}).groupby(list(CONFIGURATION)):
            absent = sorted(blocks - set(group["block"]))
            if absent:
                named = " ".join(map(str, key))
                gaps.append(f"{suite} {named}: block {', '.join(map(str, absent))}")
    return gaps


@of_study
def mixed_builds(found: StudyEvidence) -> Iterator[Finding]:
    """All runs come from the build that the manifest names."""
    study = found.study
    other = study.runs[study.runs["engine_version"] != study.manifest.engine.version]
    if not other.empty:
        versions = sorted(set(other["engine_version"]))
        yield Finding(
            "mixed-builds", "error", listed(other["run_id"]), {"runs": len(other)},
            f"{len(other)} runs were measured with {', '.join(versions)}, the study is one of "
            f"{study.manifest.engine.version}. A new build changes kernels, so ratios across builds mean "
            "nothing.",
            "Measure the whole study with one build.",
        )  # fmt: skip


@of_study
def mixed_models(found: StudyEvidence) -> Iterator[Finding]:
    """Each role is one file throughout: the one of the manifest."""
    for side in ("target", "draft"):
        wrong = _other_files(found, side)
        if not wrong.empty:
            roles = sorted(set(_roles(found, wrong, side)))
            yield Finding(
                "mixed-models", "error", listed(wrong["run_id"]), {"runs": len(wrong)},
                f"{len(wrong)} runs used another file as {', '.join(roles)} than the manifest names.",
                "One role is one file: give the other file a role of its own.",
            )  # fmt: skip


def _other_files(found: StudyEvidence, side: str) -> pd.DataFrame:
    sha256_of = {facts.role: facts.sha256 for facts in found.study.manifest.models}
    runs = found.study.runs
    runs = runs[runs[f"{side}_sha256"].notna()]
    return runs[runs[f"{side}_sha256"] != _roles(found, runs, side).map(sha256_of)]


def _roles(found: StudyEvidence, runs: pd.DataFrame, side: str) -> pd.Series:
    return runs["target"] if side == "target" else draft_roles(found.study, runs)


@of_study
def marked_runs(found: StudyEvidence) -> Iterator[Finding]:
    """Runs that did wrong on purpose are told apart and never judged with the others."""
    marked = found.study.runs["mark"].notna()
    if marked.any():
        yield Finding(
            "marked-runs", "note", (found.study.name,), {"runs": int(marked.sum())},
            f"{int(marked.sum())} runs did wrong on purpose and are in no table; `audit --marked` judges them.",
            "Nothing to do.",
        )  # fmt: skip
