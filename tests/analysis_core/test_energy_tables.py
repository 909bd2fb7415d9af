"""Energy per token stands in the tables of studies that counted it, paired with the baseline like any speedup."""

from __future__ import annotations

import msgspec
import pytest

from analysis.configurations import configurations
from analysis.energy import NOTE, SUMMANDS, energy_rows
from analysis.load import load_study
from analysis.render import FORMATS, Document, render
from analysis.report.language import chinese
from analysis.stats import Estimate
from analysis.tables import study_tables
from runner.record import Energy, Failure
from tests.analysis_core.test_tables import check_golden, rows_of
from tests.simulated import Config, but, honest_study, manifest_of, simulate, with_measurement, write_study

PLAIN_W = {"cpu": 4.0, "gpu": 20.0, "gpu_sram": 2.0, "dram": 6.0, "ane": 0.0}
SPECULATIVE_W = {"cpu": 5.0, "gpu": 27.0, "gpu_sram": 3.0, "dram": 4.0, "ane": 0.0}
"""36 watts in the sum, 1.2 times those of plain decoding, and GPU SRAM beside it."""


def power_w(cell):
    return SPECULATIVE_W if cell.gamma else PLAIN_W


CONFIG = Config(suites=("dense-sd",), n_predict_tokens=64, power_w=power_w)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return load_study(honest_study(tmp_path_factory.mktemp("energy") / "simulated", CONFIG))


def changed(tmp_path, change, config=CONFIG):
    """The rows of a study whose records were changed one by one."""
    records = [change(record) for record in simulate(config)]
    study = load_study(write_study(tmp_path / "changed", manifest_of(config), records))
    return energy_rows(study, configurations(study))


def of_speculation(study, key):
    """One figure of the speculative table by target and gamma."""
    return {(row["target"], row["gamma"]): row[key].point for row in rows_of(study_tables(study), "speculative")}


def with_counters(record, **changes):
    return with_measurement(record, energy=msgspec.structs.replace(record.measurement.energy, **changes))


@pytest.mark.parametrize("form", FORMATS)
def test_the_tables_are_those_of_the_golden_file(study, form):
    document = study_tables(study)
    kept = tuple(table for table in document.tables if table.name in {"baseline", "energy"})
    check_golden(f"energy.{form}", render(Document("simulated", kept), form))


def test_a_run_whose_counters_stood_still_is_left_out_alone(tmp_path):
    still = {f"{name}_mj": 0.0 for name in SUMMANDS}

    def spoiled(record):
        first = record.cell.gamma == 4 and record.cell.block == 1 and record.cell.prompt == "code"
        return with_counters(record, **still) if first else record

    whole, rows = changed(tmp_path / "whole", lambda record: record), changed(tmp_path / "still", spoiled)
    assert len(rows) == len(whole)
    n_runs = {(row["target"], row["gamma"]): row["n_runs"] for row in whole}
    lost = {key: n_runs[key] - row["n_runs"] for row in rows if (key := (row["target"], row["gamma"]))}
    assert {gamma: n for (_, gamma), n in lost.items()} == {4: 1, 8: 0, 16: 0}


def test_a_study_that_counted_no_energy_says_nothing_of_it(tmp_path):
    document = study_tables(load_study(honest_study(tmp_path / "plain", but(CONFIG, power_w=None))))
    assert [table.name for table in document.tables] == ["baseline", "speculative"]
    assert "mJ" not in render(document, "md")


def test_the_ratio_is_power_over_power_times_time_over_time(study):
    speedups = of_speculation(study, "speedup")
    rows = rows_of(study_tables(study), "energy")
    assert len(rows) == len(speedups) == 6
    for row in rows:
        ratio = row["energy_ratio"]
        assert isinstance(ratio, Estimate)
        assert ratio.low <= ratio.point <= ratio.high
        assert ratio.point == pytest.approx(36 / 30 / speedups[row["target"], row["gamma"]], rel=0.01)
        assert ratio.neutral == 1


def test_energy_per_token_is_power_times_time_per_token(study):
    """1000 mJ a second and watt, over tokens a second; energies are averaged as they add up, speeds as ratios."""
    speeds = of_speculation(study, "tok_s")
    for row in rows_of(study_tables(study), "energy"):
        assert row["mj_per_token"].point == pytest.approx(36_000 / speeds[row["target"], row["gamma"]], rel=0.03)


def test_the_summands_make_the_sum_and_gpu_sram_is_none_of_them(study):
    for row in rows_of(study_tables(study), "energy"):
        parts = [row[f"{name}_mj_per_token"] for name in SUMMANDS]
        assert sum(parts) == pytest.approx(row["mj_per_token"].point)
        assert parts[3] == 0


def test_plain_decoding_has_its_energy_beside_its_speed(study):
    for row in rows_of(study_tables(study), "baseline"):
        assert row["mj_per_token"].point == pytest.approx(30_000 / row["tok_s"].point, rel=0.01)


@pytest.mark.parametrize("missing", SUMMANDS)
def test_a_counter_that_no_run_has_is_in_no_sum(study, tmp_path, missing):
    left = [name for name in SUMMANDS if name != missing]
    power = sum(SPECULATIVE_W[name] for name in left) / sum(PLAIN_W[name] for name in left)
    speedups = {(one.target, one.gamma): one.ratio("speedup").point for one in configurations(study)}
    rows = changed(tmp_path, lambda record: with_counters(record, **{f"{missing}_mj": None}))
    assert len(rows) == 6
    for row in rows:
        assert f"{missing}_mj_per_token" not in row
        assert sum(row[f"{name}_mj_per_token"] for name in left) == pytest.approx(row["mj_per_token"].point)
        expected = power / speedups[row["target"], row["gamma"]]
        assert row["energy_ratio"].point == pytest.approx(expected, rel=0.01)


def test_a_counter_that_one_run_lacks_is_left_out_of_all_that_are_compared_with_it(tmp_path):
    def forget(record):
        cell = record.cell
        lost = (cell.target, cell.gamma, cell.prompt, cell.block) == ("dense-4b", 0, "code", 1)
        return with_counters(record, dram_mj=None) if lost else record

    for row in changed(tmp_path, forget):
        assert ("dram_mj_per_token" in row) == (row["target"] == "dense-9b")


def test_a_pair_of_which_one_run_was_not_counted_is_left_out_and_the_count_says_so(tmp_path):
    def forget(record):
        cell = record.cell
        lost = (cell.target, cell.gamma, cell.prompt, cell.block) == ("dense-4b", 0, "code", 1)
        return with_measurement(record, energy=None) if lost else record

    counts = {(row["target"], row["gamma"]): row["n_runs"] for row in changed(tmp_path, forget)}
    assert set(counts.values()) == {11, 12}
    assert {target for (target, _), n_runs in counts.items() if n_runs == 11} == {"dense-4b"}


def test_counters_that_never_moved_are_no_energy(tmp_path):
    still = Energy(cpu_mj=0, gpu_mj=0)
    assert changed(tmp_path, lambda record: with_measurement(record, energy=still)) == ()


def test_runs_that_share_only_a_counter_that_stood_still_are_not_compared(tmp_path):
    plain, other = Energy(cpu_mj=5, ane_mj=0), Energy(gpu_mj=5, ane_mj=0)
    rows = changed(
        tmp_path, lambda record: with_measurement(record, energy=other if record.cell.gamma else plain)
    )
    assert rows == ()


def test_failed_runs_have_no_energy_and_stop_nothing(tmp_path):
    def fail(record):
        if record.cell.target != "dense-9b":
            return record
        failure = Failure(kind="EngineError", message="llama_decode returned -1")
        return msgspec.structs.replace(record, status="failed", measurement=None, failure=failure)

    assert {row["target"] for row in changed(tmp_path, fail)} == {"dense-4b"}


def test_energy_is_never_averaged_over_prompt_lengths(tmp_path):
    config = but(CONFIG, suites=("prompt-sweep",))
    assert changed(tmp_path, lambda record: record, config) == ()


def test_the_report_has_every_word_of_the_table_in_chinese(study):
    (table,) = [table for table in study_tables(study).tables if table.name == "energy"]
    assert table.notes == (NOTE,)
    for text in (table.title, NOTE, *(column.head for column in table.columns)):
        assert text == "γ" or chinese().of(text) is not None, text
