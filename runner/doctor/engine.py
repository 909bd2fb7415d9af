"""Checks of the llama.cpp build: is it here, is it for this processor, does it have the GPU it should have."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from runner.doctor.line import Line, fail, ok, warn
from runner.errors import StudyError
from runner.machine.source import Source, attempt
from runner.messages import Placed
from runner.record import EngineFacts, MachineFacts

REBUILD = "rebuild: pip install --force-reinstall --no-binary llama-cpp-python llama-cpp-python"
UNTOLD = "watch the GPU in Activity Monitor (`nvidia-smi` elsewhere) during a run, and please report this"
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
    return ok("backend", f"{devices}: this build has Metal")


def offload_lines(placed: Iterable[Placed], machine: MachineFacts) -> Iterator[Line]:
    """Where llama.cpp put the layers of each loaded file; on Apple Silicon none may stay on the processor."""
    on_mac = is_apple_silicon(machine)
    models = {each.file: each.layers for each in placed}
    for file, layers in models.items():
        stay = sum(count for device, count in layers.items() if _HOST_ONLY.match(device))
        if not layers:
            yield warn("offload", f"{file}: llama.cpp does not say where its layers went", UNTOLD)
        elif on_mac and stay:
            told = f"{file}: {stay} of {sum(layers.values())} layers stay on the processor"
            yield fail("offload", told, f"CMAKE_ARGS=-DGGML_METAL=on, {REBUILD}")
    devices = sorted({device for layers in models.values() for device in layers})
    if devices and not (on_mac and any(_HOST_ONLY.match(device) for device in devices)):
        yield ok("offload", f"all layers of the {len(models)} files loaded were put on {', '.join(devices)}")


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
