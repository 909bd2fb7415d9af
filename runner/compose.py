"""From what the user asked for to everything that a study fixes before its first run."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import msgspec

from runner import plan as planning
from runner.cells import Step
from runner.drafter_names import UNCHECKED
from runner.errors import ModelError, UsageError
from runner.estimate import SYNTHETIC_SCALE, estimated_s
from runner.executor import Pair
from runner.plan import Plan
from runner.record import NO_DRAFT, EngineFacts, MachineFacts, Manifest, Settings
from runner.wiring import FamilyName, FoundFamily, Wiring
from suites.loader import Suite, adjusted, load_suites

BATCH_TOKENS = 512
ALL_LAYERS = -1
STUDIES = Path("data") / "studies"
SYNTHETIC: FamilyName = "synthetic"
REAL: FamilyName = "qwen3.5"
AUTO: FamilyName = "auto"

_PACKAGES = ("llama-cpp-python", "gguf", "numpy", "msgspec")


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What the user asked for. None: not given."""

    names: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    """The command line after the program's name, as it was typed."""
    family: FamilyName = AUTO
    repeats: int | None = None
    n_predict_tokens: int | None = None
    seed: int = 1
    threads: int | None = None
    n_ctx_tokens: int | None = None
    out: Path | None = None
    models_dir: Path | None = None
    roles: dict[str, Path] = {}
    rerun: Literal["failed"] | None = None
    despite_doctor: bool = False
    choose_on: Literal["host", "device"] = "host"


class Design(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be measured, before any model is looked at."""

    suites: list[Suite]
    steps: list[Step]
    n_ctx_tokens: int

    @property
    def pairs(self) -> list[Pair]:
        """What is loaded, in order of loading."""
        return planning.pairs_of(self.steps)

    @property
    def cells(self) -> dict[str, int]:
        """Suite -> declared cells."""
        return {suite.name: suite.n_cells for suite in self.suites}

    @property
    def paired_baselines(self) -> dict[str, int]:
        """Suite -> baselines on top of the declared cells."""
        found = planning.counts(self.steps, "paired-baseline")
        return {suite.name: found.get(suite.name, 0) for suite in self.suites}

    @property
    def reference_runs(self) -> int:
        """Reference runs of all pairs."""
        return sum(planning.counts(self.steps, "reference").values())

    def estimated_s(self, family: str) -> float:
        """Seconds that all runs may take on a family, loading not counted."""
        scale = SYNTHETIC_SCALE if family == SYNTHETIC else 1.0
        return sum(estimated_s(step.cell, step.prompt.likely_tokens, scale) for step in self.steps)


def design(wish: Wish) -> Design:
    """The suites as asked for, laid out.

    Raises UsageError or SuiteError for what does not exist or does not fit.
    """
    if not wish.names:
        raise UsageError("name a suite, or `all`; `python -m runner suite list` shows them")
    suites = [
        adjusted(suite, blocks=wish.repeats, n_predict_tokens=wish.n_predict_tokens)
        for suite in load_suites(wish.names)
    ]
    steps = planning.lay_out(suites, wish.seed)
    if wish.choose_on == "device" and any(step.cell.draft == UNCHECKED for step in steps):
        raise UsageError(
            f"the drafter {UNCHECKED} lives on logits left over on the host; leave --choose-on device out here"
        )
    n_ctx_tokens = wish.n_ctx_tokens or planning.context_tokens(steps)
    planning.refuse_what_does_not_fit(steps, n_ctx_tokens)
    return Design(suites=suites, steps=steps, n_ctx_tokens=n_ctx_tokens)


def family_of(wish: Wish, steps: Sequence[Step], wiring: Wiring) -> FoundFamily:
    """The models of the study; those of the built-in family are built when they are missing.

    Raises ModelError for a role without a usable file.
    """
    return wiring.resolve_family(
        wish.family, models_dir=wish.models_dir, overrides=wish.roles, roles=planning.roles_of(steps)
    )


def likely_family(wish: Wish, steps: Sequence[Step], wiring: Wiring) -> str:
    """The name of the family that would be taken, without building anything."""
    if wish.family != AUTO:
        return wish.family
    try:
        return family_of(msgspec.structs.replace(wish, family=REAL), steps, wiring).name
    except ModelError:
        if wish.models_dir is not None or wish.roles:
            raise
        return SYNTHETIC


def settings_of(wish: Wish, n_ctx_tokens: int, machine: MachineFacts) -> Settings:
    """What all runs share."""
    return Settings(
        n_ctx_tokens=n_ctx_tokens,
        n_batch_tokens=BATCH_TOKENS,
        n_ubatch_tokens=BATCH_TOKENS,
        n_threads=wish.threads or _threads(machine),
        n_gpu_layers=ALL_LAYERS,
        flash_attention="auto",
        kv_type="f16",
        seed=wish.seed,
        choose_on="device" if wish.choose_on == "device" else msgspec.UNSET,
    )


def refuse_strange_drafts(steps: Sequence[Step], family: FoundFamily, wiring: Wiring) -> None:
    """Raise ModelError when a draft has another vocabulary than the target that it is to draft for."""
    refuse_strange_pairs((step.loads for step in steps), family, wiring)


def refuse_strange_pairs(pairs: Iterable[tuple[str, str]], family: FoundFamily, wiring: Wiring) -> None:
    """The same for roles of targets and of their drafts, or `none`."""
    for target, draft in dict.fromkeys(pairs):
        if draft != NO_DRAFT and family.facts[target].vocab_sha256 != family.facts[draft].vocab_sha256:
            wiring.check_pair(family.paths[target], family.paths[draft])


def fix(
    designed: Design,
    family: FoundFamily,
    settings: Settings,
    machine: MachineFacts,
    engine: EngineFacts,
    *,
    arguments: list[str],
) -> tuple[Plan, Manifest]:
    """The plan with its identities, and the manifest that holds a study to it; `arguments` come redacted."""
    plan = planning.identify(designed.steps, settings, engine, family.facts)
    manifest = manifest_of(
        suite_sha256={suite.name: suite.sha256 for suite in designed.suites},
        plan_sha256=plan.sha256,
        n_cells=sum(designed.cells.values()),
        arguments=arguments,
        family=family,
        roles=planning.roles_of(designed.steps),
        settings=settings,
        machine=machine,
        engine=engine,
    )
    return plan, manifest


def manifest_of(
    *,
    suite_sha256: dict[str, str],
    plan_sha256: str,
    n_cells: int,
    arguments: list[str],
    family: FoundFamily,
    roles: Sequence[str],
    settings: Settings,
    machine: MachineFacts,
    engine: EngineFacts,
) -> Manifest:
    """What a study is held to, written now by this version of the tool."""
    return Manifest(
        tool_version=_version("specstudy"),
        created_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        arguments=arguments,
        family=family.name,
        suites=list(suite_sha256),
        suite_sha256=suite_sha256,
        plan_sha256=plan_sha256,
        n_cells=n_cells,
        settings=settings,
        models=[family.facts[role] for role in roles],
        engine=engine,
        machine=machine,
        packages={name: _version(name) for name in _PACKAGES},
    )


def default_out(wish: Wish, family: str) -> Path:
    """A new folder whose name says family, suites and time."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    return STUDIES / f"{family}-{'+'.join(dict.fromkeys(wish.names))}-{stamp}"


def _threads(machine: MachineFacts) -> int:
    """All fast cores but one: llama.cpp spins for its slowest thread, so one core in use stops them all."""
    fast = machine.performance_cores or machine.physical_cores or 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(fast, usable) - 1)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
