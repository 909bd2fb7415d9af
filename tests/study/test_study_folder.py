"""A study's folder is made whole or not at all, continued only by its own command, and never loses a run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import StoreError
from runner.lines import decode_line, encode_line
from runner.record import Failure, Manifest, RunRecord
from runner.schedule import execute, missing_runs
from runner.study import Study
from tests.fake_executor import FakeExecutor, bench_for, manifest_for, records_in, small_plan

PLAN = small_plan()
MANIFEST = manifest_for(PLAN)
IDS = [run.run_id for run in PLAN.runs]


def run_study(folder: Path, limit: int | None = None) -> None:
    """Run what the study lacks, at most `limit` runs."""
    with Study(folder, MANIFEST, IDS) as study:
        execute(PLAN, missing_runs(PLAN, study)[:limit], FakeExecutor(), study, bench_for())


def refusal(folder: Path, manifest: Manifest = MANIFEST) -> str:
    """What opening the study refuses with: one line."""
    with pytest.raises(StoreError) as caught, Study(folder, manifest, IDS):
        pass
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[RunRecord]:
    """The records of a whole study."""
    folder = tmp_path_factory.mktemp("whole")
    run_study(folder)
    return records_in(folder)


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_study_holds_its_manifest_and_one_line_per_run_in_order_of_the_plan(tmp_path: Path) -> None:
    run_study(tmp_path / "study")
    assert msgspec.json.decode((tmp_path / "study/manifest.json").read_bytes(), type=Manifest) == MANIFEST
    assert [record.run_id for record in records_in(tmp_path / "study")] == IDS
    assert names_in(tmp_path / "study") == {"manifest.json", "runs.jsonl", "study.lock"}


def test_nothing_is_written_before_the_study_begins(tmp_path: Path) -> None:
    with Study(tmp_path / "study", MANIFEST, IDS):
        assert names_in(tmp_path) == set()
    assert names_in(tmp_path) == set()


def test_a_begun_study_without_runs_can_be_continued(tmp_path: Path) -> None:
    with Study(tmp_path / "study", MANIFEST, IDS) as study:
        study.begin()
        study.begin()
    run_study(tmp_path / "study")
    assert len(records_in(tmp_path / "study")) == len(IDS)


def test_continuing_runs_what_is_missing_and_nothing_else(tmp_path: Path) -> None:
    run_study(tmp_path, limit=7)
    before = (tmp_path / "runs.jsonl").read_bytes()
    run_study(tmp_path)
    assert (tmp_path / "runs.jsonl").read_bytes().startswith(before)
    assert [record.run_id for record in records_in(tmp_path)] == IDS


def test_a_whole_study_is_left_as_it_is(tmp_path: Path) -> None:
    run_study(tmp_path)
    before = (tmp_path / "runs.jsonl").read_bytes()
    run_study(tmp_path)
    assert (tmp_path / "runs.jsonl").read_bytes() == before


@given(cut=st.integers(1, 4000))
def test_a_torn_last_line_is_moved_aside_and_its_run_repeated(
    tmp_path_factory: pytest.TempPathFactory, records: list[RunRecord], cut: int
) -> None:
    folder = tmp_path_factory.mktemp("torn")
    run_study(folder, limit=3)
    whole = (folder / "runs.jsonl").read_bytes()
    line = encode_line(records[3])
    torn = line[: min(cut, len(line) - 1)]
    (folder / "runs.jsonl").write_bytes(whole + torn)
    run_study(folder, limit=1)
    assert (folder / "runs.torn-1.jsonl").read_bytes() == torn
    assert (folder / "runs.jsonl").read_bytes().startswith(whole)
    assert [record.run_id for record in records_in(folder)] == IDS[:4]


def test_a_second_torn_line_does_not_replace_the_first(tmp_path: Path) -> None:
    for number in (1, 2):
        run_study(tmp_path, limit=1)
        with (tmp_path / "runs.jsonl").open("ab") as file:
            file.write(f"torn {number}".encode())
    run_study(tmp_path, limit=0)
    assert (tmp_path / "runs.torn-1.jsonl").read_text() == "torn 1"
    assert (tmp_path / "runs.torn-2.jsonl").read_text() == "torn 2"


def test_zeros_that_a_power_loss_left_are_moved_aside(tmp_path: Path) -> None:
    run_study(tmp_path, limit=2)
    with (tmp_path / "runs.jsonl").open("ab") as file:
        file.write(bytes(4096))
    run_study(tmp_path)
    assert [record.run_id for record in records_in(tmp_path)] == IDS
    assert (tmp_path / "runs.torn-1.jsonl").read_bytes() == bytes(4096)


def test_an_edited_line_is_refused_by_file_and_line_and_nothing_is_added(tmp_path: Path) -> None:
    run_study(tmp_path, limit=3)
    spoilt = (tmp_path / "runs.jsonl").read_bytes().replace(b'"status":"ok"', b'"status":"OK"', 1)
    (tmp_path / "runs.jsonl").write_bytes(spoilt)
    with pytest.raises(StoreError, match=r"runs\.jsonl:1: the checksum does not fit"):
        run_study(tmp_path)
    assert (tmp_path / "runs.jsonl").read_bytes() == spoilt


def test_a_run_that_is_not_in_the_plan_is_refused(tmp_path: Path, records: list[RunRecord]) -> None:
    run_study(tmp_path, limit=1)
    with (tmp_path / "runs.jsonl").open("ab") as file:
        file.write(encode_line(msgspec.structs.replace(records[1], run_id="feedfacefeedface")))
    with pytest.raises(StoreError, match="feedfacefeedface, which is not in the plan"):
        run_study(tmp_path)


def settings_with(**changes: object) -> Manifest:
    return msgspec.structs.replace(MANIFEST, settings=msgspec.structs.replace(MANIFEST.settings, **changes))


def other_draft() -> Manifest:
    models = [
        msgspec.structs.replace(facts, sha256="0" * 64) if facts.role == "draft-0.8b" else facts
        for facts in MANIFEST.models
    ]
    return msgspec.structs.replace(MANIFEST, models=models)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (settings_with(n_threads=3), "settings.n_threads is 4 there and 3 here"),
        (settings_with(seed=2, n_ctx_tokens=512), "n_ctx_tokens is 2048 there and 512 here (and 1 more)"),
        (other_draft(), "models.draft-0.8b.sha256 is "),
        (msgspec.structs.replace(MANIFEST, family="qwen3.5"), "family is simulated there and qwen3.5 here"),
        (msgspec.structs.replace(MANIFEST, plan_sha256="9"), "plan_sha256 is "),
        (msgspec.structs.replace(MANIFEST, suite_sha256={"small": "1"}), "suite_sha256.small is "),
        (msgspec.structs.replace(MANIFEST, packages={}), "packages.llama-cpp-python is 0.3.36 there and missing"),
        (
            msgspec.structs.replace(MANIFEST, engine=msgspec.structs.replace(MANIFEST.engine, version="2")),
            "engine.version is sim-1 there and 2 here",
        ),
        (msgspec.structs.replace(MANIFEST, schema_version=2), "schema_version is 1 there and 2 here"),
    ],
)
def test_another_plan_is_refused_with_the_field_that_differs(tmp_path: Path, other: Manifest, said: str) -> None:
    run_study(tmp_path, limit=2)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert said in refusal(tmp_path, other)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_what_a_changed_seed_entails_is_not_named_beside_it(tmp_path: Path) -> None:
    run_study(tmp_path, limit=1)
    other = msgspec.structs.replace(settings_with(seed=2), plan_sha256="9")
    assert "settings.seed is 1 there and 2 here; repeat" in refusal(tmp_path, other)


def test_when_how_and_at_what_bandwidth_a_study_was_started_may_differ(tmp_path: Path) -> None:
    run_study(tmp_path, limit=1)
    machine = msgspec.structs.replace(MANIFEST.machine, measured_bandwidth_bytes_per_s=1.0)
    later = msgspec.structs.replace(MANIFEST, created_utc="2027", arguments=["x"], machine=machine)
    with Study(tmp_path, later, IDS) as study:
        assert study.state(IDS[0]) == "ok"
    assert msgspec.json.decode((tmp_path / "manifest.json").read_bytes(), type=Manifest) == MANIFEST


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b"[" * 100_000, b'{"schema_version": "x"}'])
def test_a_damaged_manifest_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "manifest.json").write_bytes(content)
    assert "manifest.json: not a manifest of this tool" in refusal(tmp_path)


def test_a_folder_with_other_things_in_it_is_no_study(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").touch()
    assert "is no study but holds 'holiday.jpg'" in refusal(tmp_path)
    assert names_in(tmp_path) == {"holiday.jpg"}


def test_a_run_log_without_a_manifest_is_not_taken_over(tmp_path: Path) -> None:
    (tmp_path / "runs.jsonl").write_text("precious")
    assert "holds 'runs.jsonl'" in refusal(tmp_path)


def test_what_a_start_killed_before_its_manifest_left_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / "study.lock").touch()
    (tmp_path / "manifest.json.partial").write_text("{")
    run_study(tmp_path)
    assert len(records_in(tmp_path)) == len(IDS)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "study").write_text("a file")
    assert "is a file" in refusal(tmp_path / "study")


def test_a_failed_attempt_is_superseded_by_a_higher_one_and_both_stay(
    tmp_path: Path, records: list[RunRecord]
) -> None:
    failure = Failure(kind="EngineError", message="refused")
    with Study(tmp_path, MANIFEST, IDS) as study:
        study.begin()
        assert study.next_attempt(IDS[0]) == 1
        study.append(msgspec.structs.replace(records[0], status="failed", measurement=None, failure=failure))
        assert (study.state(IDS[0]), study.next_attempt(IDS[0])) == ("failed", 2)
        study.append(msgspec.structs.replace(records[0], attempt=2))
    with Study(tmp_path, MANIFEST, IDS) as study:
        assert (study.state(IDS[0]), study.next_attempt(IDS[0])) == ("ok", 3)
    assert [(record.attempt, record.status) for record in records_in(tmp_path)] == [(1, "failed"), (2, "ok")]


def test_two_writers_cannot_share_a_folder_and_the_message_says_who_holds_it(tmp_path: Path) -> None:
    with Study(tmp_path, MANIFEST, IDS) as study:
        study.begin()
        with pytest.raises(StoreError, match=f"written by another process .process {os.getpid()}, since "):
            Study(tmp_path, MANIFEST, IDS).__enter__()
    with Study(tmp_path, MANIFEST, IDS):
        pass


def test_a_rival_that_begins_the_same_folder_meanwhile_is_noticed(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    with Study(folder, MANIFEST, IDS) as late:
        run_study(folder)
        before = (folder / "runs.jsonl").read_bytes()
        with pytest.raises(StoreError, match="another study has begun here meanwhile"):
            late.begin()
    assert (folder / "runs.jsonl").read_bytes() == before
    assert (folder / "manifest.json").exists()


HOLDER = """
import sys
from pathlib import Path
from tests.study.test_study_folder import IDS, MANIFEST
from runner.study import Study
with Study(Path(sys.argv[1]), MANIFEST, IDS) as study:
    study.begin()
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def start_holder() -> Iterator[Callable[[Path], subprocess.Popen[Any]]]:
    """Starts a process that holds a study until it is killed."""
    started: list[subprocess.Popen[Any]] = []

    def start(folder: Path) -> subprocess.Popen[Any]:
        command = [sys.executable, "-c", HOLDER, str(folder)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_a_lock_whose_holder_was_killed_is_free(tmp_path: Path, start_holder: Callable[[Path], Any]) -> None:
    holder = start_holder(tmp_path)
    assert f"process {holder.pid}" in refusal(tmp_path)
    holder.kill()
    holder.wait()
    run_study(tmp_path)
    assert len(records_in(tmp_path)) == len(IDS)


def test_every_line_carries_a_checksum_that_fits(tmp_path: Path) -> None:
    run_study(tmp_path, limit=2)
    for number, line in enumerate((tmp_path / "runs.jsonl").read_bytes().splitlines(keepends=True)):
        assert encode_line(decode_line(line, f"line {number}")) == line
