"""Checks of the llama.cpp build: is it here, is it for this processor, does it have the GPU it should have."""

from __future__ import annotations

import re
from collections.abc import Callable

from runner.doctor.line import Line, fail, ok, warn
from runner.errors import StudyError
from runner.machine.source import Source, attempt
from runner.record import EngineFacts, MachineFacts

REBUILD = "rebuild: pip install --force-reinstall --no-binary llama-cpp-python llama-cpp-python"
_METAL = re.compile(r"^(metal|mtl\d*)", re.IGNORECASE)
_HOST_ONLY = re.compile(r"^(cpu|blas|accelerate)", re.IGNORECASE)
_VECTORS = {"avx2": "AVX2", "fma": "FMA", "avx512f": "AVX512"}
"""Flag of /proc/cpuinfo -> feature of llama.cpp's system info."""


def engine_lines(ask: Callable[[], EngineFacts], machine: MachineFacts, source: Source) -> list[Line]:
    """The build and its backends; `ask` starts a measuring process that loads llama.cpp."""
    try:
        engine = ask()
    except StudyError as error:
        return [fail("llama.cpp", f"cannot be loaded ({error})", "pip install -e '.[measure]'")]
    return [ok("llama.cpp", engine.version), _backend(engine, machine, source), *_vectors(engine, source)]


def is_apple_silicon(machine: MachineFacts) -> bool:
    """A Mac with Apple's own chip, whatever this Python was built for."""
    return machine.system.startswith("macOS") and (
        machine.architecture == "arm64" or (machine.chip or "").startswith("Apple")
    )


def _backend(engine: EngineFacts, machine: MachineFacts, source: Source) -> Line:
    devices = ", ".join(engine.backends) or "none"
    gpus = [name for name in engine.backends if not _HOST_ONLY.match(name)]
    if not is_apple_silicon(machine):
        return ok("backend", f"{devices}{'' if gpus else ': everything runs on the processor'}")
    if attempt(lambda: source.command("sysctl", "-n", "sysctl.proc_translated").strip()) == "1":
        remedy = "use a Python for arm64 (`arch -arm64`), then `make clean study`"
        return fail("backend", "this Python is translated by Rosetta: no Metal, slow arithmetic", remedy)
    if not any(_METAL.match(name) for name in gpus):
        return fail(
            "backend", f"no Metal among the devices ({devices})", f"CMAKE_ARGS=-DGGML_METAL=on, {REBUILD}"
        )
    return ok("backend", f"{devices}: all layers go to the GPU")


def _vectors(engine: EngineFacts, source: Source) -> list[Line]:
    """Vector instructions that the processor has and the build does without."""
    text = attempt(lambda: source.read("/proc/cpuinfo"))
    found = re.search(r"^flags\s*:\s*(.+)$", text or "", re.MULTILINE)
    if found is None:
        return []
    flags = set(found[1].split())
    unused = [
        name for flag, name in _VECTORS.items() if flag in flags and f"{name} = 1" not in engine.system_info
    ]
    if unused:
        return [
            warn(
                "processor",
                f"the build does without {', '.join(unused)}",
                f"CMAKE_ARGS=-DGGML_NATIVE=on, {REBUILD}",
            )
        ]
    return [ok("processor", "the build uses its vector instructions")]
