"""A measuring process without a model whose runs go as its arguments say.

Started as `python -m tests.schedule.worker_in_trouble abort:3 hang:9 memory:14`: the run at order 3 ends the
process as an assertion would, that at 9 never answers, that at 14 allocates until it may not. Others succeed at
once.
"""

import os
import resource
import sys
import time
from contextlib import suppress
from types import SimpleNamespace

import psutil

from runner.worker import serve
from tests.fake_executor import measurement_of

MODULE = "tests.schedule.worker_in_trouble"
REASON = "GGML_ASSERT(troubled) failed"
ROOM_BYTES = 256 << 20
_PIECE_BYTES = 16 << 20


def abort():
    print(f"ggml.c:1: {REASON}", file=sys.stderr, flush=True)
    os.abort()


def hang():
    while True:
        time.sleep(60)


def memory():
    limit = psutil.Process().memory_info().vms + ROOM_BYTES
    with suppress(ValueError):  # not every system limits it
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    held = [bytearray(_PIECE_BYTES) for _ in range(2 * ROOM_BYTES // _PIECE_BYTES)]
    raise MemoryError(f"{len(held)} pieces are enough where the system sets no limit")


TROUBLES = {"abort": abort, "hang": hang, "memory": memory}


class TroubledSession:
    """Takes the place of a loaded pair."""

    draft = None
    model = SimpleNamespace(name="none.gguf", layers={})
    unproved = ()

    def __init__(self, pair, target, draft, settings):
        asked = (argument.split(":") for argument in sys.argv[1:])
        self._troubles = {int(order): TROUBLES[kind] for kind, order in asked}

    def run(self, planned):
        trouble = self._troubles.get(planned.order)
        if trouble is not None:
            trouble()
        return measurement_of(planned, seed=1)


if __name__ == "__main__":
    serve(TroubledSession)
