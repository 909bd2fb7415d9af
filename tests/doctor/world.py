"""A world in which everything is well, for tests to break one thing at a time."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

from runner.errors import EngineError, ModelError
from runner.gguf_facts import inspect_gguf
from runner.messages import Load, Loaded, Placed
from runner.record import EngineFacts, MachineFacts, MachineState
from runner.wiring import Wiring
from tests.machine.recorded import RecordedLinux, RecordedMac
from tests.models.tiny_gguf import write_tiny

ROLES = (
    "moe-q4", "moe-q8", "dense-0.8b", "dense-2b", "dense-4b", "dense-9b", "draft-0.8b", "draft-2b",
)  # fmt: skip

CPU_FLAGS = "processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: fpu sse avx2 fma\n"

LINUX = MachineFacts(
    system="Linux 6.1", architecture="x86_64", chip="Some CPU", physical_cores=8, performance_cores=8,
    logical_cores=16, memory_bytes=32 * 10**9, measured_bandwidth_bytes_per_s=40e9,
)  # fmt: skip
MAC = MachineFacts(
    system="macOS 15.6", architecture="arm64", chip="Apple M2 Max", physical_cores=12, performance_cores=8,
    logical_cores=12, gpu_cores=38, memory_bytes=64 * 2**30, nominal_bandwidth_bytes_per_s=400e9,
    measured_bandwidth_bytes_per_s=200e9,
)  # fmt: skip
HEALTHY = MachineState(
    power_source="mains", low_power_mode=False, thermal_level="nominal", memory_pressure="normal",
    load_1min=0.1, available_memory_bytes=24 * 10**9,
)  # fmt: skip
CPU_BUILD = EngineFacts(
    name="llama.cpp", version="llama-cpp-python 0.3.36", system_info="CPU : AVX2 = 1 | FMA = 1 |",
    backends=["CPU"],
)  # fmt: skip
METAL_BUILD = EngineFacts(
    name="llama.cpp", version="llama-cpp-python 0.3.36", system_info="Metal : EMBED_LIBRARY = 1 |",
    backends=["MTL0", "BLAS", "CPU"],
)  # fmt: skip


class Family:
    name, reason = "synthetic", "asked for"

    def __init__(self, paths):
        self.paths = paths

    @property
    def facts(self):
        return {role: inspect_gguf(path, role) for role, path in self.paths.items()}


PLACED = {"CPU": 25}


class Session:
    def run(self, planned):
        raise EngineError("this world decodes nothing")

    def close(self):
        pass


class Executor:
    """Opens every pair, and remembers which; `broken` maps a target to the error of its pair.

    As a measuring process it says that layers went where `layers` says, and what `unproved` says of a target.
    """

    def __init__(self, broken=None, layers=PLACED, unproved=None):
        self.opened, self.broken, self.settings = [], broken or {}, None
        self.layers, self.unproved, self.open_workers = layers, unproved or {}, 0

    def open(self, pair):
        self.opened.append(pair)
        if pair.target in self.broken:
            raise self.broken[pair.target]
        return Session()

    def open_worker(self):
        self.open_workers += 1
        return Worker(self)


class Worker:
    """A measuring process that loads for an executor."""

    def __init__(self, executor):
        self.executor = executor

    def ask(self, request, expected, *, limit_s):
        assert (type(request), expected) == (Load, Loaded)
        self.executor.settings = request.settings
        self.executor.open(request.pair)
        files = [request.target_path, *([request.draft_path] if request.draft_path else [])]
        placed = tuple(Placed(file=file.rsplit("/")[-1], layers=self.executor.layers) for file in files)
        return Loaded(placed=placed, unproved=self.executor.unproved.get(request.pair.target, ()))

    def close(self):
        self.executor.open_workers -= 1


def family_of_tiny_files(folder, **tokens):
    """A GGUF of a few kilobytes for each role; keywords give a role (with _ for - and .) other tokens."""
    return Family({role: write_tiny(folder / f"{role}.gguf", tokens=tokens.get(_word(role))) for role in ROLES})


def wiring_of(family, executor, *, machine=LINUX, state=HEALTHY, engine=CPU_BUILD):
    """The parts of a study in this world."""

    def make_executor(paths, settings):
        executor.settings = settings
        return executor

    def resolve(name, **wanted):
        if isinstance(family, ModelError):
            raise family
        return family

    from runner.models import check_pair

    return Wiring(
        resolve_family=resolve,
        check_pair=check_pair,
        make_executor=make_executor,
        engine_facts=lambda: engine,
        machine_facts=lambda: machine,
        machine_state=lambda: state,
        kept_awake=nullcontext,
        write_report=lambda folder: folder / "report.html",
        tables=lambda folder: "",
        open_worker=executor.open_worker,
    )


def broken_engine(wiring, error):
    """The same world with a llama.cpp that cannot be asked."""

    def refuse():
        raise error

    return replace(wiring, engine_facts=refuse)


def linux_source():
    return RecordedLinux({"/proc/cpuinfo": CPU_FLAGS})


def mac_source(**sysctl):
    mac = RecordedMac()
    for name, value in sysctl.items():
        mac.set_sysctl(name.replace("__", "."), value)
    return mac


def _word(role):
    return role.replace("-", "_").replace(".", "_")
