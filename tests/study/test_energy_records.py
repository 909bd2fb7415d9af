"""Energy is written down with the run it belongs to, and records from before it was measured stay good."""

from pathlib import Path

import msgspec

from analysis.load import load_study
from runner.lines import decode_line
from runner.record import SCHEMA_VERSION, Energy
from runner.schedule import execute, missing_runs
from runner.study import Study
from tests.fake_executor import FakeExecutor, bench_for, manifest_for, measurement_of, records_in, small_plan

EXAMPLE = Path(__file__).parents[2] / "data" / "example" / "runs.jsonl"
PLAN = small_plan()
IDS = [run.run_id for run in PLAN.runs]
ENERGY = Energy(cpu_mj=12.0, gpu_mj=34.5)


def run_study(folder, executor):
    with Study(folder, manifest_for(PLAN), IDS) as study:
        execute(PLAN, missing_runs(PLAN, study), executor, study, bench_for())


def with_energy():
    """An executor on a machine with a meter."""
    executor = FakeExecutor()
    for run in PLAN.runs:
        executor.answers(run.order, msgspec.structs.replace(measurement_of(run, 1), energy=ENERGY))
    return executor


def without_energy(line):
    """The line as a version of this tool that knew no energy wrote it."""
    from runner.lines import _digest

    run = bytes(msgspec.json.decode(line, type=dict[str, msgspec.Raw])["run"]).replace(b',"energy":null', b"")
    return b'{"sha256":"%s","run":%s}\n' % (_digest(run).encode(), run)


def test_what_the_meter_said_is_in_every_record(tmp_path):
    run_study(tmp_path, with_energy())
    assert [record.measurement.energy for record in records_in(tmp_path)] == [ENERGY] * len(PLAN.runs)


def test_a_run_is_the_same_run_whether_its_energy_was_measured_or_not(tmp_path):
    run_study(tmp_path / "with", with_energy())
    run_study(tmp_path / "without", FakeExecutor())
    ids = [[record.run_id for record in records_in(tmp_path / name)] for name in ("with", "without")]
    assert ids[0] == ids[1] == IDS


def test_the_counters_are_columns_of_a_loaded_study(tmp_path):
    run_study(tmp_path, with_energy())
    runs = load_study(tmp_path).runs
    assert set(runs["energy_cpu_mj"]) == {12.0}
    assert set(runs["energy_gpu_mj"]) == {34.5}
    assert runs["energy_dram_mj"].isna().all()


def test_the_shipped_example_was_measured_without_energy_and_every_line_still_verifies():
    for number, line in enumerate(EXAMPLE.read_bytes().splitlines(keepends=True), start=1):
        record = decode_line(line, f"runs.jsonl:{number}")
        assert (record.schema_version, record.measurement.energy) == (SCHEMA_VERSION, None)


def test_a_study_begun_without_a_meter_is_continued_with_one(tmp_path):
    run_study(tmp_path, FakeExecutor())
    log = tmp_path / "runs.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(without_energy(line) for line in lines[:10]))
    run_study(tmp_path, with_energy())
    energies = [record.measurement.energy for record in records_in(tmp_path)]
    assert energies == [None] * 10 + [ENERGY] * (len(IDS) - 10)
    assert load_study(tmp_path).notes == ()
