"""What the doctor is asked about: the suites of a study, or an experiment with a study of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from runner import compose, experiment_command
from runner.compose import Wish
from runner.executor import Pair
from runner.experiment import roles_of
from runner.plan import roles_of as roles_of_steps
from runner.record import MachineFacts, Settings
from runner.wiring import FoundFamily, Wiring


@dataclass(frozen=True)
class Work:
    """What would be loaded, and with which settings."""

    pairs: list[Pair]
    roles: list[str]
    settings: Callable[[MachineFacts], Settings]
    refuse: Callable[[FoundFamily], None]
    """Raises StudyError for models that cannot do it."""
    unexamined: tuple[tuple[str, str], ...] = ()
    """Check, and what of it only the measuring itself can see."""


def work_of(wish: Wish, wiring: Wiring) -> Work:
    """The work that a wish names. Raises UsageError or SuiteError for what does not exist or does not fit."""
    if experiment_command.asked_for(wish.names):
        return _of_experiment(wish, wiring)
    designed = compose.design(wish)
    return Work(
        pairs=designed.pairs,
        roles=roles_of_steps(designed.steps),
        settings=partial(compose.settings_of, wish, designed.n_ctx_tokens),
        refuse=_anything_goes,
    )


def _of_experiment(wish: Wish, wiring: Wiring) -> Work:
    experiment = experiment_command.experiment_of(wish, wiring)
    return Work(
        pairs=experiment.proofs(),
        roles=roles_of(experiment),
        settings=partial(experiment.settings, wish),
        refuse=experiment.refuse,
        unexamined=experiment.unexamined,
    )


def _anything_goes(family: FoundFamily) -> None:
    """The matrix measures whatever fills its roles."""
