"""What the machine is and in what state: chip, cores, memory, bandwidth; power, heat, pressure, load.

Every probe stands alone: one that fails leaves None in its place and the others as they are.
"""

from __future__ import annotations

import os
import platform

from runner.machine.awake import kept_awake
from runner.machine.bandwidth import measured_bandwidth_bytes_per_s
from runner.machine.chips import nominal_bandwidth_bytes_per_s
from runner.machine.darwin import MacProbes
from runner.machine.linux import LinuxProbes
from runner.machine.source import Probes, Source, SystemSource, attempt
from runner.record import MachineFacts, MachineState

__all__ = ["kept_awake", "machine_facts", "machine_state"]

MAX_BANDWIDTH_THREADS = 8


def machine_facts(source: Source | None = None, system: str | None = None) -> MachineFacts:
    """What does not change during a study; measures memory bandwidth, which takes under a second."""
    probes = _probes(source, system)
    chip = attempt(probes.chip)
    physical = attempt(probes.physical_cores)
    fast = attempt(probes.performance_cores)
    gpu = attempt(probes.gpu_cores)
    threads = min(fast or physical or 1, MAX_BANDWIDTH_THREADS)
    return MachineFacts(
        system=attempt(probes.system_name) or platform.system(),
        architecture=platform.machine(),
        chip=chip,
        physical_cores=physical,
        performance_cores=fast,
        logical_cores=attempt(probes.logical_cores),
        gpu_cores=gpu,
        memory_bytes=attempt(probes.memory_bytes),
        nominal_bandwidth_bytes_per_s=nominal_bandwidth_bytes_per_s(chip or "", physical, gpu),
        measured_bandwidth_bytes_per_s=attempt(lambda: measured_bandwidth_bytes_per_s(threads)),
    )


def machine_state(source: Source | None = None, system: str | None = None) -> MachineState:
    """What can change between two runs; takes some milliseconds (four short commands on a Mac)."""
    probes = _probes(source, system)
    return MachineState(
        power_source=attempt(probes.power_source),
        low_power_mode=attempt(probes.low_power_mode),
        thermal_level=attempt(probes.thermal_level),
        memory_pressure=attempt(probes.memory_pressure),
        load_1min=attempt(lambda: os.getloadavg()[0]),
        available_memory_bytes=attempt(probes.available_memory_bytes),
        cpu_frequency_mhz=attempt(probes.cpu_frequency_mhz),
    )


def _probes(source: Source | None, system: str | None) -> Probes:
    kind = MacProbes if (system or platform.system()) == "Darwin" else LinuxProbes
    return kind(source or SystemSource())
