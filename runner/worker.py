"""The measuring process: one loaded pair, requests on standard input, replies on standard output.

Started as `python -m runner.worker` by `runner.worker_client`. An abort inside llama.cpp ends this process and
not the study. Whatever else writes to standard output (llama.cpp, a library) is sent to standard error, so that
replies stay clean. Standard error is the parent's temporary file: what it holds last tells why this process died.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import BinaryIO

import msgspec

from runner.errors import EngineError, StudyError, UsageError
from runner.llama.grid_session import GridSession
from runner.llama.library import engine_facts, keep_log_in
from runner.llama.routing_session import count
from runner.llama.session import PairSession
from runner.llama.trace import trace
from runner.messages import (
    CountExperts,
    Describe,
    Described,
    Done,
    Execute,
    Load,
    Loaded,
    MeasurePoint,
    OpenGrid,
    Placed,
    PointDone,
    Refused,
    Reply,
    Request,
    Trace,
)


class Worker:
    """Answers requests; holds at most one loaded pair, as a session of the given type, and one for a grid."""

    def __init__(self, session_type: type[PairSession] = PairSession) -> None:
        self._session_type = session_type
        self._session: PairSession | None = None
        self._grid: GridSession | None = None

    def answer(self, request: Request) -> Reply:
        """The reply to one request; errors raised on purpose become `Refused`."""
        try:
            return self._act(request)
        except StudyError as error:
            return refusal(error)

    def _act(self, request: Request) -> Reply:
        match request:
            case Load():
                draft = None if request.draft_path is None else Path(request.draft_path)
                target = Path(request.target_path)
                self._session = self._session_type(request.pair, target, draft, request.settings)
                return _loaded(self._session)
            case Execute(planned=planned):
                return Done(measurement=self._loaded().run(planned))
            case Trace(planned=planned, text=text):
                return trace(self._loaded(), planned, text)
            case OpenGrid() | MeasurePoint() | CountExperts():
                return self._experiment(request)
            case Describe():
                return Described(engine=engine_facts())

    def _experiment(self, request: OpenGrid | MeasurePoint | CountExperts) -> Reply:
        match request:
            case OpenGrid():
                paths = Path(request.target_path), Path(request.draft_path)
                self._grid = GridSession(*paths, request.settings)
                return Loaded()
            case MeasurePoint():
                if self._grid is None:
                    raise UsageError("a point was asked for before a pair was loaded")
                return PointDone(measurement=self._grid.measure(request))
            case CountExperts():
                return count(request)

    def _loaded(self) -> PairSession:
        if self._session is None:
            raise UsageError("a run was asked for before a pair was loaded")
        return self._session


def _loaded(session: PairSession) -> Loaded:
    models = [session.model, *([] if session.draft is None else [session.draft.context.model])]
    placed = tuple(Placed(file=model.name, layers=model.layers) for model in models)
    return Loaded(placed=placed, unproved=session.unproved)


def refusal(error: StudyError) -> Refused:
    """The error as a message."""
    code, tail = (error.code, error.log_tail) if isinstance(error, EngineError) else (None, ())
    return Refused(kind=type(error).__name__, message=str(error), code=code, log_tail=tail)


def _claim_stdout() -> BinaryIO:
    """The real standard output for replies; everybody else's goes to standard error from now on."""
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return replies


def serve(session_type: type[PairSession]) -> None:
    """Answer requests until standard input ends."""
    # A signal to the whole process group reaches this process too; the parent decides when a run ends.
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, signal.SIG_IGN)
    replies = _claim_stdout()
    keep_log_in(sys.stderr.fileno())
    decoder = msgspec.json.Decoder(Request)
    worker = Worker(session_type)
    for line in sys.stdin.buffer:
        replies.write(msgspec.json.encode(worker.answer(decoder.decode(line))) + b"\n")
        replies.flush()


if __name__ == "__main__":
    serve(PairSession)
