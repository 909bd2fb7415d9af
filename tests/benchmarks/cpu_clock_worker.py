"""A measuring process that counts its own thread's CPU time: with one thread, what a quiet machine would measure.

`python -m tests.benchmarks.cpu_clock_worker`; for benchmarks on machines that others use too.
"""

import time

time.monotonic_ns = time.thread_time_ns

from runner.llama.session import PairSession  # noqa: E402  # the clock must be set before anybody takes it
from runner.worker import serve  # noqa: E402

if __name__ == "__main__":
    serve(PairSession)
