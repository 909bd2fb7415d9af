"""A measuring process with a real model whose runs end inside llama.cpp.

Started as `python -m tests.engine.aborting_worker`. The prompt says how: `abort` as GGML_ASSERT does it, `kill`
as a system short of memory does it, `chatter` logs a lot and lives.
"""

import ctypes
import os
import signal

from llama_cpp import _ggml

from runner.llama.session import PairSession
from runner.worker import serve

ASSERTION = b"GGML_ASSERT(%s) failed"
LINES_OF_CHATTER = 40_000


class AbortingSession(PairSession):
    """A session that loads like any other and dies in its first run."""

    def run(self, planned):
        log(b"the last thing that llama.cpp logged\n")
        match planned.prompt_text:
            case "abort":
                _ggml.libggml.ggml_abort(b"ggml.c", ctypes.c_int(7), ASSERTION, b"n_tokens > 0")
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "chatter":
                for number in range(LINES_OF_CHATTER):
                    log(b"line %d of many\n" % number)
        return super().run(planned)


def log(line):
    """Send a line the way that llama.cpp's own lines go."""
    from runner.llama import library

    library._on_log(2, line, None)


if __name__ == "__main__":
    serve(AbortingSession)
