"""A speedup is the sum of its causes: exactly in every run, and as a mean over runs with intervals."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.decompose import contributions, counterfactuals, decompose
from analysis.load import load_study
from runner.errors import DataError
from tests.simulated import Config, but, honest_study, manifest_of, simulate, with_measurement, write_study

SMALL = Config(suites=("dense-sd",), n_predict_tokens=64, blocks=2)
costs = st.floats(0.01, 50)
gammas = st.integers(1, 32)


def study_of(tmp_path, config=SMALL):
    return load_study(honest_study(tmp_path, config))


@given(tau=st.floats(1, 33), v=costs, d=costs, o=costs, gamma=gammas)
def test_the_contributions_sum_to_the_log_of_the_speedup(tau, v, d, o, gamma):
    parts = contributions(tau=tau, v=v, d=d, o=o, gamma=gamma)
    assert sum(parts) == pytest.approx(math.log(tau / (v + d + o)), abs=1e-9)


@given(tau=st.floats(1, 33), v=costs, d=costs, o=costs, gamma=gammas)
def test_the_contributions_are_the_mean_over_all_orders_of_the_three_causes(tau, v, d, o, gamma):
    def log_speedup(known):
        tokens = tau if "acceptance" in known else 1.0
        verify = v if "amortization" in known else gamma + 1.0
        return math.log(tokens / (verify + (d + o if "drafting" in known else 0.0)))

    players = ("amortization", "acceptance", "drafting")
    shares = dict.fromkeys(players, 0.0)
    for order in itertools.permutations(players):
        for position, player in enumerate(order):
            gain = log_speedup(order[: position + 1]) - log_speedup(order[:position])
            shares[player] += gain / math.factorial(len(players))
    parts = contributions(tau=tau, v=v, d=d, o=o, gamma=gamma)._asdict()
    for player in players:
        assert parts[player] == pytest.approx(shares[player], abs=1e-9)
    assert parts["width"] == pytest.approx(log_speedup(()))


def test_perfect_amortization_pays_back_exactly_the_width():
    parts = contributions(tau=1.0, v=1.0, d=1e-12, o=0.0, gamma=4)
    assert parts.width + parts.amortization == pytest.approx(0.0, abs=1e-9)


@given(tau=st.floats(1, 33), v=costs, d=costs, o=costs, gamma=gammas)
def test_the_counterfactuals_bound_what_was_measured(tau, v, d, o, gamma):
    speedup = min(tau, gamma + 1) / (v + d + o)
    other = counterfactuals(tau=min(tau, gamma + 1), v=v, d=d, o=o, gamma=gamma)
    assert other.nothing_accepted <= speedup * (1 + 1e-12)
    assert speedup <= other.everything_accepted * (1 + 1e-12)
    assert speedup <= other.free_drafting * (1 + 1e-12)


@given(v=st.floats(1, 50), d=costs, o=costs)
def test_amortization_alone_never_speeds_up_when_a_wider_pass_is_not_cheaper(v, d, o):
    assert counterfactuals(tau=1.0, v=v, d=d, o=o, gamma=4).nothing_accepted < 1


def test_the_parts_of_every_configuration_sum_to_its_speedup(tmp_path):
    found = decompose(study_of(tmp_path))
    assert len(found) == 6
    for one in found:
        total = sum(part.point for part in one.contributions.values())
        assert total == pytest.approx(math.log(one.speedup.point), abs=1e-12)


def test_the_estimates_find_the_cost_model_again(tmp_path):
    config = but(SMALL, n_predict_tokens=256, blocks=3)
    one = next(one for one in decompose(study_of(tmp_path, config)) if one.configuration.target == "dense-9b")
    assert one.configuration.gamma == 4
    assert one.v.point == pytest.approx(1.2, rel=0.03)
    assert one.d.point == pytest.approx(4 * 7.2 / 29.9, rel=0.03)
    assert one.acceptance.geometric.agreement.point == pytest.approx(0.70, abs=0.04)


def test_configurations_come_in_the_order_of_the_manifest(tmp_path):
    keys = [(one.configuration.target, one.configuration.gamma) for one in decompose(study_of(tmp_path))]
    assert keys == [(target, gamma) for target in ("dense-4b", "dense-9b") for gamma in (4, 8, 16)]


def test_the_conditional_acceptance_rebuilds_the_histogram(tmp_path):
    one = decompose(study_of(tmp_path))[0]
    survivors = np.array([sum(one.acceptance.histogram[k:]) for k in range(5)])
    assert [place.accepted for place in one.acceptance.positions] == survivors[1:].tolist()
    for place in one.acceptance.positions:
        assert place.reached <= survivors[place.position - 1]
        assert place.rate.low <= place.rate.point <= place.rate.high


def spoiled(tmp_path, spoil):
    records = simulate(SMALL)
    for index, record in enumerate(records):
        if record.cell.gamma == 4:
            records[index] = spoil(record)
    return decompose(load_study(write_study(tmp_path, manifest_of(SMALL), records)))


def test_broken_runs_are_counted_but_explain_nothing(tmp_path):
    found = spoiled(tmp_path, lambda record: with_measurement(record, tokens=[7] * 64))
    assert [one.configuration.n_broken for one in found] == [8, 0, 0, 8, 0, 0]
    assert found[0].speedup is None
    assert found[0].contributions == {}
    assert found[1].speedup is not None


def test_runs_of_two_builds_are_not_averaged(tmp_path):
    records = simulate(SMALL)
    records[1] = type(records[1])(**{**{f: getattr(records[1], f) for f in records[1].__struct_fields__},
                                     "engine_version": "sim-2"})  # fmt: skip
    study = load_study(write_study(tmp_path, manifest_of(SMALL), records))
    with pytest.raises(DataError, match="refuses to average over engine_version"):
        decompose(study)
