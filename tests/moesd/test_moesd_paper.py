"""The paper's printed tables against the theory.

`paper_tables.csv`: the 60 cells of its two tables of peak speedups (times in a unit that it does not state).
`paper_efficiency.csv`: target efficiency (±.005) and speedup (±.01) read off the figure for Qwen2-57B-A14B on two
A800, HumanEval, temperature 0, γ = 4. Source: arXiv 2505.19645.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.moesd.fit import fit, rmse
from analysis.moesd.predict import Setting
from analysis.moesd.theory import alpha_from_sigma, sigma_from_alpha
from analysis.moesd.times import target_efficiency
from tests.moesd.truth import published

HERE = Path(__file__).parent
CELLS = pd.read_csv(HERE / "paper_tables.csv")
FIGURE = pd.read_csv(HERE / "paper_efficiency.csv")


@pytest.fixture(scope="module")
def fits():
    source = published()
    return [fit(source.grid.every(stride), source.facts, source.facts.rejection.max_ms) for stride in (11, 1)]


def points():
    alpha = float(alpha_from_sigma(0.91, 4))
    return Setting(64, 8, 4, alpha, "gamma").points(FIGURE["B"].to_numpy(float))


def test_every_printed_speedup_is_the_quotient_of_its_printed_times():
    assert len(CELLS) == 60
    assert np.max(np.abs(CELLS["t_ar"] / CELLS["t_sd"] - CELLS["speedup"])) < 0.0065


def test_forty_six_of_sixty_printed_speedups_exceed_what_line_11_as_printed_can_give():
    bound = CELLS["sigma"] * (CELLS["gamma"] + 1) / 2
    assert (CELLS["speedup"] > bound).sum() == 46


def test_no_printed_speedup_exceeds_the_tokens_of_a_cycle():
    assert (CELLS["speedup"] <= CELLS["sigma"] * (CELLS["gamma"] + 1)).all()


def test_every_printed_sigma_has_an_alpha_that_gives_it_back():
    alpha = alpha_from_sigma(CELLS["sigma"], CELLS["gamma"])
    assert np.all((alpha > 0.4) & (alpha < 0.98))
    assert sigma_from_alpha(alpha, CELLS["gamma"]) == pytest.approx(CELLS["sigma"].to_numpy())


def test_the_sigmas_of_the_published_facts_are_those_of_the_table():
    rows = CELLS.query("hardware == '2xA800' and model.str.startswith('Qwen2') and task == 'HumanEval'")
    printed = rows.query("temperature == 0").set_index("gamma")["sigma"].to_dict()
    assert published().facts.sigma == printed


def test_figure_4_and_the_efficiency_figure_show_the_same_measurements():
    frame = published().grid.frame
    same = frame[(frame["K"] == 8) & (frame["gamma"] == 4)]
    assert same["B"].tolist() == FIGURE["B"].tolist()
    assert np.max(np.abs(same["speedup"].to_numpy() - FIGURE["speedup"].to_numpy())) < 0.03


def test_target_efficiency_comes_out_though_no_fit_ever_saw_it(fits):
    measured = FIGURE["target_efficiency"].to_numpy()
    errors = [rmse(target_efficiency(f.parameters, points(), f.ridge_tokens) - measured) for f in fits]
    assert errors[0] < 0.04
    assert errors[1] < 0.06


def test_target_efficiency_first_rises_and_then_falls_with_batch_size(fits):
    """The paper's central observation for sparse mixtures: a dense target's only falls."""
    for found in fits:
        efficiency = target_efficiency(found.parameters, points(), found.ridge_tokens)
        peak = int(efficiency.argmax())
        assert 0 < peak < len(efficiency) - 1
        assert 8 <= FIGURE["B"][peak] <= 24


def test_the_rest_of_a_cycle_costs_about_one_plain_step_at_batch_one():
    """What the paper calls less than a tenth: at B = 1 drafting and rejection take about a whole target step."""
    alone = FIGURE.iloc[0]
    tokens = 0.91 * 5
    assert tokens / alone["speedup"] - 1 / alone["target_efficiency"] == pytest.approx(1.0, abs=0.1)
