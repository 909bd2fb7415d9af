"""`suite moesd-grid` and `suite routing`: what the suite command hands over because it is no matrix of cells."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import msgspec

from runner import compose
from runner.compose import Wish
from runner.errors import ModelError, UsageError
from runner.experiment import run
from runner.grid_suite import GridExperiment
from runner.routing_suite import RoutingExperiment
from runner.wiring import Wiring
from suites.experiments import GridSuite, RoutingSuite, experiment_names, load_experiment
from suites.roles import BUILT_IN

Experiment = GridExperiment | RoutingExperiment


def asked_for(names: Sequence[str]) -> bool:
    """Whether an experiment is named. UsageError when anything else is named beside it."""
    named = [name for name in names if name in experiment_names()]
    if named and len(set(names)) > 1:
        raise UsageError(
            f"{named[0]} has a study of its own; run it by itself, and the other suites by themselves"
        )
    return bool(named)


def measure_experiment(wish: Wish, wiring: Wiring) -> int:
    """Run the experiment that the wish names, or what of it is missing; returns the exit status."""
    return run(experiment_of(wish, wiring), wish, wiring)


def experiment_as_text(wish: Wish, wiring: Wiring) -> str:
    """The ordered points, then their number and the estimated time."""
    experiment, threads = experiment_of(wish, wiring), wish.threads or 1
    if isinstance(experiment, GridExperiment):
        points = experiment.points()
        lines = [f"{order:>5}  {point}" for order, point in enumerate(points)]
        seconds = sum(experiment.assumed_s(point, threads) for point in points)
    else:
        subjects = experiment.subjects()
        lines = [f"{order:>5}  {subject}" for order, subject in enumerate(subjects)]
        seconds = sum(experiment.assumed_s(subject) for subject in subjects)
    guess = timedelta(seconds=round(seconds))
    on = f"on {threads} thread{'' if threads == 1 else 's'}"
    return "\n".join([*lines, "", f"{len(lines)} points; about {guess} {on}, a guess that measuring corrects"])


def experiment_as_json(wish: Wish, wiring: Wiring) -> str:
    """The same for programs."""
    experiment = experiment_of(wish, wiring)
    points = experiment.points() if isinstance(experiment, GridExperiment) else experiment.subjects()
    plan = [{"order": order, **msgspec.to_builtins(point)} for order, point in enumerate(points)]
    return msgspec.json.format(
        msgspec.json.encode({"suite": experiment.name, "points": len(plan), "plan": plan})
    ).decode()


def experiment_of(wish: Wish, wiring: Wiring) -> Experiment:
    """The experiment that the wish names. Raises UsageError for options that do not apply to it."""
    if wish.n_ctx_tokens is not None:
        raise UsageError(f"--n-ctx does not apply to {wish.names[0]}: each point has the context that it needs")
    if wish.choose_on == "device":
        raise UsageError(f"--choose-on device does not apply to {wish.names[0]}: it chooses on the host")
    suite = load_experiment(wish.names[0])
    if isinstance(suite, GridSuite):
        if wish.n_predict_tokens is not None:
            raise UsageError("--n-predict does not apply to a grid of passes; --repeats sets its rounds")
        return GridExperiment(msgspec.structs.replace(suite, rounds=wish.repeats or suite.rounds), wish.seed)
    if wish.repeats is not None:
        raise UsageError("--repeats does not apply: counting the experts of a text again gives the same counts")
    suite = msgspec.structs.replace(suite, n_text_tokens=wish.n_predict_tokens or suite.n_text_tokens)
    return RoutingExperiment(suite, wish.seed, _likely_family(wish, suite, wiring))


def _likely_family(wish: Wish, suite: RoutingSuite, wiring: Wiring) -> str:
    """The real family where it has all roles that it can have; `auto` asks for them."""
    if wish.family != compose.AUTO:
        return wish.family
    roles = [role for role in (*suite.targets, suite.draft) if role not in BUILT_IN]
    try:
        found = wiring.resolve_family(compose.REAL, models_dir=wish.models_dir, overrides=wish.roles, roles=roles)
    except ModelError:
        if wish.models_dir is not None or wish.roles:
            raise
        return compose.SYNTHETIC
    return found.name
