"""A measurement during which clocks disagree is repeated, and one that contradicts itself fails its run."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.fake_executor import (
    FakeClock,
    FakeExecutor,
    bench_for,
    measurement_of,
    records_in,
)
from tests.schedule.scripted_study import (
    ALL,
    SPECULATIVE,
    attempts_at,
    run_study,
)


def test_a_run_during_which_the_machine_slept_is_repeated(tmp_path: Path) -> None:
    clock, executor = FakeClock(), FakeExecutor()
    naps = iter([600.0])
    executor.before_run = lambda planned: clock.sleep_s(next(naps, 0.0)) if planned.order == 6 else None
    assert run_study(tmp_path, executor, bench_for(clock=clock)).failed == 0
    first, second = attempts_at(tmp_path, 6)
    assert first.failure is not None
    assert first.failure.kind == "ClockJump"
    assert "600.0 s" in first.failure.message
    assert first.measurement is not None, "every sample is kept"
    assert second.status == "ok"


def test_a_clock_set_back_is_noticed_too(tmp_path: Path) -> None:
    clock, executor = FakeClock(), FakeExecutor()
    naps = iter([-3600.0])
    executor.before_run = lambda planned: clock.sleep_s(next(naps, 0.0)) if planned.order == 6 else None
    run_study(tmp_path, executor, bench_for(clock=clock))
    assert [record.status for record in attempts_at(tmp_path, 6)] == ["failed", "ok"]


def test_clocks_that_never_agree_fail_the_run_after_three_attempts(tmp_path: Path) -> None:
    clock, executor = FakeClock(), FakeExecutor()
    executor.before_run = lambda planned: clock.sleep_s(60) if planned.order == 6 else None
    assert run_study(tmp_path, executor, bench_for(clock=clock)).failed == 1
    assert [record.attempt for record in attempts_at(tmp_path, 6)] == [1, 2, 3]


def test_a_small_correction_of_the_wall_clock_disturbs_nothing(tmp_path: Path) -> None:
    clock, executor = FakeClock(), FakeExecutor()
    executor.before_run = lambda planned: clock.sleep_s(0.5)
    run_study(tmp_path, executor, bench_for(clock=clock))
    assert len(records_in(tmp_path)) == len(ALL)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tokens": [1, 2, 3]}, "3 tokens, 8 emitted by its cycles and 8 planned"),
        ({"accepted": [5]}, "accepted more than it drafted"),
        ({"draft_ns": []}, "different lengths"),
    ],
)
def test_a_measurement_that_contradicts_its_cell_fails_the_run(
    tmp_path: Path, changes: dict[str, list[int]], said: str
) -> None:
    honest = measurement_of(SPECULATIVE, seed=1)
    of_cycles = {name: getattr(honest.cycles, name) for name in honest.cycles.__struct_fields__}
    for name, value in changes.items():
        if name in of_cycles:
            of_cycles[name] = [*value, *of_cycles[name][len(value) :]] if value else value
    wrong = msgspec.structs.replace(
        honest, cycles=type(honest.cycles)(**of_cycles), tokens=changes.get("tokens", honest.tokens)
    )
    executor = FakeExecutor()
    executor.answers(SPECULATIVE.order, wrong)
    assert run_study(tmp_path, executor).failed == 1
    [record] = attempts_at(tmp_path, SPECULATIVE.order)
    assert record.failure is not None
    assert record.failure.kind == "Inconsistent"
    assert said in record.failure.message


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ({"target_output_rows": 1000}, "the target copied 1000 rows of output for"),
        ({"draft_output_rows": 0}, "the draft copied 0 rows of output for"),
    ],
)
def test_copies_that_do_not_fit_the_cycles_fail_the_run(tmp_path: Path, rows: dict[str, int], said: str) -> None:
    executor = FakeExecutor()
    wrong = msgspec.structs.replace(measurement_of(SPECULATIVE, seed=1), **rows)
    executor.answers(SPECULATIVE.order, wrong)
    assert run_study(tmp_path, executor).failed == 1
    [record] = attempts_at(tmp_path, SPECULATIVE.order)
    assert record.failure is not None
    assert said in record.failure.message


def test_speculation_that_drafted_nothing_was_not_on(tmp_path: Path) -> None:
    executor = FakeExecutor()
    baseline = msgspec.structs.replace(
        SPECULATIVE, cell=msgspec.structs.replace(SPECULATIVE.cell, gamma=0, draft="none")
    )
    executor.answers(SPECULATIVE.order, measurement_of(baseline, seed=1))
    run_study(tmp_path, executor)
    [record] = attempts_at(tmp_path, SPECULATIVE.order)
    assert record.failure is not None
    assert "nothing was drafted" in record.failure.message
