"""Looks at everything that a study rests on, from the machine to the proof that each pair can roll back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from runner.cells import Step
from runner.compose import STUDIES, Design, Wish, family_of, settings_of
from runner.doctor.energy import energy_line
from runner.doctor.engine import engine_lines, is_apple_silicon
from runner.doctor.hardware import hardware_lines
from runner.doctor.line import Line, fail, ok
from runner.doctor.memory import Capacity, memory_lines
from runner.doctor.state import load_line, other_load, state_lines
from runner.errors import ModelError, StudyError
from runner.executor import Executor, Pair
from runner.gguf_facts import read_card
from runner.machine.darwin import MacProbes
from runner.machine.source import Source, SystemSource, attempt
from runner.memory_need import need_of
from runner.record import NO_DRAFT, EngineFacts, MachineFacts, MachineState, Settings
from runner.units import scaled
from runner.wiring import FoundFamily, Wiring

CheckPair = Callable[[Path, Path], None]
"""Target and draft -> nothing, or a ModelError."""


def examine(wish: Wish, designed: Design, wiring: Wiring, source: Source | None = None) -> Iterator[Line]:
    """Every check, cheap ones first; models are loaded only at the end, and only if nothing failed before."""
    source = source or SystemSource()
    machine = wiring.machine_facts()
    state = wiring.machine_state()
    lines = [
        *environment_lines(machine, state, wiring.engine_facts, wish.out or STUDIES, source),
        energy_line(machine, source),
    ]
    yield from lines
    try:
        family = family_of(wish, designed.steps, wiring)
        settings = settings_of(wish, designed.n_ctx_tokens, machine)
        capacity = capacity_of(machine, state, source)
        found = [_family_line(family), *pair_lines(designed.steps, family, settings, capacity, wiring.check_pair)]
    except ModelError as error:
        found = [fail("models", str(error), "see `python -m runner models list` and `models check`")]
    yield from found
    if all(line.level != "fail" for line in (*lines, *found)):
        executor = wiring.make_executor(family.paths, _leaving_a_core(settings))
        yield from rollback_lines(pairs_of(designed.steps), family.paths, executor)


def environment_lines(
    machine: MachineFacts, state: MachineState, ask: Callable[[], EngineFacts], out: Path, source: Source
) -> Iterator[Line]:
    """Machine, llama.cpp build and state: what can be said without a model. `ask` starts a llama.cpp."""
    yield from hardware_lines(machine, out)
    yield from engine_lines(ask, machine, source)
    yield from state_lines(state)
    yield load_line(other_load(), state.load_1min)


def pair_lines(
    steps: Iterable[Step], family: FoundFamily, settings: Settings, capacity: Capacity, check_pair: CheckPair
) -> list[Line]:
    """Vocabulary and memory of every pair. Raises ModelError for a file that cannot be read."""
    pairs = pairs_of(steps)
    roles = dict.fromkeys(role for pair in pairs for role in (pair.target, pair.draft) if role != NO_DRAFT)
    cards = {role: read_card(family.paths[role]) for role in roles}
    drafted = [pair for pair in pairs if pair.draft in cards]
    strange = [pair for pair in drafted if cards[pair.target].vocab_sha256 != cards[pair.draft].vocab_sha256]
    lines = [_vocabulary_line(pair, family, check_pair) for pair in strange]
    if drafted and not strange:
        lines.append(ok("vocabulary", f"the same for target and draft in all {len(drafted)} pairs"))
    needs = {str(pair): need_of(pair, cards, settings) for pair in pairs}
    return [*lines, *memory_lines(needs, capacity)]


def rollback_lines(pairs: Sequence[Pair], paths: Mapping[str, Path], executor: Executor) -> Iterator[Line]:
    """Load what has to be loaded and let it prove its rollbacks, as a study does before it measures."""
    chosen = worth_loading(pairs, paths)
    for pair in chosen:
        try:
            executor.open(pair).close()
        except StudyError as error:
            yield fail("rollback", f"{pair}: {error}", "leave this pair out, or use another build of llama.cpp")
        else:
            gammas = ", ".join(str(gamma) for gamma in pair.gammas if gamma)
            yield ok(
                "rollback", f"{pair}: {f'proved for γ {gammas}' if gammas else 'loads; nothing to roll back'}"
            )
    rest = len(pairs) - len(chosen)
    if rest:
        yield ok("rollback", f"the other {rest} loads of the study are of the same models")


def pairs_of(steps: Iterable[Step]) -> list[Pair]:
    """The pairs that the steps load, each once with all its gammas, in order of loading."""
    gammas: dict[tuple[str, str], set[int]] = {}
    for step in steps:
        gammas.setdefault(step.loads, {0}).add(step.cell.gamma)
    return [
        Pair(target=target, draft=draft, gammas=tuple(sorted(found))) for (target, draft), found in gammas.items()
    ]


def worth_loading(pairs: Iterable[Pair], paths: Mapping[str, Path]) -> list[Pair]:
    """The fewest pairs, taken greedily, that load every file and prove it for every gamma asked of it.

    A rollback is proved on one model, not on a pair, so a pair made of proved models needs no loading.
    """
    waiting = {pair: _proofs(pair, paths) for pair in pairs}
    chosen: list[Pair] = []
    done: set[tuple[Path, int]] = set()
    while any(proofs - done for proofs in waiting.values()):
        best = max(waiting, key=lambda pair: len(waiting[pair] - done))
        done |= waiting.pop(best)
        chosen.append(best)
    return chosen


def _proofs(pair: Pair, paths: Mapping[str, Path]) -> set[tuple[Path, int]]:
    """What loading a pair proves: files, each with every gamma that its context was tried with."""
    files = [paths[role] for role in (pair.target, pair.draft) if role != NO_DRAFT]
    return {(file, gamma) for file in files for gamma in pair.gammas}


def capacity_of(machine: MachineFacts, state: MachineState, source: Source) -> Capacity:
    """Memory of the machine and what of it the GPU may use."""
    on_mac = is_apple_silicon(machine)
    return Capacity(
        memory_bytes=machine.memory_bytes,
        available_bytes=state.available_memory_bytes,
        gpu_limit_bytes=attempt(MacProbes(source).gpu_wired_limit_bytes) if on_mac else None,
        shares_memory_with_gpu=on_mac,
    )


def _leaving_a_core(settings: Settings) -> Settings:
    """A proof is no measurement, and the doctor must not stall on a busy machine: llama.cpp's threads wait for
    each other without sleeping, so that one disturbed core was seen to slow all of them twentyfold.
    """
    return msgspec.structs.replace(settings, n_threads=max(1, settings.n_threads - 1))


def _family_line(family: FoundFamily) -> Line:
    files = set(family.paths.values())
    size = sum(read_card(path).size_bytes for path in files)
    return ok("models", f"{family.name} ({family.reason}): {len(files)} files, {scaled(size, 'B')}")


def _vocabulary_line(pair: Pair, family: FoundFamily, check_pair: CheckPair) -> Line:
    try:
        check_pair(family.paths[pair.target], family.paths[pair.draft])
    except ModelError as error:
        return fail("vocabulary", f"{pair}: {error}", "see `python -m runner models check`")
    return ok("vocabulary", f"{pair}: the same")
