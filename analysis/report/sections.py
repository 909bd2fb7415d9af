"""What stands on the page and in which order: per section its words, its figures, its tables, its suites."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from analysis.claims import ledger
from analysis.claims_study import study_claims
from analysis.compare_figures import figure_rows
from analysis.controls import controls_tables
from analysis.decompose_tables import decomposition_tables
from analysis.experiments.oracle import oracle_document
from analysis.experiments.phantom import phantom_document
from analysis.experiments.rollback import rollback_document
from analysis.experiments.routing import routing_document
from analysis.experiments.verify_cost import verify_cost_document
from analysis.figures_of import published_figures, study_figures
from analysis.plots.subject import Subject
from analysis.render import Table
from analysis.report.controlled import found_by, logged_by, tables_of
from analysis.report.machine import machine_tables
from analysis.reproduction import comparison
from analysis.tables import study_tables
from analysis.tpot.study import configurations as tpot_configurations
from analysis.tpot.tables import study_document

MATRIX = "all"


@dataclass(frozen=True)
class Section:
    """One section. `suite`: what to run where it has neither figure nor table; `plots`: names of figures.

    `tables` get the whole study. The first `n_open` of them stand open, the others behind their titles.
    """

    name: str
    title: str
    intro: str
    plots: tuple[str, ...]
    tables: Callable[[Subject], Sequence[Table]]
    suite: str = MATRIX
    n_open: int = 0


def _none(_: Subject) -> Sequence[Table]:
    return ()


def _printed(subject: Subject) -> Sequence[Table]:
    return study_tables(subject.study).tables


def _decomposition(subject: Subject) -> Sequence[Table]:
    if not subject.explained:
        return ()
    parts = decomposition_tables(subject.explained)[:3]
    return (*parts, *controls_tables(subject.study, subject.main))


def _acceptance(subject: Subject) -> Sequence[Table]:
    return decomposition_tables(subject.explained)[3:] if subject.explained else ()


def _tpot(subject: Subject) -> Sequence[Table]:
    suites = {one.suite for one in subject.main}
    if not suites:
        return ()
    rows = tuple(row for row in tpot_configurations(subject.study) if row.suite in suites)
    return tables_of(study_document(subject.study, rows))


def _beside(subject: Subject) -> Sequence[Table]:
    if not subject.main:
        return ()
    rows = figure_rows(published_figures(), study_figures(subject.study, subject.found, ()))
    return tables_of(comparison(subject.study.name, rows, ()).document)


def _claims(subject: Subject) -> Sequence[Table]:
    return ledger(subject.study.name, study_claims(subject.study)).tables


def _machine(subject: Subject) -> Sequence[Table]:
    return machine_tables(subject.study)


STUDY_SECTIONS: tuple[Section, ...] = (
    Section(
        "tables", "The published tables, regenerated",
        "The tables of the published study with this study's figures. Brackets hold the 95% interval; ~ marks "
        "an interval that contains no effect.", (), _printed, n_open=4,
    ),
    Section(
        "decomposition", "Why: what each cause contributes",
        "S = τ / (v + d + o): tokens per cycle over what a cycle costs in plain tokens (verifying v, drafting d, "
        "all the rest o). The parts below sum to ln S without remainder.", ("contributions",), _decomposition,
        n_open=1,
    ),
    Section(
        "verification", "What verification costs",
        "If many tokens cost as much to verify as one, v stays at 1. A mixture of experts reads more experts the "
        "more tokens a pass has.", ("verify-cost",), found_by(verify_cost_document), suite="verify-cost",
    ),
    Section(
        "routing", "Which experts tokens touch",
        "Independent, uniform routing would touch N(t) experts. Tokens that follow each other share some, and "
        "then verifying them together is cheaper.", ("expert-coverage",), logged_by(routing_document),
        suite="routing",
    ),
    Section(
        "acceptance", "Where drafts fail",
        "Acceptance by position, and how many tokens a cycle accepts.",
        ("acceptance-by-position", "accepted-per-cycle"), _acceptance,
    ),
    Section(
        "speedup", "Speedup over γ", "Paired within a block with plain decoding of the same prompt.",
        ("speedup-over-gamma",), _none,
    ),
    Section(
        "throughput", "Throughput", "Tokens per second with and without speculation.", ("throughput",), _none,
    ),
    Section(
        "prompt-length", "Prompt length", "Does a longer prompt change the answer?", ("prompt-length",), _none,
        suite="prompt-sweep",
    ),
    Section(
        "tpot", "Time per output token",
        "Expected: drafting and one target pass, nothing else. Observed: the wall clock. What lies between is "
        "overhead.", ("time-per-output-token",), _tpot,
    ),
    Section(
        "moesd", "The MoESD model",
        "The paper's points and the ten-parameter model fitted to every eleventh of them: where batching makes "
        "speculation pay on a mixture of experts. These are the paper's measurements, not this study's.",
        ("moesd",), _none,
    ),
    Section(
        "oracle", "Acceptance that was set, not found",
        "Oracle drafts accept at a known rate, so acceptance and its cost vary one at a time.",
        ("oracle-plane",), found_by(oracle_document), suite="oracle",
    ),
    Section(
        "rollback", "What taking tokens back costs",
        "The same configuration under each rollback that proved right.", ("rollback-cost",),
        found_by(rollback_document),
        suite="rollback", n_open=1,
    ),
    Section(
        "phantom", "The phantom beside honest runs",
        "The same models in a loop that ignores refused rollbacks and failed passes: fast, wrong, hardly "
        "anything accepted. Marked runs; no other figure uses them.", ("phantom-beside-honest",),
        found_by(phantom_document), suite="phantom", n_open=1,
    ),
    Section(
        "published", "Published figures beside this study",
        "Row by row: reproduced, not reproduced, or not comparable, and why.", ("published-beside-study",),
        _beside,
    ),
    Section(
        "claims", "The published claims, judged",
        "Each finding of the published study as a statement that figures can decide.", (), _claims, n_open=1,
    ),
    Section(
        "machine", "Machine, software, models",
        "Everything that was the same for all runs, with checksums of every file.", (), _machine, n_open=3,
    ),
)  # fmt: skip
