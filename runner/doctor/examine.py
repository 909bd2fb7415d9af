"""Looks at everything that a study rests on, from the machine to the proof that each pair can roll back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from runner.compose import STUDIES, Wish
from runner.doctor.energy import energy_line
from runner.doctor.engine import engine_lines, is_apple_silicon
from runner.doctor.hardware import hardware_lines
from runner.doctor.line import Line, fail, ok, warn
from runner.doctor.memory import Capacity, memory_lines
from runner.doctor.proof import prover, rollback_lines
from runner.doctor.state import load_line, other_load, state_lines
from runner.doctor.work import Work
from runner.errors import ModelError
from runner.executor import Pair
from runner.gguf_facts import read_card
from runner.machine.darwin import MacProbes
from runner.machine.source import Source, SystemSource, attempt
from runner.memory_need import need_of
from runner.record import NO_DRAFT, EngineFacts, MachineFacts, MachineState, Settings
from runner.units import scaled
from runner.wiring import FoundFamily, Wiring

UNEXAMINED = "not examined, nor where layers go: models are loaded only where no check before fails"

CheckPair = Callable[[Path, Path], None]
"""Target and draft -> nothing, or a ModelError."""


def examine(wish: Wish, work: Work, wiring: Wiring, source: Source | None = None) -> Iterator[Line]:
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
        family = wiring.resolve_family(
            wish.family, models_dir=wish.models_dir, overrides=wish.roles, roles=work.roles
        )
        work.refuse(family)
        settings = work.settings(machine)
        capacity = capacity_of(machine, state, source)
        found = [_family_line(family), *pair_lines(work.pairs, family, settings, capacity, wiring.check_pair)]
    except ModelError as error:
        found = [fail("models", str(error), "see `python -m runner models list` and `models check`")]
    yield from found
    yield from (ok(check, told) for check, told in work.unexamined)
    if any(line.level == "fail" for line in (*lines, *found)):
        yield warn("rollback", UNEXAMINED, "mend what failed, then look again")
        return
    prove = prover(wiring.open_worker, family.paths, _leaving_a_core(settings))
    yield from rollback_lines(work.pairs, family.paths, prove, machine)


def environment_lines(
    machine: MachineFacts, state: MachineState, ask: Callable[[], EngineFacts], out: Path, source: Source
) -> Iterator[Line]:
    """Machine, llama.cpp build and state: what can be said without a model. `ask` starts a llama.cpp."""
    yield from hardware_lines(machine, out)
    yield from engine_lines(ask, machine, source)
    yield from state_lines(state)
    yield load_line(other_load(), state.load_1min)


def pair_lines(
    pairs: Sequence[Pair], family: FoundFamily, settings: Settings, capacity: Capacity, check_pair: CheckPair
) -> list[Line]:
    """Vocabulary and memory of every pair. Raises ModelError for a file that cannot be read."""
    roles = dict.fromkeys(role for pair in pairs for role in (pair.target, pair.draft) if role != NO_DRAFT)
    cards = {role: read_card(family.paths[role]) for role in roles}
    drafted = [pair for pair in pairs if pair.draft in cards]
    strange = [pair for pair in drafted if cards[pair.target].vocab_sha256 != cards[pair.draft].vocab_sha256]
    lines = [_vocabulary_line(pair, family, check_pair) for pair in strange]
    if drafted and not strange:
        lines.append(ok("vocabulary", f"the same for target and draft in all {len(drafted)} pairs"))
    needs = {str(pair): need_of(pair, cards, settings) for pair in pairs}
    return [*lines, *memory_lines(needs, capacity)]


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
