"""From a study, or from the published figures, to a page."""

from __future__ import annotations

from pathlib import Path

from analysis.audit.from_published import published_evidence
from analysis.audit.from_study import study_evidence
from analysis.claims import ledger
from analysis.claims_published import published_claims
from analysis.decompose_tables import published_bounds
from analysis.plots.subject import Subject, subject_of
from analysis.published import published_study, tpot_notebook
from analysis.report.answer import Answer, answers
from analysis.report.controlled import tables_of
from analysis.report.grid import grid
from analysis.report.machine import published_machine
from analysis.report.page import Page, Part, part, pictures
from analysis.report.runs import packed_records, runs_table
from analysis.report.sections import STUDY_SECTIONS, Section
from analysis.report.trust import Level, trust
from analysis.tables import published_tables, study_tables
from analysis.tpot.tables import notebook_document

TITLES = {section.name: section.title for section in STUDY_SECTIONS}
INTROS = {section.name: section.intro for section in STUDY_SECTIONS}


def study_page(path: Path) -> Page:
    """The page of the study in `path`. Raises DataError when it cannot be read or holds no run."""
    subject = subject_of(path)
    study = subject.study
    shown = study_tables(study).tables
    found = answers(subject)
    runs = runs_table(study)
    records, whole = packed_records(study, path)
    chip = study.manifest.machine.chip or study.manifest.machine.architecture
    return Page(
        source=study.name,
        subtitle=f"{len(study.runs)} runs · {study.manifest.family} · {chip} · {study.manifest.created_utc}",
        headline=_headline(subject, found), level=found[0].advice if found else "open",
        lead=found[0].reason if found else "Run a suite with a draft, such as `python -m runner suite moe-sd`.",
        answers=found, trust=trust(study_evidence(study), subject, shown),
        parts=tuple(_part(subject, section) for section in STUDY_SECTIONS), runs=grid(runs),
        record_of_row=tuple(int(str(row["record"])) for row in runs.rows), records=records, records_whole=whole,
    )  # fmt: skip


_PUBLISHED: dict[Level, str] = {
    "good": "The published speedups stand up to the audit.",
    "care": "The published speedups may be true, with the limits that the audit names.",
    "bad": "The published speedups cannot have been measured as described.",
}


def published_page() -> Page:
    """The page of the published 306-run study, judged by its own figures."""
    study, evidence = published_study(), published_evidence()
    shown = published_tables()
    judged = trust(evidence, None, shown.tables)
    chip = study.hardware.chip
    return Page(
        source=shown.source, subtitle=f"{study.runs.n_runs} runs · {chip} · {study.source.date}",
        headline=_PUBLISHED[judged.level], level="off" if judged.level == "bad" else "open",
        lead=judged.sentences[0], answers=(), trust=judged, parts=_published_parts(),
    )  # fmt: skip


def _headline(subject: Subject, found: tuple[Answer, ...]) -> str:
    if not found:
        return "No ordinary speculative run can be compared with its baseline, so this study gives no answer."
    if subject.study.manifest.family == "synthetic":
        return f"SD with these built-in models on this machine: {found[0].sentence}"
    return f"SD on this machine: {found[0].sentence}"


def _part(subject: Subject, section: Section) -> Part:
    return part(
        section.name, section.title, section.intro, shown=pictures(section.plots, subject),
        tables=section.tables(subject), n_open=section.n_open, suite=section.suite,
    )  # fmt: skip


def _published_parts() -> tuple[Part, ...]:
    tables = published_tables().tables
    claims = ledger("published", published_claims()).tables
    return (
        part("tables", "The published tables", "The figures as they were printed.", tables=tables, n_open=3),
        part(
            "bounds", "What acceptance and drafting allow",
            "A cycle yields at most 1 + αγ tokens and costs at least one target pass and γ draft passes.",
            shown=pictures(["published-bounds"], None), tables=published_bounds().tables,
        ),
        part("claims", TITLES["claims"], INTROS["claims"], tables=claims, n_open=1),
        part(
            "tpot", TITLES["tpot"], INTROS["tpot"], shown=pictures(["time-per-output-token-notebook"], None),
            tables=tables_of(notebook_document(tpot_notebook())),
        ),
        part("moesd", TITLES["moesd"], INTROS["moesd"], shown=pictures(["moesd"], None)),
        part(
            "machine", TITLES["machine"], "What the source says of its machine.",
            tables=published_machine(published_study()), n_open=1,
        ),
    )  # fmt: skip
