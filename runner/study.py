"""A study's folder: a manifest that fixes everything, and one line per run, on the disk before the next begins.

    manifest.json       written as a whole before the first run, never changed
    runs.jsonl          one record a line, only ever appended to
    runs.torn-N.jsonl   what a crash left of a line, moved aside

An experiment outside the matrix has another log than `runs.jsonl` (`runner.grid_record`), kept the same way.

Nothing is written before `begin`: until then a refusal leaves no trace. A folder that was begun is continued by
the same command, and by no other (issue 9).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import msgspec

from runner.differences import differences
from runner.durable import flush_folder, flush_to_disk, write_all, write_atomically, write_new
from runner.errors import StoreError
from runner.history import RUNS, History, Log, LogEntry, Past, note, read_history
from runner.lines import encode_line
from runner.locks import hold
from runner.parsing import MalformedError, parse_json
from runner.record import Manifest

MANIFEST_FILE = "manifest.json"
LOCK_FILE = "study.lock"

_REMEDIES = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space",
    errno.EACCES: "make the folder writable",
    errno.EPERM: "make the folder writable",
    errno.EROFS: "make the folder writable",
}


class Study:
    """An open study folder, used in a `with` block: entering checks it, `begin` makes it ready to append."""

    def __init__(self, folder: Path, manifest: Manifest, run_ids: Collection[str], log: Log = RUNS) -> None:
        self.folder = folder
        self._log = log
        self._manifest = manifest
        self._run_ids = frozenset(run_ids)
        self._past: dict[str, Past] = {}
        self._added: set[str] = set()
        self._is_new = False
        self._descriptor: int | None = None
        self._held = ExitStack()

    def __enter__(self) -> Self:
        """Check the folder against the manifest; an existing study is locked and its runs are read.

        Raises StoreError when the folder is another study's, no study's, damaged, in use or not writable.
        """
        with self._explained(), self._undone_on_error():
            self._is_new = not self._manifest_path.exists()
            if self._is_new:
                self._refuse_foreign_folder()
            else:
                self._resume()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the run log and give the folder free."""
        self._held.close()

    def begin(self) -> None:
        """Make the folder a study if it is none yet, and open its run log. Calling it twice changes nothing.

        Raises StoreError when the folder cannot be written; a new folder is then removed again.
        """
        if self._descriptor is not None:
            return
        with self._explained():
            if self._is_new:
                self._create()
            self._open_log()

    def append(self, record: LogEntry) -> None:
        """Add one record; it is on the disk when this returns.

        Raises StoreError when it cannot be written whole: then nothing of it is left in the log.
        """
        assert self._descriptor is not None, "begin() comes before append()"
        self._refuse_replaced_log()
        line = encode_line(record)
        with self._explained():
            size = os.fstat(self._descriptor).st_size
            try:
                write_all(self._descriptor, line)
                flush_to_disk(self._descriptor)
            except OSError:
                with suppress(OSError):
                    os.ftruncate(self._descriptor, size)
                raise
        note(self._past, record)
        self._added.add(record.run_id)

    def state(self, run_id: str) -> Literal["missing", "ok", "failed"]:
        """How the latest attempt at a run ended, or that there was none."""
        past = self._past.get(run_id)
        return "missing" if past is None else past.status

    def next_attempt(self, run_id: str) -> int:
        """The number of the next attempt at a run, from 1."""
        past = self._past.get(run_id)
        return 1 if past is None else past.attempt + 1

    def was_attempted(self, run_id: str) -> bool:
        """Whether an attempt at a run was added since this folder was entered."""
        return run_id in self._added

    @property
    def has_begun(self) -> bool:
        """Whether the folder holds a study by now: one that is continued, or one that `begin` made."""
        return not self._is_new or self._descriptor is not None

    @property
    def kept(self) -> str:
        """What the folder holds, for a message."""
        count = len(self._past)
        return f"{count} completed run{'' if count == 1 else 's'} kept"

    @property
    def _manifest_path(self) -> Path:
        return self.folder / MANIFEST_FILE

    @property
    def _runs_path(self) -> Path:
        return self.folder / self._log.name

    def _resume(self) -> None:
        self._lock()
        self._refuse_other_manifest()
        history = read_history(self._runs_path, self._run_ids, self._log.kind)
        self._past = history.past
        if history.torn:
            self._move_aside(history)

    def _refuse_other_manifest(self) -> None:
        try:
            theirs = parse_json(self._manifest_path.read_bytes(), Manifest)
        except MalformedError as error:
            raise StoreError(f"{self._manifest_path}: not a manifest of this tool ({error})") from None
        found = differences(theirs, self._manifest)
        if found:
            more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
            raise StoreError(
                f"{self.folder} is another study: {found[0]}{more}; repeat the command that began it,"
                " or use another --out"
            )

    def _refuse_foreign_folder(self) -> None:
        if self.folder.is_dir():
            foreign = sorted(entry.name for entry in self.folder.iterdir() if not _is_ours(entry.name))
            if foreign:
                raise StoreError(
                    f"{self.folder} is no study but holds {foreign[0]!r}; use a new or an empty folder as --out"
                )
        nearest = next(path for path in (self.folder, *self.folder.absolute().parents) if path.exists())
        if not nearest.is_dir():
            raise StoreError(f"{nearest} is a file; use a new or an empty folder as --out")
        if not os.access(nearest, os.W_OK | os.X_OK):
            raise StoreError(f"{nearest} cannot be written; make it writable or use another --out")

    def _create(self) -> None:
        was_there = self.folder.exists()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock()
        self._refuse_rival()
        try:
            write_atomically(self._manifest_path, msgspec.json.format(msgspec.json.encode(self._manifest)))
        except BaseException:
            _clear(self.folder, keep_folder=was_there)
            raise

    def _refuse_rival(self) -> None:
        if self._manifest_path.exists():
            raise StoreError(f"{self.folder}: another study has begun here meanwhile; use another --out")

    def _lock(self) -> None:
        what = f"{self.folder} is being written by another process"
        self._held.enter_context(hold(self.folder / LOCK_FILE, what))

    def _open_log(self) -> None:
        descriptor = os.open(self._runs_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._descriptor = descriptor
        self._held.callback(self._close_log)
        flush_folder(self.folder)

    def _close_log(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _move_aside(self, history: History) -> None:
        number = 1
        while (aside := self._runs_path.with_suffix(f".torn-{number}.jsonl")).exists():
            number += 1
        write_new(aside, history.torn)
        with self._runs_path.open("r+b") as file:
            file.truncate(history.whole_bytes)
            flush_to_disk(file.fileno())

    def _refuse_replaced_log(self) -> None:
        # Writing to an open file goes on without an error when its name is gone; the records would go with it.
        assert self._descriptor is not None
        try:
            same = os.path.samestat(self._runs_path.stat(), os.fstat(self._descriptor))
        except OSError:
            same = False
        if not same:
            raise StoreError(
                f"{self.folder} was removed or replaced while the study ran; what it held is gone with it."
                " Restore it, or start again with another --out"
            )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            remedy = _REMEDIES.get(error.errno or 0, "see to the disk")
            raise StoreError(
                f"{self.folder} cannot be written or read ({error.strerror}); {self.kept}."
                f" To go on, {remedy} and repeat the same command"
            ) from None

    @contextmanager
    def _undone_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._held.close()
            raise


def _is_ours(name: str) -> bool:
    """Left by a start that ended between making the folder and writing the manifest."""
    return name.startswith((LOCK_FILE, f"{MANIFEST_FILE}.")) or name == ".DS_Store"


def _clear(folder: Path, *, keep_folder: bool) -> None:
    """Remove what a failed beginning left, as far as the disk still allows."""
    with suppress(OSError):
        for entry in folder.iterdir():
            if _is_ours(entry.name):
                entry.unlink()
        if not keep_folder:
            folder.rmdir()
