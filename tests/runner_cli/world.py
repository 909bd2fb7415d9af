"""Everything outside the suite command, and what it was asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from click.testing import Result

from runner.errors import ModelError, StudyError
from runner.executor import Executor
from runner.record import MachineFacts, MachineState, ModelFacts, Settings
from runner.wiring import FamilyName, Wiring
from tests.fake_executor import FACTS, FakeExecutor
from tests.simulated import ENGINE, MACHINE

Run = Callable[..., Result]


@dataclass(frozen=True)
class FakeFamily:
    """Models that are not there."""

    name: str
    reason: str
    paths: Mapping[str, Path]
    facts: Mapping[str, ModelFacts]


@dataclass
class World:
    """Everything outside the command, and what it was asked for."""

    executor: FakeExecutor = field(default_factory=FakeExecutor)
    has_real_models: bool = False
    facts: dict[str, ModelFacts] = field(default_factory=lambda: dict(FACTS))
    asked: list[str] = field(default_factory=list)
    settings: list[Settings] = field(default_factory=list)
    machine: MachineFacts = MACHINE

    def resolve(
        self, name: FamilyName, *, models_dir: Path | None, overrides: Mapping[str, Path], roles: list[str]
    ) -> FakeFamily:
        self.asked.append(name)
        if not self.has_real_models and (name == "qwen3.5" or models_dir or overrides):
            raise ModelError(f"no file for {roles[0]}; name one with --role {roles[0]}=PATH")
        real = self.has_real_models and name != "synthetic"
        paths = {role: overrides.get(role, Path(f"{role}.gguf")) for role in roles}
        reason = "asked for" if name != "auto" else f"auto: {'all' if real else 'no'} real models are here"
        return FakeFamily("qwen3.5" if real else "synthetic", reason, paths, self.facts)

    def make_executor(self, paths: Mapping[str, Path], settings: Settings) -> Executor:
        self.settings.append(settings)
        return self.executor

    @staticmethod
    def awake() -> AbstractContextManager[object]:
        return nullcontext()

    @property
    def wiring(self) -> Wiring:
        return Wiring(
            resolve_family=self.resolve,
            check_pair=refuse_pair,
            make_executor=self.make_executor,
            engine_facts=lambda: ENGINE,
            machine_facts=lambda: self.machine,
            machine_state=MachineState,
            kept_awake=self.awake,
            write_report=lambda folder: folder / "report.html",
            tables=lambda folder: f"tables of {folder.name}",
        )


def refuse_pair(target: Path, draft: Path) -> None:
    raise ModelError(f"{draft}: another vocabulary than {target}")


def refusal(result: Result) -> str:
    """The one line of a refused command, which `runner.lazy_group.run` prints before it exits with 2."""
    assert isinstance(result.exception, StudyError), result.output
    assert result.exception.exit_status == 2
    message = str(result.exception)
    assert "\n" not in message
    return message
