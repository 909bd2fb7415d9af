"""Every error a user can meet, in one tree. A message says what is wrong, where, and what to do.

StudyError
├── UsageError        a command asks for something that does not exist or does not fit      exit 2
├── SuiteError        a suite file is malformed                                              exit 2
├── DataError         a file to be analysed cannot be read as what it claims to be          exit 2
├── ModelError        a GGUF is missing, damaged or does not fit its role                    exit 2
│   └── RollbackError no rollback strategy could be proved on this model                    exit 2
├── StoreError        a study directory cannot be written, resumed or trusted                exit 2
├── EngineError       llama.cpp refused or failed; carries its code and last log lines
└── WorkerError       the process that measures died, hung or answered nonsense
"""

from __future__ import annotations


class StudyError(Exception):
    """Base of all errors raised on purpose; the command line prints it as one line and exits with 2."""

    exit_status = 2


class UsageError(StudyError):
    """The command asks for something that does not exist or does not fit together."""


class SuiteError(StudyError):
    """A suite file has an unknown key, a missing key or a value out of range."""


class DataError(StudyError):
    """A file to be analysed cannot be read as what it claims to be."""


class ModelError(StudyError):
    """A GGUF is missing, damaged, of another vocabulary, or does not fit its role."""


class RollbackError(ModelError):
    """No rollback strategy could be proved on this very model."""


class StoreError(StudyError):
    """A study directory cannot be written, resumed or trusted."""


class EngineError(StudyError):
    """llama.cpp refused a call or failed in it.

    `code` is llama.cpp's return code (None where the call has none), `log_tail` its last log lines.
    """

    def __init__(self, message: str, *, code: int | None = None, log_tail: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.log_tail = log_tail


class WorkerError(StudyError):
    """The measuring process died, hung, or answered something that is not a record."""

    def __init__(self, message: str, *, log_tail: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.log_tail = log_tail
