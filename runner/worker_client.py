"""The parent's side of a measuring process: start it, ask, wait no longer than allowed, end it.

`ProcessExecutor` is the executor of real studies: each loaded pair gets a fresh process (never a fork), so that
its memory returns to the system with it and a crash inside llama.cpp costs one run.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import msgspec

from runner import errors
from runner.errors import EngineError, StudyError, WorkerError
from runner.executor import Pair, PlannedRun
from runner.messages import (
    Answer,
    Describe,
    Described,
    Done,
    Execute,
    Load,
    Loaded,
    Refused,
    Reply,
    Request,
    Trace,
    Traced,
)
from runner.parsing import MalformedError, parse_json
from runner.record import NO_DRAFT, EngineFacts, Measurement, Settings

LOAD_LIMIT_S = 900.0
"""Loading 40 GB from a slow disk and proving three gammas takes minutes, not a quarter of an hour."""
_DESCRIBE_LIMIT_S = 120.0
_TAIL_BYTES = 16_000
_TAIL_LINES = 16
_QUIET = {"GGML_NO_BACKTRACE": "1"}
"""Frames of an abort would push its reason out of the last lines, and a debugger would hold the process up."""

COMMAND = (sys.executable, "-m", "runner.worker")
UNCHECKED_COMMAND = (sys.executable, "-m", "runner.llama.phantom")


class WorkerProcess:
    """One measuring process; every failure to answer in time and in form is a WorkerError with its last words."""

    def __init__(self, command: tuple[str, ...] = COMMAND) -> None:
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            bufsize=0,
            env={**os.environ, **_QUIET},
        )
        self._buffer = b""

    def ask(self, request: Request, expected: type[Answer], *, limit_s: float) -> Answer:
        """Send one request and wait for its reply; raises the error that the worker refused with."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(msgspec.json.encode(request) + b"\n")
        except OSError:
            raise self._died() from None
        reply = parse_reply(self._read_line(limit_s))
        if isinstance(reply, Refused):
            raise as_error(reply)
        if not isinstance(reply, expected):
            raise WorkerError(f"the measuring process answered {type(reply).__name__}, not {expected.__name__}")
        return reply

    def _read_line(self, limit_s: float) -> bytes:
        assert self._process.stdout is not None
        deadline = time.monotonic() + limit_s
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._buffer:
                if not selector.select(max(deadline - time.monotonic(), 0)):
                    raise WorkerError(
                        f"the measuring process gave no answer within {limit_s:.0f} s; it was ended",
                        log_tail=self._last_words(),
                    )
                chunk = self._process.stdout.read(1 << 16)
                if not chunk:
                    raise self._died()
                self._buffer += chunk
        line, self._buffer = self._buffer.split(b"\n", 1)
        return line

    def _died(self) -> WorkerError:
        status = self._process.wait()
        how = f"signal {-status}" if status < 0 else f"exit status {status}"
        tail = self._last_words()
        last = f"; its last words: {tail[-1]}" if tail else ""
        return WorkerError(f"the measuring process died ({how}){last}", log_tail=tail)

    def _last_words(self) -> tuple[str, ...]:
        # The process writes at the position that both share, so it must not be moved.
        descriptor = self._stderr.fileno()
        start = max(os.fstat(descriptor).st_size - _TAIL_BYTES, 0)
        tail = os.pread(descriptor, _TAIL_BYTES, start).decode("utf-8", "replace")
        return tuple(line for line in tail.splitlines() if line.strip())[-_TAIL_LINES:]

    def close(self) -> None:
        """End the process at once, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._stderr):
            if stream is not None:
                stream.close()


def parse_reply(line: bytes) -> Reply:
    """What a measuring process answered. Raises WorkerError when it is no reply."""
    try:
        reply: Reply = parse_json(line, Reply)  # type: ignore[arg-type]  # a union is no class to mypy
    except MalformedError as error:
        raise WorkerError(f"the measuring process answered nonsense ({error})") from None
    return reply


def as_error(refused: Refused) -> StudyError:
    """The error that the worker refused with; one of a kind that we do not know is an EngineError."""
    kind = getattr(errors, refused.kind, None)
    if not isinstance(kind, type) or not issubclass(kind, StudyError) or issubclass(kind, EngineError):
        return EngineError(refused.message, code=refused.code, log_tail=refused.log_tail)
    error: StudyError = kind(refused.message)
    return error


class ProcessSession:
    """A pair loaded in a process of its own."""

    def __init__(self, worker: WorkerProcess) -> None:
        self._worker = worker

    def run(self, planned: PlannedRun) -> Measurement:
        """Execute one planned run in the worker."""
        return self._worker.ask(Execute(planned=planned), Done, limit_s=planned.time_limit_s).measurement

    def trace(self, planned: PlannedRun, text: list[int]) -> Traced:
        """What the draft would have said at each token of `text`, which followed the planned run's prompt."""
        return self._worker.ask(Trace(planned=planned, text=text), Traced, limit_s=planned.time_limit_s)

    def close(self) -> None:
        """End the worker."""
        self._worker.close()


def load_request(pair: Pair, paths: Mapping[str, Path], settings: Settings) -> Load:
    """What asks a measuring process to load a pair; `paths` maps roles to GGUF files."""
    draft = None if pair.draft == NO_DRAFT else str(paths[pair.draft])
    return Load(pair=pair, target_path=str(paths[pair.target]), draft_path=draft, settings=settings)


class ProcessExecutor:
    """Opens each pair in a fresh measuring process; `paths` maps roles to GGUF files."""

    def __init__(
        self,
        paths: Mapping[str, Path],
        settings: Settings,
        *,
        command: tuple[str, ...] = COMMAND,
        load_limit_s: float = LOAD_LIMIT_S,
    ) -> None:
        self._paths = paths
        self._settings = settings
        self._command = command
        self._load_limit_s = load_limit_s

    def open(self, pair: Pair) -> ProcessSession:
        """Load both models and prove their rollback."""
        load = load_request(pair, self._paths, self._settings)
        worker = WorkerProcess(UNCHECKED_COMMAND if pair.unchecked else self._command)
        try:
            worker.ask(load, Loaded, limit_s=self._load_limit_s)
        except BaseException:
            worker.close()
            raise
        return ProcessSession(worker)


def describe_engine(command: tuple[str, ...] = COMMAND) -> EngineFacts:
    """The llama.cpp that measuring processes use, without loading it here."""
    worker = WorkerProcess(command)
    try:
        return worker.ask(Describe(), Described, limit_s=_DESCRIBE_LIMIT_S).engine
    finally:
        worker.close()
