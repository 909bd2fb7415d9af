"""The sections of the controlled suites: filled from a study that has them all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from analysis.plots.catalogue import STUDY_PLOTS, drawn
from analysis.plots.subject import Subject, subject_of
from analysis.report.build import study_page
from analysis.report.page import rendered
from runner.grid_record import ROUTING_LOG
from runner.record import RunRecord, UncheckedCounts
from runner.suite_command import suite
from tests.audit.other_drafters import as_charged_oracle, as_drafted_by, as_rolled_back_by
from tests.grid_world import GridWorld
from tests.report.reading import read
from tests.simulated import Config, manifest_of, reidentified, simulate, with_measurement, write_study

CONFIG = Config(suites=("dense-sd",), blocks=2, n_predict_tokens=48, gammas=(4, 8))
COUNTS = UncheckedCounts(
    failed_target_passes=9, failed_draft_passes=1, refused_rollbacks=9, target_passes=10, draft_passes=40
)


def moved(record: RunRecord, name: str) -> RunRecord:
    return reidentified(record, replace(record.cell, suite=name))


def as_phantom(record: RunRecord) -> RunRecord:
    cycles = record.measurement.cycles
    careless = replace(cycles, accepted=[0] * len(cycles.accepted))
    marked = with_measurement(record, unchecked=COUNTS, cycles=careless, target_proof=None)
    return replace(reidentified(marked, replace(marked.cell, draft="unchecked")), mark="phantom")


def with_experiments() -> Iterator[RunRecord]:
    for one in simulate(CONFIG):
        yield one
        for name in ("oracle", "phantom", "rollback", "verify-cost"):
            copy = moved(one, name)
            if one.cell.gamma == 0:
                yield copy
            elif name == "oracle":
                yield from (
                    as_drafted_by(copy, "oracle-0.50"),
                    as_drafted_by(copy, "ngram"),
                    as_charged_oracle(copy),
                )
            elif name == "phantom":
                yield from (copy, as_phantom(copy))
            elif name == "rollback":
                yield from (as_rolled_back_by(copy, "snapshots"), as_rolled_back_by(copy, "checkpoint"))
            else:
                yield as_drafted_by(copy, "sweep")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("experiments")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPECSTUDY_CACHE", str(path / "cache"))
        done = CliRunner().invoke(suite, ["routing", "--out", str(path / "routing")], obj=GridWorld().wiring)
        assert done.exit_code == 0, done.output
    write_study(path / "study", manifest_of(CONFIG), with_experiments())
    (path / "study" / ROUTING_LOG).write_bytes((path / "routing" / ROUTING_LOG).read_bytes())
    return path / "study"


@pytest.fixture(scope="module")
def subject(folder: Path) -> Subject:
    return subject_of(folder)


EXPERIMENTS = ("oracle-plane", "rollback-cost", "phantom-beside-honest", "verify-cost", "expert-coverage")


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_that_was_run_has_its_figure(subject: Subject, name: str) -> None:
    plot = next(plot for plot in STUDY_PLOTS if plot.name == name)
    figure = drawn(plot, subject)
    assert figure is not None
    assert all(axis.get_xlabel() for axis in figure.axes if axis.get_visible() and not axis.get_shared_x_axes)


def test_every_section_has_something_to_show(folder: Path) -> None:
    page = rendered(study_page(folder))
    assert "No data: run `python -m runner suite all`" not in page
    empty = [one.text for one in read(page).elements if one.attributes.get("class") == "nothing"]
    assert [text for text in empty if "prompt-sweep" not in text] == []


def test_marked_and_controlled_runs_stay_out_of_the_answer(subject: Subject, folder: Path) -> None:
    assert {one.suite for one in subject.main} == {"dense-sd"}
    assert {one.draft for one in subject.main} == {"draft-0.8b"}
    rows = [one.text for one in read(rendered(study_page(folder))).elements if one.tag == "tr"]
    assert sum("phantom" in row and "unchecked" in row for row in rows) >= 2 * 2 * 4
