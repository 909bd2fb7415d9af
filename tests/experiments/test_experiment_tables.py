"""The tables of the controlled suites, from studies whose truth is known."""

import itertools
import random
from math import isnan

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.experiments.oracle import cycles_distribution, expected_tau, oracle_document
from analysis.experiments.phantom import phantom_document
from analysis.experiments.rollback import rollback_document
from analysis.experiments.verify_cost import (
    break_even_acceptance,
    cost_curves_by_gamma,
    expected_tokens,
    fitting_curve,
    verify_cost_document,
)
from analysis.load import load_study
from analysis.stats import Estimate
from runner.decode import generate
from runner.drafters import OracleDrafter, SweepDrafter
from runner.errors import DataError
from runner.record import Cell, Cycles, Measurement, RunRecord, UncheckedCounts, run_identity
from tests.scripted_models import VOCABULARY, HashTarget, greedy, ticking_clock
from tests.simulated import ENGINE, MODELS, SETTINGS, Config, manifest_of, write_study

T1_NS = 1_000_000
SHA = {facts.role: facts.sha256 for facts in MODELS}


def cost_of(n_tokens: int) -> float:
    """v(n) of the simulated target: dear at first, nearly free from eight tokens on."""
    return 1 + 0.5 * min(n_tokens - 1, 8) + 0.01 * max(n_tokens - 9, 0)


def timed(cycles: Cycles, *, draft_ns: int = 0, rollback_ns: int = 0, speed: float = 1.0) -> Cycles:
    return msgspec.structs.replace(
        cycles,
        draft_ns=[drafted * draft_ns for drafted in cycles.drafted],
        verify_ns=[int(cost_of(drafted + 1) * T1_NS * speed) for drafted in cycles.drafted],
        rollback_ns=[rollback_ns] * len(cycles.drafted),
        sample_ns=[0] * len(cycles.drafted),
    )


def record(cell: Cell, tokens, cycles: Cycles, order: int, **measured) -> RunRecord:
    wall = sum(cycles.draft_ns) + sum(cycles.verify_ns) + sum(cycles.rollback_ns) + sum(cycles.sample_ns)
    rollback = "none" if cell.gamma == 0 else measured.pop("target_rollback", "snapshots")
    measurement = Measurement(
        n_prompt_tokens=10, prompt_tokens_sha256="0", target_rollback=rollback, draft_rollback="none",
        n_rs_seq=0, prefill_tokens=9, prefill_target_ns=1, prefill_draft_ns=1, decode_wall_ns=wall,
        llama_ns=wall, cycles=cycles, tokens=list(tokens), margins=[9.0] * (0 if cell.gamma else len(tokens)),
        **measured,
    )  # fmt: skip
    return RunRecord(
        run_id=run_identity(cell, SETTINGS, ENGINE, SHA[cell.target], SHA.get(cell.draft)),
        order=order, cell=cell, status="ok", started_utc="2026-01-01T00:00:00Z", started_monotonic_ns=order,
        engine_version=ENGINE.version, target_sha256=SHA[cell.target], draft_sha256=SHA.get(cell.draft),
        measurement=measurement, mark="phantom" if cell.draft == "unchecked" else None,
    )  # fmt: skip


def cell(suite: str, draft: str, gamma: int, *, block: int = 0, n_predict: int = 64, **more) -> Cell:
    return Cell(
        suite=suite, target="moe-q4", draft=draft if gamma else "none", pair_draft="draft-0.8b", gamma=gamma,
        prompt="code", prompt_sha256="0", n_predict_tokens=n_predict, block=block, **more,
    )  # fmt: skip


def scripted_run(one: Cell, drafter_of, order: int, **timing) -> RunRecord:
    truth = greedy(1, [3], one.n_predict_tokens)
    generation = generate(
        HashTarget(1),
        drafter_of(truth),
        [3],
        gamma=one.gamma,
        n_predict=one.n_predict_tokens,
        clock=ticking_clock(),
    )
    return record(one, generation.tokens, timed(generation.cycles, **timing), order)


def study_of(tmp_path, records):
    write_study(tmp_path, manifest_of(Config()), records)
    return load_study(tmp_path)


@pytest.fixture
def sweep_records():
    n_predict = 606
    base = cell("verify-cost", "none", 0, n_predict=n_predict)
    records = [scripted_run(base, lambda truth: OracleDrafter(truth, 0.0, VOCABULARY, 1), 0)]
    for gamma in (4, 8, 32):
        sweep = cell("verify-cost", "sweep", gamma, n_predict=n_predict)
        records.append(scripted_run(sweep, lambda truth, g=gamma: SweepDrafter(truth, g, 1), len(records)))
    return records


def snapshots_slow(records, factor_of):
    """The sweeps as if each kept snapshot slowed every pass of its context."""
    slowed = []
    for one in records:
        cycles, factor = one.measurement.cycles, factor_of(one.cell.gamma)
        verify_ns = [round(ns * factor) for ns in cycles.verify_ns]
        measured = msgspec.structs.replace(
            one.measurement, cycles=msgspec.structs.replace(cycles, verify_ns=verify_ns),
            decode_wall_ns=one.measurement.decode_wall_ns + sum(verify_ns) - sum(cycles.verify_ns),
        )  # fmt: skip
        slowed.append(msgspec.structs.replace(one, measurement=measured))
    return slowed


def slowdown(gamma: int) -> float:
    return 1 + gamma / 32


def test_the_cost_curve_is_the_one_that_was_simulated(tmp_path, sweep_records):
    curve = cost_curves_by_gamma(study_of(tmp_path, sweep_records))["moe-q4", 32]
    assert set(curve.samples) == set(range(1, 34))
    for size in (1, 2, 5, 9, 17, 33):
        assert curve.estimate(size).point == pytest.approx(cost_of(size), rel=1e-3)
    assert curve.at(np.array([4.5]))[0] == pytest.approx((cost_of(4) + cost_of(5)) / 2, rel=1e-3)


def test_what_a_change_of_size_costs_is_found_and_is_no_part_of_any_size(tmp_path, sweep_records):
    dearer = []
    for one in sweep_records:
        cycles = one.measurement.cycles
        drafted = [None, *cycles.drafted[:-1]] if one.cell.gamma else cycles.drafted
        more_ns = [T1_NS // 4 * (now != before) for now, before in zip(cycles.drafted, drafted, strict=True)]
        verify_ns = [ns + more for ns, more in zip(cycles.verify_ns, more_ns, strict=True)]
        measured = msgspec.structs.replace(
            one.measurement, cycles=msgspec.structs.replace(cycles, verify_ns=verify_ns),
            decode_wall_ns=one.measurement.decode_wall_ns + sum(more_ns),
        )  # fmt: skip
        dearer.append(msgspec.structs.replace(one, measurement=measured))
    study = study_of(tmp_path, dearer)
    curve = cost_curves_by_gamma(study)["moe-q4", 32]
    assert curve.change == pytest.approx(0.25)
    for size in (1, 2, 9, 10, 17, 33):
        assert curve.estimate(size).point == pytest.approx(cost_of(size), rel=1e-3)
    assert verify_cost_document(study).tables[0].rows[0]["change"] == pytest.approx(0.25)


def test_every_gamma_has_a_curve_of_its_own(tmp_path, sweep_records):
    curves = cost_curves_by_gamma(study_of(tmp_path, sweep_records))
    assert {key: max(curve.samples) for key, curve in curves.items()} == {
        ("moe-q4", 4): 5,
        ("moe-q4", 8): 9,
        ("moe-q4", 32): 33,
    }


@pytest.mark.parametrize(("n_tokens", "gamma"), [(1, 4), (5, 4), (6, 8), (9, 8), (10, 32), (33, 32)])
def test_a_pass_is_read_off_the_smallest_context_that_verifies_it(tmp_path, sweep_records, n_tokens, gamma):
    curves = cost_curves_by_gamma(study_of(tmp_path, sweep_records))
    assert fitting_curve(curves, "moe-q4", n_tokens) is curves["moe-q4", gamma]


def test_a_pass_that_no_context_verifies_has_no_curve(tmp_path, sweep_records):
    curves = cost_curves_by_gamma(study_of(tmp_path, sweep_records))
    assert fitting_curve(curves, "moe-q4", 34) is None
    assert fitting_curve(curves, "dense-4b", 2) is None


def test_the_first_nearly_free_token_is_found(tmp_path, sweep_records):
    curves = cost_curves_by_gamma(study_of(tmp_path, sweep_records))
    assert curves["moe-q4", 32].nearly_free_from() == 9


def test_the_table_shows_each_size_in_the_context_that_speculation_has_for_it(tmp_path, sweep_records):
    study = study_of(tmp_path, snapshots_slow(sweep_records, slowdown))
    row = verify_cost_document(study).tables[0].rows[0]
    assert (row["target"], row["free_from"]) == ("moe-q4", 9)
    shown = {size: row[f"v{size}"].point for size in (2, 5, 9, 17, 33)}
    gamma_of = {2: 4, 5: 4, 9: 8, 17: 32, 33: 32}
    for size, found in shown.items():
        assert found == pytest.approx(cost_of(size) * slowdown(gamma_of[size]), rel=1e-3)


def test_break_even_takes_each_gamma_from_its_own_context(tmp_path, sweep_records):
    smaller = []
    for order, one in enumerate(sweep_records):
        cell = msgspec.structs.replace(one.cell, target="dense-0.8b")
        sha = {"run_id": f"{order:016x}", "target_sha256": SHA["dense-0.8b"]}
        smaller.append(msgspec.structs.replace(one, cell=cell, **sha))
    study = study_of(tmp_path, snapshots_slow([*sweep_records, *smaller], slowdown))
    (row,) = verify_cost_document(study).tables[1].rows
    assert (row["target"], row["draft"], row["draft_ratio"]) == ("moe-q4", "dense-0.8b", pytest.approx(1.0))
    for gamma in (4, 8):
        verify = cost_of(gamma + 1) * slowdown(gamma)
        assert row[f"free{gamma}"] == pytest.approx(break_even_acceptance(verify, gamma), rel=1e-2)
        assert row[f"paid{gamma}"] is None, "a draft as slow as its target never pays"


@given(st.floats(0.01, 0.99), st.integers(1, 32))
def test_break_even_inverts_the_expected_number_of_tokens(acceptance, gamma):
    cost = expected_tokens(acceptance, gamma)
    assert expected_tokens(break_even_acceptance(cost, gamma), gamma) == pytest.approx(cost)


def test_break_even_knows_the_always_and_the_never():
    assert break_even_acceptance(1.0, 4) == 0.0
    assert break_even_acceptance(5.0, 4) == pytest.approx(1.0)
    assert isnan(break_even_acceptance(5.01, 4))


@given(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), st.integers(1, 8), st.integers(1, 40))
def test_the_distribution_of_cycles_is_a_distribution(probability, gamma, n_tokens):
    chances = cycles_distribution(probability, gamma, n_tokens)
    assert chances.sum() == pytest.approx(1.0)
    assert (chances >= 0).all()
    assert chances[: -(-n_tokens // (gamma + 1))].sum() == 0, "no cycle yields more than gamma + 1"


def test_the_distribution_is_what_the_real_loop_with_a_real_oracle_does():
    truth = greedy(2, [1], 24)
    counts = [
        len(
            generate(
                HashTarget(2), OracleDrafter(truth, 0.5, VOCABULARY, seed), [1],
                gamma=4, n_predict=24, clock=ticking_clock(),
            ).cycles.drafted
        )
        for seed in range(600)
    ]  # fmt: skip
    expected = float(np.arange(25) @ cycles_distribution(0.5, 4, 24))
    assert np.mean(counts) == pytest.approx(expected, rel=0.02)


def test_tau_falls_into_its_interval_about_as_often_as_it_says():
    rng = random.Random(4)
    distribution = cycles_distribution(0.5, 8, 64)
    draws = [sum(rng.choices(range(65), distribution, k=4)) for _ in range(400)]
    expected = expected_tau(0.5, 8, 64, 4)
    inside = sum(expected.holds(4 * 64 / cycles) for cycles in draws)
    assert 0.93 < inside / 400 <= 1.0


def test_a_sure_and_a_hopeless_oracle_leave_nothing_to_chance():
    sure, hopeless = expected_tau(1.0, 4, 10, 2), expected_tau(0.0, 4, 10, 2)
    assert sure.point == sure.low == sure.high == 5.0
    assert hopeless.point == hopeless.low == hopeless.high == 1.0


@pytest.fixture
def oracle_records(sweep_records):
    records = list(sweep_records)
    for block in range(2):
        base = cell("oracle", "none", 0, block=block)
        records.append(scripted_run(base, lambda truth: OracleDrafter(truth, 0.0, VOCABULARY, 1), len(records)))
        for (name, chance), gamma in itertools.product((("0.00", 0.0), ("0.50", 0.5), ("1.00", 1.0)), (4, 8)):
            one = cell("oracle", f"oracle-{name}", gamma, block=block)
            seed = 100 * block + gamma
            records.append(
                scripted_run(
                    one, lambda truth, p=chance, s=seed: OracleDrafter(truth, p, VOCABULARY, s), len(records)
                )
            )
    return records


def test_every_oracle_cell_is_held_against_its_exact_expectation(tmp_path, oracle_records):
    rows = oracle_document(study_of(tmp_path, oracle_records)).tables[0].rows
    assert len(rows) == 6
    assert all(row["tau_holds"] for row in rows)


def test_s_from_the_cost_curve_equals_s_as_measured(tmp_path, oracle_records):
    for row in oracle_document(study_of(tmp_path, oracle_records)).tables[0].rows:
        assert isinstance(row["speedup"], Estimate)
        assert row["predicted"].point == pytest.approx(row["speedup"].point, rel=1e-3)


def test_the_summary_says_what_amortization_alone_is_worth(tmp_path, oracle_records):
    notes = oracle_document(study_of(tmp_path, oracle_records)).notes
    assert notes[0] == "τ lies within its 95 % interval in 6 of 6 oracle cells."
    assert notes[1] == "Measured S and S from verify-cost agree within their intervals in 6 of 6 cells."
    assert notes[2].endswith("never above 1.")


def test_an_oracle_without_a_sweep_says_how_to_have_s_predicted(tmp_path, oracle_records):
    alone = [one for one in oracle_records if one.cell.suite == "oracle"]
    document = oracle_document(study_of(tmp_path, alone))
    assert "run both into one study, `python -m runner suite verify-cost oracle`" in document.notes[1]
    assert all("predicted" not in row for row in document.tables[0].rows)


def test_an_oracle_that_cheats_is_found_out(tmp_path, oracle_records):
    cheat = next(one for one in oracle_records if one.cell.draft == "oracle-1.00" and one.cell.gamma == 4)
    index = oracle_records.index(cheat)
    fake = msgspec.structs.replace(cheat.cell, draft="oracle-0.00")
    oracle_records[index] = msgspec.structs.replace(cheat, cell=fake, run_id="f" * 16)
    rows = oracle_document(study_of(tmp_path, oracle_records)).tables[0].rows
    assert not all(row["tau_holds"] for row in rows)


def test_the_rollback_table_tells_the_strategies_apart(tmp_path):
    base = cell("rollback", "none", 0)
    records = [scripted_run(base, lambda truth: OracleDrafter(truth, 0.0, VOCABULARY, 1), 0)]
    for strategy, cost in (("snapshots", 10_000), ("checkpoint", 700_000)):
        one = cell("rollback", "oracle-0.50", 4, rollback=strategy)
        run = scripted_run(one, lambda truth: OracleDrafter(truth, 0.5, VOCABULARY, 1), 1, rollback_ns=cost)
        measured = msgspec.structs.replace(run.measurement, target_rollback=strategy)
        records.append(msgspec.structs.replace(run, measurement=measured))
    rows = rollback_document(study_of(tmp_path, records)).tables[0].rows
    assert [(row["rollback"], round(row["share"].point, 3)) for row in rows] == [
        ("checkpoint", 0.7),
        ("snapshots", 0.01),
    ]


@pytest.fixture
def phantom_records():
    base = cell("phantom", "none", 0)
    honest = cell("phantom", "draft-0.8b", 4)
    unchecked = cell("phantom", "unchecked", 4)
    truth = greedy(1, [3], 64)
    stale = [token for token in truth for _ in range(5)][:64]
    cycles = Cycles(
        drafted=[4] * 60 + [3, 2, 1, 0], accepted=[0] * 64, draft_ns=[0] * 64, verify_ns=[T1_NS // 2] * 64,
        rollback_ns=[0] * 64, sample_ns=[0] * 64,
    )  # fmt: skip
    counts = UncheckedCounts(
        failed_target_passes=51, failed_draft_passes=256, refused_rollbacks=120, target_passes=13, draft_passes=64
    )
    return [
        scripted_run(base, lambda truth: OracleDrafter(truth, 0.0, VOCABULARY, 1), 0),
        scripted_run(honest, lambda truth: OracleDrafter(truth, 0.5, VOCABULARY, 1), 1, draft_ns=100_000),
        record(unchecked, stale, cycles, 2, unchecked=counts),
    ]


def test_the_phantom_stands_beside_the_honest_run(tmp_path, phantom_records):
    printed, happened = (table.rows[0] for table in phantom_document(study_of(tmp_path, phantom_records)).tables)
    assert printed["phantom_speedup"].point == pytest.approx(2.0)
    assert printed["phantom_alpha"] == 0.0
    assert printed["honest_speedup"].point < 1
    assert printed["only_full_alpha"] == 1.0
    assert happened["failed_target"] == 51
    assert happened["draft_per_token"] == 1.0
    assert happened["repeats"] == 5


def test_no_other_table_sees_a_marked_run(tmp_path, phantom_records):
    from analysis.accounting import pairs

    assert "unchecked" not in set(pairs(study_of(tmp_path, phantom_records))["draft"])


@pytest.mark.parametrize(
    ("document", "suite"),
    [
        (verify_cost_document, "verify-cost"),
        (oracle_document, "oracle"),
        (rollback_document, "rollback"),
        (phantom_document, "phantom"),
    ],
)
def test_a_study_without_the_suite_says_which_to_run(tmp_path, document, suite):
    base = cell("moe-sd", "none", 0)
    records = [scripted_run(base, lambda truth: OracleDrafter(truth, 0.0, VOCABULARY, 1), 0)]
    with pytest.raises(DataError, match=f"run `python -m runner suite {suite}`"):
        document(study_of(tmp_path, records))
