"""Whatever stands in the records, the analysis answers or refuses in one line: no traceback, no warning."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.compare_figures import figure_rows
from analysis.compare_studies import compare_studies
from analysis.configurations import configurations
from analysis.decompose_tables import decompose_document
from analysis.figures_of import published_figures, study_figures
from analysis.load import load_study
from analysis.render import FORMATS, render
from analysis.reproduction import comparison
from analysis.tables import study_tables
from runner.errors import StudyError
from runner.record import Cycles
from tests.simulated import Config, manifest_of, simulate, with_cycles, with_measurement, write_study

SMALL = Config(
    suites=("moe-sd", "dense-sd"), n_predict_tokens=8, prompts=("short", "code"), blocks=1, gammas=(4,)
)
RECORDS = simulate(SMALL)

numbers = st.one_of(st.sampled_from([0, 1, -1, 2**31, 2**62]), st.integers(-5, 10**9))


@st.composite
def cycles(draw):
    n_cycles = draw(st.integers(0, 6))
    lists = {
        name: draw(st.lists(numbers, min_size=n_cycles, max_size=n_cycles)) for name in Cycles.__struct_fields__
    }
    return {name: [value % 2**31 for value in values] if name in ("drafted", "accepted") else values
            for name, values in lists.items()}  # fmt: skip


def answers(study):
    for document in (study_tables(study), decompose_document(study)):
        for form in FORMATS:
            render(document, form)
    figures = study_figures(study, configurations(study), ())
    json.loads(render(comparison("both", figure_rows(published_figures(), figures), ()).document, "json"))
    compare_studies(study, study)


def survives(path, records):
    study = load_study(write_study(path, manifest_of(SMALL), records))
    with contextlib.suppress(StudyError):
        answers(study)


@settings(max_examples=20)
@given(st.integers(0, len(RECORDS) - 1), cycles(), numbers, st.lists(st.integers(-5, 50), max_size=10))
def test_one_record_of_nonsense_harms_nothing(tmp_path_factory, index, lists, wall_ns, tokens):
    records = list(RECORDS)
    records[index] = with_measurement(with_cycles(records[index], **lists), decode_wall_ns=wall_ns, tokens=tokens)
    survives(tmp_path_factory.mktemp("nonsense"), records)


@pytest.mark.parametrize("field", ["draft_ns", "verify_ns", "rollback_ns", "sample_ns"])
@pytest.mark.parametrize("value", [0, -1, 10**12])
def test_a_study_whose_times_are_all_wrong_still_gets_an_answer(tmp_path, field, value):
    records = [
        with_cycles(record, **{field: [value] * len(record.measurement.cycles.accepted)}) for record in RECORDS
    ]
    survives(tmp_path / "wrong", records)


def test_a_study_of_baselines_that_took_no_time_still_gets_an_answer(tmp_path):
    records = [with_measurement(r, decode_wall_ns=0) if r.cell.gamma == 0 else r for r in RECORDS]
    survives(tmp_path / "instant", records)


def test_a_study_in_which_nothing_was_drafted_still_gets_an_answer(tmp_path):
    records = [
        with_cycles(r, drafted=[0] * 8, accepted=[0] * 8, draft_ns=[0] * 8, verify_ns=[10**7] * 8,
                    rollback_ns=[0] * 8, sample_ns=[0] * 8)
        if r.cell.gamma else r
        for r in RECORDS
    ]  # fmt: skip
    records = [with_measurement(r, decode_wall_ns=9 * 10**7) if r.cell.gamma else r for r in records]
    study = load_study(write_study(tmp_path / "idle", manifest_of(SMALL), records))
    answers(study)
