"""The one seam between probes and the system: everything they read comes through a `Source`.

Tests hand in a source of recorded outputs, so that the macOS probes are proved on machines that are none.
"""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Literal, Protocol, TypeVar, get_args

T = TypeVar("T")

PowerSource = Literal["mains", "battery"]
ThermalLevel = Literal["nominal", "fair", "serious", "critical"]
MemoryPressure = Literal["normal", "warning", "critical"]
THERMAL_LEVELS: tuple[ThermalLevel, ...] = get_args(ThermalLevel)

COMMAND_TIMEOUT_S = 10


class Source(Protocol):
    """What probes may ask the system. Every method may raise anything; `attempt` turns that into None."""

    def command(self, *argv: str) -> str:
        """Standard output of a command."""

    def read(self, path: str) -> str:
        """Text of a file under /proc or /sys."""

    def notify_state(self, key: str) -> int:
        """State of a Darwin notification."""

    def process_thermal_state(self) -> int:
        """NSProcessInfo.thermalState, 0 to 3."""


class Probes(Protocol):
    """What both systems are asked; a fact that one cannot tell raises there."""

    def system_name(self) -> str: ...

    def chip(self) -> str: ...

    def physical_cores(self) -> int: ...

    def performance_cores(self) -> int: ...

    def logical_cores(self) -> int: ...

    def gpu_cores(self) -> int: ...

    def memory_bytes(self) -> int: ...

    def power_source(self) -> PowerSource: ...

    def low_power_mode(self) -> bool: ...

    def thermal_level(self) -> ThermalLevel: ...

    def memory_pressure(self) -> MemoryPressure: ...

    def available_memory_bytes(self) -> int: ...

    def cpu_frequency_mhz(self) -> float: ...


class SystemSource:
    """The real system."""

    def command(self, *argv: str) -> str:
        """Standard output of a command; raises when it fails or takes over ten seconds."""
        done = subprocess.run(argv, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, check=True)
        return done.stdout

    def read(self, path: str) -> str:
        """Text of a file."""
        return Path(path).read_text(encoding="utf-8", errors="replace")

    def notify_state(self, key: str) -> int:
        """State of a Darwin notification, readable without root (notify(3))."""
        system = ctypes.CDLL("/usr/lib/libSystem.B.dylib")
        token, state = ctypes.c_int(), ctypes.c_uint64()
        if system.notify_register_check(key.encode(), ctypes.byref(token)) != 0:
            raise OSError(f"{key} cannot be registered")
        try:
            if system.notify_get_state(token, ctypes.byref(state)) != 0:
                raise OSError(f"{key} has no state")
        finally:
            system.notify_cancel(token)
        return int(state.value)

    def process_thermal_state(self) -> int:
        """NSProcessInfo.thermalState through the Objective-C runtime."""
        ctypes.CDLL("/System/Library/Frameworks/Foundation.framework/Foundation")
        objc = ctypes.CDLL("/usr/lib/libobjc.dylib")
        objc.objc_getClass.restype = objc.sel_registerName.restype = ctypes.c_void_p
        objc.objc_getClass.argtypes = objc.sel_registerName.argtypes = [ctypes.c_char_p]
        pointer_result = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
        long_result = ctypes.CFUNCTYPE(ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
        send = ctypes.cast(objc.objc_msgSend, ctypes.c_void_p).value or 0
        process_info = pointer_result(send)(
            objc.objc_getClass(b"NSProcessInfo"), objc.sel_registerName(b"processInfo")
        )
        return int(long_result(send)(process_info, objc.sel_registerName(b"thermalState")))


def attempt(probe: Callable[[], T]) -> T | None:
    """What the probe yields, or None: a probe that fails, however, must not cost a run or another probe."""
    try:
        return probe()
    except Exception:  # noqa: BLE001  # systems fail in ways no list foresees; None says "not to be had"
        return None
