"""The scheduler executes a plan in its order and writes down every attempt, whatever the executor does."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.load import completed, load_study
from runner.errors import EngineError, ModelError, RollbackError, StudyError, UsageError, WorkerError
from runner.executor import PlannedRun
from runner.interrupt import Stop
from runner.schedule import Outcome, execute
from runner.study import Study
from tests.fake_executor import (
    FakeExecutor,
    SilentWatcher,
    bench_for,
    manifest_for,
    measurement_of,
    records_in,
)
from tests.schedule.scripted_study import (
    ALL,
    FIRST_OF_SECOND_PAIR,
    IDS,
    PLAN,
    attempts_at,
    run_study,
)


def test_runs_are_executed_in_order_of_the_plan_with_one_pair_loaded_at_a_time(tmp_path: Path) -> None:
    executor = FakeExecutor()
    outcome = run_study(tmp_path, executor)
    assert outcome == Outcome(ok=len(ALL), failed=0, undone=0, interrupted=False)
    second = FIRST_OF_SECOND_PAIR
    assert executor.events == [
        "open moe-q4 + draft-0.8b", *(f"run {order}" for order in ALL[:second]), "close",
        "open dense-4b + draft-0.8b", *(f"run {order}" for order in ALL[second:]), "close",
    ]  # fmt: skip


def test_a_record_says_what_was_planned_measured_and_in_what_state(tmp_path: Path) -> None:
    run_study(tmp_path, FakeExecutor())
    for planned, record in zip(PLAN.runs, records_in(tmp_path), strict=True):
        assert (record.run_id, record.order, record.cell) == (planned.run_id, planned.order, planned.cell)
        assert record.status == "ok"
        assert record.failure is None
        assert record.measurement == measurement_of(planned, seed=1)
        assert (record.draft_sha256 is None) == (planned.cell.gamma == 0)
        assert record.state_before.thermal_level == record.state_after.thermal_level == "nominal"


def test_a_pair_with_nothing_to_do_is_not_loaded(tmp_path: Path) -> None:
    with Study(tmp_path, manifest_for(PLAN), IDS) as study:
        execute(PLAN, PLAN.runs[:FIRST_OF_SECOND_PAIR], FakeExecutor(), study, bench_for())
    executor = FakeExecutor()
    run_study(tmp_path, executor)
    assert executor.events[0] == "open dense-4b + draft-0.8b"


def test_what_llama_cpp_refuses_fails_that_run_with_its_code_and_last_words(tmp_path: Path) -> None:
    executor = FakeExecutor()
    executor.fails(3, EngineError("decode failed", code=-1, log_tail=("n_past = 7", "inconsistent")))
    outcome = run_study(tmp_path, executor)
    assert (outcome.ok, outcome.failed) == (len(ALL) - 1, 1)
    assert executor.ran == ALL
    assert executor.events.count("close") == 2, "the session of a refused run goes on"
    [record] = attempts_at(tmp_path, 3)
    assert record.failure is not None
    assert record.failure.kind == "EngineError"
    assert record.failure.llama_code == -1
    assert record.failure.log_tail == ["n_past = 7", "inconsistent"]


def test_a_worker_that_dies_is_replaced_and_its_run_repeated(tmp_path: Path) -> None:
    executor = FakeExecutor()
    executor.fails(5, WorkerError("died of signal 6", log_tail=("GGML_ASSERT",)))
    outcome = run_study(tmp_path, executor)
    assert outcome.failed == 0
    assert executor.ran == [*ALL[:5], 5, 5, *ALL[6:]]
    around = executor.events.index("run 5")
    assert executor.events[around : around + 4] == ["run 5", "close", "open moe-q4 + draft-0.8b", "run 5"]
    assert [(record.attempt, record.status) for record in attempts_at(tmp_path, 5)] == [(1, "failed"), (2, "ok")]


def test_a_worker_that_dies_twice_on_a_run_fails_exactly_that_run(tmp_path: Path) -> None:
    executor = FakeExecutor()
    executor.fails(5, WorkerError("died"), WorkerError("hung"))
    outcome = run_study(tmp_path, executor)
    assert outcome.failed == 1
    assert executor.ran == [*ALL[:5], 5, 5, *ALL[6:]]
    assert [record.order for record in records_in(tmp_path) if record.status == "failed"] == [5, 5]


def test_a_pair_that_cannot_be_loaded_fails_all_its_runs_and_the_study_goes_on(tmp_path: Path) -> None:
    executor = FakeExecutor()
    executor.refuses("dense-4b", RollbackError("no rollback could be proved"))
    outcome = run_study(tmp_path, executor)
    assert outcome.failed == len(ALL) - FIRST_OF_SECOND_PAIR
    assert executor.events[-1] == "open dense-4b + draft-0.8b", "a refusal would only repeat"
    failures = [record.failure for record in records_in(tmp_path)[FIRST_OF_SECOND_PAIR:]]
    assert {failure.kind for failure in failures if failure} == {"RollbackError"}
    assert len(records_in(tmp_path)) == len(ALL)


@pytest.mark.parametrize("error", [ModelError("truncated"), RollbackError("not proved")])
def test_a_model_that_cannot_be_used_before_anything_was_written_is_a_refusal(
    tmp_path: Path, error: StudyError
) -> None:
    executor = FakeExecutor()
    executor.refuses("moe-q4", error)
    with pytest.raises(ModelError, match=str(error)):
        run_study(tmp_path / "study", executor)
    assert list(tmp_path.iterdir()) == []


def test_a_first_pair_that_dies_while_loading_is_tried_again(tmp_path: Path) -> None:
    executor = FakeExecutor()
    executor.refuses("moe-q4", WorkerError("killed for memory"))
    assert run_study(tmp_path, executor).failed == 0
    assert executor.events[:2] == ["open moe-q4 + draft-0.8b"] * 2


def test_a_first_pair_that_always_dies_while_loading_fails_its_runs_only(tmp_path: Path) -> None:
    executor = FakeExecutor()
    executor.refuses("moe-q4", WorkerError("killed"), WorkerError("killed"))
    outcome = run_study(tmp_path, executor)
    assert outcome.failed == FIRST_OF_SECOND_PAIR
    assert executor.ran == ALL[FIRST_OF_SECOND_PAIR:]
    assert len(records_in(tmp_path)) == len(ALL), "no run is repeated when the pair cannot be had"


def test_a_pair_that_cannot_be_loaded_again_fails_the_rest_of_its_runs(tmp_path: Path) -> None:
    executor = FakeExecutor()
    executor.before_run = lambda planned: (
        planned.order == 4 and executor.refuses("moe-q4", WorkerError("no memory"), WorkerError("no memory"))
    )
    executor.fails(4, WorkerError("died"))
    outcome = run_study(tmp_path, executor)
    assert outcome.failed == FIRST_OF_SECOND_PAIR - 4
    assert [len(attempts_at(tmp_path, order)) for order in (3, 4, 5)] == [1, 2, 1]


def test_a_prompt_that_the_model_cannot_hold_fails_its_run(tmp_path: Path) -> None:
    executor = FakeExecutor()
    executor.fails(1, UsageError("the prompt has 3 tokens, 64 were asked for"))
    assert run_study(tmp_path, executor).failed == 1


def test_no_private_name_reaches_the_records_of_a_failure(tmp_path: Path) -> None:
    executor = FakeExecutor()
    path = "/home/adalovelace/models/secret-folder/qwen.gguf"
    executor.fails(1, EngineError(f"cannot map {path}", log_tail=(f"mmap {path} on ada-laptop: adalovelace",)))
    run_study(tmp_path, executor)
    content = (tmp_path / "runs.jsonl").read_bytes()
    for secret in (b"adalovelace", b"ada-laptop", b"secret-folder"):
        assert secret not in content
    assert b"qwen.gguf" in content


def test_the_watcher_is_told_of_every_attempt_after_it_was_written(tmp_path: Path) -> None:
    watcher, executor = SilentWatcher(), FakeExecutor()
    executor.fails(2, WorkerError("died"))
    run_study(tmp_path, executor, bench_for(watcher))
    assert watcher.told == [(record.order, record.status, record.attempt) for record in records_in(tmp_path)]


def test_the_same_seed_measures_the_same_and_its_study_can_be_analysed(tmp_path: Path) -> None:
    for name in ("one", "two"):
        run_study(tmp_path / name, FakeExecutor(seed=7))
    ours = [load_study(tmp_path / name) for name in ("one", "two")]
    assert len(completed(ours[0].runs)) == len(ALL)
    assert (ours[0].runs["decode_wall_ns"] == ours[1].runs["decode_wall_ns"]).all()
    assert (ours[0].runs["run_id"] == ours[0].runs["recomputed_run_id"]).all()


def troubles() -> st.SearchStrategy[dict[int, list[str]]]:
    kinds = st.lists(st.sampled_from(["engine", "worker", "worker", "nonsense"]), min_size=1, max_size=3)
    return st.dictionaries(st.sampled_from(ALL), kinds, max_size=6)


def scripted(trouble: dict[int, list[str]]) -> FakeExecutor:
    executor = FakeExecutor()
    for order, kinds in trouble.items():
        for kind in kinds:
            if kind == "nonsense":
                executor.answers(order, msgspec.structs.replace(measurement_of(PLAN.runs[order], 1), tokens=[]))
            else:
                executor.fails(order, EngineError("no") if kind == "engine" else WorkerError("gone"))
    return executor


def expected_attempts(kinds: Sequence[str]) -> list[str]:
    """Statuses of all attempts at a run whose executor answers with `kinds` and then with success."""
    first, *rest = kinds
    if first != "worker":
        return ["failed"]
    return ["failed", "failed" if rest else "ok"]


@settings(max_examples=25)
@given(troubles(), st.lists(st.integers(1, len(ALL)), max_size=3))
def test_whatever_goes_wrong_and_however_often_it_is_stopped_every_run_ends_once(
    tmp_path_factory: pytest.TempPathFactory, trouble: dict[int, list[str]], stops: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    executor = scripted(trouble)
    for after in stops:
        stop = Stop()
        seen: list[int] = []

        def count(planned: PlannedRun, stop: Stop = stop, seen: list[int] = seen, after: int = after) -> None:
            seen.append(planned.order)
            stop.requested = stop.requested or len(seen) >= after

        executor.before_run = count
        run_study(folder, executor, bench_for(stop=stop))
    executor.before_run = lambda planned: None
    outcome = run_study(folder, executor)
    found = {
        order: [record.status for record in of_run]
        for order, of_run in groupby(records_in(folder), key=lambda record: record.order)
    }
    assert found == {order: expected_attempts(trouble[order]) if order in trouble else ["ok"] for order in ALL}
    assert list(found) == ALL, "runs end in order of the plan"
    assert outcome.ok == sum(statuses[-1] == "ok" for statuses in found.values())
    assert outcome.ok + outcome.failed == len(ALL)
