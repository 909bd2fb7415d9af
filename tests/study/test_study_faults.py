"""Whatever the disk does, a study stops with one clear message and keeps every run that was completed."""

from __future__ import annotations

import errno
import multiprocessing
import os
import resource
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from runner import durable
from runner.errors import StoreError
from runner.schedule import execute, missing_runs
from runner.study import Study
from tests.fake_executor import FakeExecutor, bench_for, manifest_for, records_in, small_plan

PLAN = small_plan()
MANIFEST = manifest_for(PLAN)
IDS = [run.run_id for run in PLAN.runs]


def run_study(folder: Path, executor: FakeExecutor | None = None) -> None:
    with Study(folder, MANIFEST, IDS) as study:
        execute(PLAN, missing_runs(PLAN, study), executor or FakeExecutor(), study, bench_for())


class FullDisk:
    """Lets `n` system calls of one kind pass and then says that no space is left."""

    def __init__(self, n: int, real: Callable[..., object], code: int = errno.ENOSPC) -> None:
        self.has_refused = False
        self._left = n
        self._real = real
        self._code = code

    def __call__(self, *args: object) -> object:
        if self._left == 0:
            self.has_refused = True
            raise OSError(self._code, os.strerror(self._code))
        self._left -= 1
        return self._real(*args)


@pytest.mark.parametrize("call", ["write", "fsync", "open"])
@pytest.mark.parametrize("n_passing", range(12))
def test_a_disk_that_fills_up_at_any_call_keeps_what_was_written_and_the_study_goes_on_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, n_passing: int
) -> None:
    folder = tmp_path / "study"
    full = FullDisk(n_passing, getattr(os, call))
    with monkeypatch.context() as patch:
        patch.setattr(durable.os, call, full)
        patch.setattr(durable, "_FULL_SYNC", None)
        said = what_running_said(folder)
    assert full.has_refused == ("No space left on device" in said), "the disk was full and nobody noticed"
    assert "\n" not in said
    run_study(folder)
    assert [record.run_id for record in records_in(folder)] == IDS


def what_running_said(folder: Path, executor: FakeExecutor | None = None) -> str:
    try:
        run_study(folder, executor)
    except StoreError as error:
        return str(error)
    return "all went well"


@contextmanager
def files_at_most(n_bytes: int) -> Iterator[None]:
    """A real limit of the system: a write across it is cut short there, and the next one fails."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


def test_a_line_that_fits_only_in_part_is_taken_back(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    run_study(tmp_path / "whole")
    lines = (tmp_path / "whole/runs.jsonl").read_bytes().splitlines(keepends=True)
    limit = sum(map(len, lines[:5])) + len(lines[5]) // 2
    with files_at_most(limit), pytest.raises(StoreError, match=r"File too large.*5 completed runs kept"):
        run_study(folder)
    assert [record.run_id for record in records_in(folder)] == IDS[:5]
    run_study(folder)
    assert [record.run_id for record in records_in(folder)] == IDS
    assert not list(folder.glob("*torn*"))


def test_a_manifest_that_cannot_be_written_leaves_no_folder_behind(tmp_path: Path) -> None:
    with files_at_most(100), pytest.raises(StoreError, match="File too large"):
        run_study(tmp_path / "study")
    assert list(tmp_path.iterdir()) == []


def test_a_manifest_that_cannot_be_written_leaves_an_empty_folder_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(durable.os, "write", FullDisk(0, os.write))
    with pytest.raises(StoreError, match="free some space"):
        run_study(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set()


def test_a_folder_removed_under_way_is_noticed_at_the_next_run(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    executor = FakeExecutor()
    executor.before_run = lambda planned: shutil.rmtree(folder) if planned.order == 5 else None
    with pytest.raises(StoreError, match="was removed or replaced while the study ran"):
        run_study(folder, executor)
    assert executor.ran == [0, 1, 2, 3, 4, 5]
    assert not folder.exists()


def test_a_run_log_replaced_under_way_is_noticed_and_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "study"

    def replace() -> None:
        (folder / "runs.jsonl").unlink()
        (folder / "runs.jsonl").write_text("somebody else's")

    executor = FakeExecutor()
    executor.before_run = lambda planned: replace() if planned.order == 2 else None
    with pytest.raises(StoreError, match="removed or replaced"):
        run_study(folder, executor)
    assert (folder / "runs.jsonl").read_text() == "somebody else's"


def test_the_loaded_pair_is_given_back_when_the_disk_fails(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    executor = FakeExecutor()
    executor.before_run = lambda planned: shutil.rmtree(folder) if planned.order == 1 else None
    with pytest.raises(StoreError):
        run_study(folder, executor)
    assert executor.events[-1] == "close"


NOBODY = 65534
_processes = multiprocessing.get_context("forkserver")


def _run_as_nobody(folder: Path, answer: Connection) -> None:
    """The body of a process that gave up root's right to write anywhere."""
    if os.geteuid() == 0:
        # Python loads some of itself only when used, and may lie in a home that is closed to others.
        with tempfile.TemporaryDirectory() as first:
            run_study(Path(first))
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    executor = FakeExecutor()
    answer.send((what_running_said(folder, executor), executor.events))


def what_an_ordinary_user_is_told(mode: int) -> tuple[str, list[str]]:
    """What a study says in a folder of that mode, and what its executor was asked for."""
    # Not tmp_path: its parents are closed to everybody else.
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(mode)
        ours, theirs = _processes.Pipe(duplex=False)
        process = _processes.Process(target=_run_as_nobody, args=(Path(name) / "study", theirs))
        process.start()
        theirs.close()
        told: tuple[str, list[str]] = ours.recv()
        process.join()
        Path(name).chmod(0o755)
    return told


def test_a_read_only_folder_is_refused_before_any_model_is_loaded() -> None:
    said, events = what_an_ordinary_user_is_told(0o555)
    assert "cannot be written; make it writable" in said
    assert events == []


def test_a_folder_that_anybody_may_write_is_written_by_anybody() -> None:
    said, events = what_an_ordinary_user_is_told(0o777)
    assert said == "all went well"
    assert events[-1] == "close"


def test_a_folder_that_refuses_writing_is_refused_before_any_model_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = FakeExecutor()
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(StoreError, match="cannot be written; make it writable"):
        run_study(tmp_path / "study", executor)
    assert executor.events == []


def test_a_mac_waits_for_the_drive_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(durable, "_FULL_SYNC", 51)
    monkeypatch.setattr(durable.fcntl, "fcntl", lambda descriptor, command: asked.append(command))
    durable.write_new(tmp_path / "file", b"data")
    assert asked == [51]


def test_where_the_full_sync_is_not_to_be_had_the_ordinary_one_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int, command: int) -> None:
        raise OSError(errno.ENOTSUP, "not supported")

    synced: list[int] = []
    monkeypatch.setattr(durable, "_FULL_SYNC", 51)
    monkeypatch.setattr(durable.fcntl, "fcntl", refuse)
    monkeypatch.setattr(durable.os, "fsync", synced.append)
    durable.write_new(tmp_path / "file", b"data")
    assert len(synced) == 2, "the file and its folder"


def test_an_atomic_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "manifest.json"
    durable.write_atomically(target, b"old")
    monkeypatch.setattr(durable.os, "fsync", FullDisk(0, os.fsync))
    monkeypatch.setattr(durable, "_FULL_SYNC", None)
    with pytest.raises(OSError, match="No space left"):
        durable.write_atomically(target, b"new")
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]


def test_who_reads_during_an_atomic_write_reads_the_old_file_whole(tmp_path: Path) -> None:
    target = tmp_path / "manifest.json"
    durable.write_atomically(target, b"old and whole")
    with target.open("rb", buffering=0) as reader:
        durable.write_atomically(target, b"new")
        assert reader.read() == b"old and whole"
    assert target.read_bytes() == b"new"
