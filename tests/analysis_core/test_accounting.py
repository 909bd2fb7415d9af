"""The identity S = τ/(v+d+o) closes from raw cycles; every output is held against its baseline's."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.accounting import NEAR_TIE_MARGIN_LOGITS, cells, losslessness, pairs
from analysis.load import RunArrays, load_study
from runner.record import Cycles, Failure
from tests.simulated import (
    Config,
    but,
    honest_study,
    manifest_of,
    simulate,
    with_cycles,
    with_measurement,
    write_study,
)

SMALL = Config(suites=("dense-sd", "moe-baseline"), n_predict_tokens=48, blocks=2, reference_every=5)
EXACT = but(SMALL, noise=0.0, python_ms=0.0)


def load(tmp_path, records):
    return load_study(write_study(tmp_path, manifest_of(SMALL), records))


def test_every_pair_of_an_honest_study_closes(tmp_path):
    found = pairs(load_study(honest_study(tmp_path, SMALL)))
    assert len(found) == 2 * 4 * 3 * 2
    np.testing.assert_allclose(found["identity"], found["speedup"], rtol=1e-9)
    assert (found["verdict"] == "identical").all()


def test_without_noise_the_quantities_are_those_of_the_cost_model(tmp_path):
    found = pairs(load_study(honest_study(tmp_path, EXACT)))
    four = found[(found["target"] == "dense-9b") & (found["gamma"] == 4)]
    t1 = 29.9 + 0.02
    np.testing.assert_allclose(four["t1_ms"], t1, rtol=1e-6)
    width = four["drafted_tokens"] / four["n_cycles"]
    np.testing.assert_allclose(four["d"], width * 7.2 / t1, rtol=1e-6)
    np.testing.assert_allclose(four["v"], (1 + 0.05 * width) * 29.9 / t1, rtol=1e-6)


def test_tau_and_alpha_are_counted_from_the_cycles(tmp_path):
    records = simulate(SMALL)
    found = pairs(load(tmp_path, records))
    for row, tau, alpha in zip(found.index, found["tau"], found["alpha"], strict=True):
        cycles = records[row].measurement.cycles
        assert tau == pytest.approx(48 / len(cycles.accepted))
        assert alpha == pytest.approx(sum(cycles.accepted) / sum(cycles.drafted))


def test_reference_runs_take_no_part(tmp_path):
    study = load_study(honest_study(tmp_path, SMALL))
    assert (study.runs["purpose"] == "reference").any()
    assert (cells(study)["purpose"] != "reference").all()


def test_each_run_is_paired_with_the_baseline_of_its_own_block(tmp_path):
    study = load_study(honest_study(tmp_path, SMALL))
    found = pairs(study)
    beside = study.runs.loc[found["baseline_row"]]
    for name in ("suite", "target", "pair_draft", "prompt", "block"):
        assert (found[name].to_numpy() == beside[name].to_numpy()).all()
    assert (beside["gamma"] == 0).all()
    assert (found["baseline_run_id"].to_numpy() == beside["run_id"].to_numpy()).all()


def test_a_run_whose_baseline_failed_is_left_out(tmp_path):
    records = simulate(SMALL)
    index = next(i for i, r in enumerate(records) if r.cell.suite == "dense-sd" and r.cell.gamma == 0)
    records[index] = msgspec.structs.replace(
        records[index], status="failed", measurement=None, failure=Failure(kind="EngineError", message="no")
    )
    assert len(pairs(load(tmp_path, records))) == 48 - 3


def test_cycles_dropped_from_the_count_open_the_identity(tmp_path):
    records = simulate(SMALL)
    index = next(i for i, r in enumerate(records) if r.cell.gamma == 8)
    cycles = records[index].measurement.cycles
    records[index] = with_cycles(
        records[index], **{name: getattr(cycles, name)[::2] for name in Cycles.__struct_fields__}
    )
    row = pairs(load(tmp_path, records)).loc[index]
    assert abs(row["identity"] / row["speedup"] - 1) > 0.02


def test_a_run_without_cycles_has_no_rates_and_raises_nothing(tmp_path):
    records = simulate(SMALL)
    index = next(i for i, r in enumerate(records) if r.cell.gamma == 8)
    records[index] = with_measurement(
        with_cycles(records[index], **{name: [] for name in Cycles.__struct_fields__}),
        tokens=[],
    )
    row = pairs(load(tmp_path, records)).loc[index]
    assert np.isnan(row["tau"])
    assert np.isnan(row["speedup"])
    assert row["verdict"] == "broken"


def output(tokens, margins=()):
    none = np.empty(0, np.int64)
    few = np.empty(0, np.int32)
    return RunArrays(
        few, few, none, none, none, none, np.array(tokens, dtype=np.int32), np.array(margins, dtype=np.float32)
    )


def test_equal_tokens_are_identical():
    assert losslessness(output([1, 2, 3]), output([1, 2, 3])).kind == "identical"


def test_a_difference_at_a_small_margin_is_a_near_tie():
    verdict = losslessness(output([1, 9, 9]), output([1, 2, 3], [5, NEAR_TIE_MARGIN_LOGITS / 2, 5]))
    assert (verdict.kind, verdict.first_difference) == ("near-tie", 1)
    assert verdict.margin == pytest.approx(NEAR_TIE_MARGIN_LOGITS / 2)


def test_a_difference_at_a_clear_margin_is_broken_whatever_comes_later():
    assert losslessness(output([1, 9, 9]), output([1, 2, 3], [5, 4, 0.01])).kind == "broken"


def test_a_difference_without_a_recorded_margin_is_broken():
    assert losslessness(output([1, 9]), output([1, 2])).kind == "broken"


@pytest.mark.parametrize("tokens", [[1, 2], [1, 2, 3, 4], []])
def test_an_output_of_another_length_is_broken(tokens):
    verdict = losslessness(output(tokens), output([1, 2, 3], [0.0, 0.0, 0.0]))
    assert (verdict.kind, verdict.first_difference) == ("broken", min(len(tokens), 3))


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12), st.lists(st.integers(0, 3), min_size=1, max_size=12))
def test_identical_is_said_exactly_when_the_outputs_are_equal(left, right):
    verdict = losslessness(output(left), output(right, [9.0] * len(right)))
    assert (verdict.kind == "identical") == (left == right)
