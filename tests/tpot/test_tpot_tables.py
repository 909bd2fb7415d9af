"""The printed tables and figures of time per output token."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.load import load_study
from analysis.published import tpot_notebook
from analysis.render import render
from analysis.stats import Estimate
from analysis.tpot.model import Best
from analysis.tpot.notebook import implied, pair_of
from analysis.tpot.plots import Curves, notebook_curves, study_curves, tpot_figure
from analysis.tpot.study import BestGamma, Configuration, best_gammas, by_pair, configurations
from analysis.tpot.tables import notebook_document, study_document
from tests.simulated import Config, honest_study

GOLDEN = Path(__file__).parent / "golden"
NOTES = tpot_notebook()
SMALL = Config(suites=("dense-sd",), blocks=2, n_predict_tokens=48)


def exactly(value: float, spread: float = 0.0) -> Estimate:
    return Estimate(value, value - spread, value + spread, n_prompts=4, n_blocks=6)


def configuration(gamma: int, tpot_ms: float, spread: float = 0.0, **changes) -> Configuration:
    length = 2.0 + 0.1 * gamma
    fields = {
        "suite": "s", "target": "t", "draft": "d", "gamma": gamma, "target_ms": exactly(20.0),
        "draft_ms": exactly(3.0), "draft_alone_ms": 2.0, "drafted": exactly(gamma),
        "cycle_ms": exactly(tpot_ms * length), "acceptance_length": exactly(length),
        "tpot_ms": exactly(tpot_ms, spread), "speedup": exactly(20.0 / tpot_ms),
    }  # fmt: skip
    return Configuration(**{**fields, **changes})


@pytest.mark.parametrize("form", ["md", "csv", "json"])
def test_the_notes_read_as_the_golden_document(form):
    assert render(notebook_document(NOTES), form) == (GOLDEN / f"notes.{form}").read_text(encoding="utf-8")


def test_a_simulated_study_reads_as_the_golden_document(tmp_path):
    study = load_study(honest_study(tmp_path / "simulated", SMALL))
    text = render(study_document(study, configurations(study)), "md")
    assert text == (GOLDEN / "study.md").read_text(encoding="utf-8")


def test_the_draft_alone_sets_the_expectation_where_it_is_known():
    known, unknown = configuration(4, 15.0), configuration(4, 15.0, draft_alone_ms=None)
    assert (known.expected_draft_ms, unknown.expected_draft_ms) == (2.0, 3.0)
    assert known.expected_tpot_ms == pytest.approx((4 * 2.0 + 20.0) / 2.4)
    assert unknown.expected_tpot_ms == pytest.approx((4 * 3.0 + 20.0) / 2.4)
    assert known.implied_draft_ms == pytest.approx((15.0 * 2.4 - 20.0) / 4)
    assert known.expected_speedup == pytest.approx(20.0 / known.expected_tpot_ms)


def test_gammas_within_the_noise_of_the_best_are_not_ruled_out():
    (best,) = best_gammas(
        (configuration(4, 15.0, 0.5), configuration(8, 15.6, 0.5), configuration(16, 18.0, 0.5))
    )
    assert best.observed == (4, 15.0)
    assert best.possible == (4, 8)


def test_each_pair_has_its_own_best():
    rows = (configuration(8, 9.0), configuration(4, 8.0), configuration(4, 7.0, target="u"))
    assert [[row.gamma for row in group] for group in by_pair(rows)] == [[4, 8], [4]]
    assert [(best.target, best.observed.gamma) for best in best_gammas(rows)] == [("t", 4), ("u", 4)]


def test_best_of_a_pair_is_a_record_of_both_sides():
    (best,) = best_gammas((configuration(4, 15.0),))
    assert best == BestGamma("s", "t", "d", Best(4, 15.0), Best(4, pytest.approx(28.0 / 2.4)), (4,))


def test_the_notes_figure_marks_both_minima():
    curves = notebook_curves(pair_of(NOTES), NOTES.constants.draft_tpot_ms, implied(NOTES))
    (axis,) = tpot_figure([curves]).axes
    expected, expected_best, current, current_best = axis.get_lines()
    assert (expected_best.get_xdata()[0], current_best.get_xdata()[0]) == (5, 4)
    assert expected_best.get_ydata()[0] == min(expected.get_ydata())
    assert current_best.get_ydata()[0] == min(current.get_ydata())


def test_a_study_has_one_panel_a_pair_and_hides_the_rest():
    rows = tuple(configuration(gamma, 10.0, target=target) for target in "abcd" for gamma in (4, 8))
    panels = study_curves(rows)
    assert [panel.title for panel in panels] == [f"s: {target} with d" for target in "abcd"]
    figure = tpot_figure(panels)
    assert [axis.get_visible() for axis in figure.axes] == [True] * 4 + [False] * 2


def test_a_panel_draws_what_it_was_given():
    (axis,) = tpot_figure([Curves("x", (2, 4), (3.0, 2.0), (4.0, 5.0))]).axes
    assert axis.get_lines()[0].get_ydata() == pytest.approx([3.0, 2.0])
    assert axis.get_lines()[2].get_ydata() == pytest.approx([4.0, 5.0])
    assert [text.get_text() for text in axis.get_legend().get_texts()] == [
        "expected, best at 4",
        "current, best at 2",
    ]
