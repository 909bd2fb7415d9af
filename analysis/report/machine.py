"""Where a study was measured: machine, software, settings, models with their checksums."""

from __future__ import annotations

import msgspec

from analysis.load import Study
from analysis.published import PublishedStudy
from analysis.render import Column, Row, Table

_PAIR = (Column("name", "Property"), Column("value", "Value"))
_MODELS = (
    Column("role", "Role"), Column("file", "File"), Column("quantisation", "Quantisation"),
    Column("architecture", "Architecture"), Column("parameters", "Total", "parameters"),
    Column("active_parameters", "Active", "parameters"), Column("size_bytes", "Bytes", "count"),
    Column("n_layers", "Layers", "count"), Column("experts", "Experts (used / all)"), Column("sha256", "SHA-256"),
)  # fmt: skip
_GIB, _GB = 1024**3, 1e9


def machine_tables(study: Study) -> tuple[Table, ...]:
    """Machine, software and settings, models."""
    manifest = study.manifest
    models: list[Row] = [
        {
            **{column.key: getattr(facts, column.key) for column in _MODELS if column.key != "experts"},
            "experts": f"{facts.n_experts_used} / {facts.n_experts}" if facts.n_experts else None,
        }
        for facts in manifest.models
    ]
    return (
        _pairs("machine", "Machine", _machine(study)),
        _pairs("software", "Software and settings", _software(study)),
        Table("models", "Models", _MODELS, tuple(models)),
    )


def published_machine(study: PublishedStudy) -> tuple[Table, ...]:
    """What the published study says of its machine."""
    hardware = study.hardware
    rows = {
        "Chip": hardware.chip, "Memory, GB": f"{hardware.memory_bytes / _GB:.0f} {hardware.memory_kind}",
        "Nominal bandwidth, GB/s": f"{hardware.bandwidth_bytes_per_s / _GB:.0f}",
        "GPU cores": str(hardware.gpu_cores), "Physical cores": str(hardware.cpu_cores),
        "Framework": hardware.framework, "Runs": str(study.runs.n_runs), "Source": study.source.url,
    }  # fmt: skip
    return (_pairs("machine", "Machine", rows),)


def _machine(study: Study) -> dict[str, str | None]:
    machine = study.manifest.machine
    return {
        "Chip": machine.chip, "System": machine.system, "Architecture": machine.architecture,
        "Physical cores": _text(machine.physical_cores), "Performance cores": _text(machine.performance_cores),
        "Logical cores": _text(machine.logical_cores), "GPU cores": _text(machine.gpu_cores),
        "Memory, GiB": f"{machine.memory_bytes / _GIB:.0f}" if machine.memory_bytes else None,
        "Nominal bandwidth, GB/s": _rate(machine.nominal_bandwidth_bytes_per_s),
        "Measured bandwidth, GB/s": _rate(machine.measured_bandwidth_bytes_per_s),
    }  # fmt: skip


def _software(study: Study) -> dict[str, str | None]:
    manifest = study.manifest
    settings = msgspec.to_builtins(manifest.settings)
    return {
        "Tool version": manifest.tool_version, "Created, UTC": manifest.created_utc,
        "Engine": f"{manifest.engine.name} {manifest.engine.version}",
        "Backends": ", ".join(manifest.engine.backends), "System info": manifest.engine.system_info,
        "Model family": manifest.family, "Suites": ", ".join(manifest.suites),
        "Arguments": " ".join(manifest.arguments), "SHA-256 of the plan": manifest.plan_sha256,
        **{name: str(value) for name, value in settings.items()},
        **{f"package {name}": version for name, version in sorted(manifest.packages.items())},
    }  # fmt: skip


def _pairs(name: str, title: str, values: dict[str, str | None]) -> Table:
    rows: list[Row] = [{"name": key, "value": value} for key, value in values.items()]
    return Table(name, title, _PAIR, tuple(rows))


def _text(value: int | None) -> str | None:
    return None if value is None else str(value)


def _rate(value: float | None) -> str | None:
    return f"{value / _GB:.0f}" if value else None
