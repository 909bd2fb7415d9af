"""Loads what has to be loaded, lets it prove its rollbacks as a study does, and looks where its layers went."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import NamedTuple

from runner.doctor.engine import offload_lines
from runner.doctor.line import Line, fail, ok
from runner.errors import StudyError
from runner.executor import Pair
from runner.messages import Loaded, Placed
from runner.record import NO_DRAFT, MachineFacts, Settings, Strategy
from runner.wiring import Asker
from runner.worker_client import LOAD_LIMIT_S, load_request

Prove = Callable[[Pair], Loaded]
"""Loads a pair and gives it back. Raises StudyError when it cannot be had."""


class Proof(NamedTuple):
    """What loading a pair proves of one file; the two sides of a pair roll back in different ways."""

    file: Path
    side: str
    gamma: int
    forced: Strategy | None


def prover(open_worker: Callable[[], Asker], paths: Mapping[str, Path], settings: Settings) -> Prove:
    """Loads pairs in measuring processes that end with the answer."""
    return partial(_proved_in_a_worker, open_worker, paths, settings)


def rollback_lines(
    pairs: Sequence[Pair], paths: Mapping[str, Path], prove: Prove, machine: MachineFacts
) -> Iterator[Line]:
    """The fewest pairs that prove everything, each loaded; at the end where all their layers went."""
    chosen = worth_loading(pairs, paths)
    placed: list[Placed] = []
    for pair in chosen:
        try:
            loaded = prove(pair)
        except StudyError as error:
            yield fail("rollback", f"{pair}: {error}", "leave this pair out, or use another build of llama.cpp")
        else:
            placed += loaded.placed
            yield from _proved_lines(pair, loaded)
    rest = len(pairs) - len(chosen)
    if rest:
        yield ok("rollback", f"the other {rest} loads of the study are of the same models")
    yield from offload_lines(placed, machine)


def worth_loading(pairs: Iterable[Pair], paths: Mapping[str, Path]) -> list[Pair]:
    """The fewest pairs, taken greedily, that prove everything which any of them proves.

    A rollback is proved on one model, not on a pair, so a pair made of proved models needs no loading.
    """
    waiting = {pair: proofs_of(pair, paths) for pair in pairs}
    chosen: list[Pair] = []
    done: set[Proof] = set()
    while any(proofs - done for proofs in waiting.values()):
        best = max(waiting, key=lambda pair: len(waiting[pair] - done))
        done |= waiting.pop(best)
        chosen.append(best)
    return chosen


def proofs_of(pair: Pair, paths: Mapping[str, Path]) -> set[Proof]:
    """What loading a pair proves: that its files load, its target's rollback for every gamma, its draft's for the
    largest. A baseline takes nothing back, so any load of its file will do.
    """
    target = paths[pair.target]
    found = {Proof(target, "loads", 0, None)}
    found |= {Proof(target, "target", gamma, None) for gamma in pair.gammas if gamma}
    found |= {Proof(target, "target", gamma, strategy) for gamma, strategy in pair.forced}
    if pair.draft != NO_DRAFT and pair.drafted:
        draft = paths[pair.draft]
        found |= {Proof(draft, "loads", 0, None), Proof(draft, "draft", pair.drafted[-1], None)}
    return found


def _proved_in_a_worker(
    open_worker: Callable[[], Asker], paths: Mapping[str, Path], settings: Settings, pair: Pair
) -> Loaded:
    with closing(open_worker()) as worker:
        return worker.ask(load_request(pair, paths, settings), Loaded, limit_s=LOAD_LIMIT_S)


def _proved_lines(pair: Pair, loaded: Loaded) -> Iterator[Line]:
    for refusal in loaded.unproved:
        yield fail("rollback", f"{pair}: {refusal}", "leave out the suite that forces this rollback")
    if not pair.drafted:
        yield ok("rollback", f"{pair.target}: loads; nothing to roll back")
    elif not loaded.unproved:
        gammas = ", ".join(str(gamma) for gamma in pair.drafted)
        forced = ", ".join(dict.fromkeys(strategy for _, strategy in pair.forced))
        yield ok("rollback", f"{pair}: proved for γ {gammas}{f', also by {forced}' if forced else ''}")
