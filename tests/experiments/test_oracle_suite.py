"""The declared oracle suite: without rounding in between, its τ is decided by its seeds and known beforehand."""

from __future__ import annotations

from collections import defaultdict

import pytest

from analysis.experiments.oracle import expected_tau
from runner.cells import steps_of
from runner.decode import generate
from runner.drafter_names import drafter_spec
from runner.drafters import OracleDrafter, chance_seed
from suites.loader import load_suite
from tests.scripted_models import VOCABULARY, HashTarget, greedy, ticking_clock

SUITE = load_suite("oracle")
PROMPT = [3]


@pytest.mark.parametrize("study_seed", [1, 2, 3])
def test_at_least_57_of_60_cells_lie_within_their_95_percent_interval(study_seed):
    n_tokens = SUITE.n_predict_tokens
    truth = greedy(1, PROMPT, n_tokens)
    n_cycles = defaultdict(list)
    for step in steps_of(SUITE):
        cell, spec = step.cell, drafter_spec(step.cell.draft)
        if cell.gamma == 0 or spec is None or spec.kind != "oracle":
            continue
        oracle = OracleDrafter(truth, spec.probability, VOCABULARY, chance_seed(study_seed, cell))
        run = generate(HashTarget(1), oracle, PROMPT, gamma=cell.gamma, n_predict=n_tokens, clock=ticking_clock())
        n_cycles[cell.target, cell.draft, cell.gamma, spec.probability].append(len(run.cycles.drafted))
    inside = [
        expected_tau(probability, gamma, n_tokens, len(found)).holds(len(found) * n_tokens / sum(found))
        for (_, _, gamma, probability), found in n_cycles.items()
    ]
    assert len(inside) == 60
    assert sum(inside) >= 57


def test_charged_or_free_an_oracle_has_the_same_targets_gammas_and_chances():
    free = {name for name in SUITE.axes.drafters if name.startswith("oracle") and not name.endswith("-charged")}
    charged = {name.removesuffix("-charged") for name in SUITE.axes.drafters if name.endswith("-charged")}
    assert free == charged == {f"oracle-{chance:.2f}" for chance in (0, 0.25, 0.5, 0.75, 1)}
    assert SUITE.axes.gammas == [4, 8, 16]
