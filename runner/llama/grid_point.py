"""The timed rounds of one grid point: plain steps, cycles and narrower cycles in turn; drift hits all alike.

With gamma - 1 drafted tokens a verification is a pass over gamma tokens per sequence: that is how T_T(B, gamma)
is timed, after a rollback like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil

from runner.errors import UsageError
from runner.llama.parallel import ParallelContext
from runner.llama.parallel_loop import Cycle, ParallelBaseline, ParallelSpeculation, Step
from runner.messages import MeasurePoint


@dataclass
class Timed:
    """What the timed rounds of a point yielded; the warm-up round is left out."""

    steps: list[Step] = field(default_factory=list)
    cycles: list[Cycle] = field(default_factory=list)
    narrow: list[Cycle] = field(default_factory=list)


@dataclass
class Passes:
    """Nanoseconds of passes over all sequences of a point."""

    gamma: list[int]
    gamma1: list[int]
    draft: list[int]


def timed_rounds(asked: MeasurePoint, baseline: ParallelBaseline, loop: ParallelSpeculation) -> Timed:
    """A warm-up round, then as many as asked for."""
    timed = Timed()
    gamma, repeats = asked.point.gamma, _repeats(asked)
    for number in range(asked.rounds + 1):
        steps = [baseline.step() for _ in range(repeats)]
        cycles = [loop.cycle(gamma) for _ in range(repeats)]
        narrow = loop.cycle(gamma - 1)
        if number > 0:
            timed.steps += steps
            timed.cycles += cycles
            timed.narrow.append(narrow)
    return timed


def loop_passes(timed: Timed) -> Passes:
    """The passes that a true loop of all sequences made."""
    return Passes(
        gamma=[cycle.verify_ns for cycle in timed.narrow],
        gamma1=[cycle.verify_ns for cycle in timed.cycles],
        draft=[ns for cycle in timed.cycles for ns in cycle.draft_pass_ns],
    )


def plain_passes(
    asked: MeasurePoint, target: ParallelContext, draft: ParallelContext, prompts: Sequence[Sequence[int]]
) -> Passes:
    """Passes over all sequences without any rollback, for a point whose loop memory cannot hold whole.

    What is decoded are the prompts' own tokens, over and over: the time of a pass hangs on routing, not on sense.
    """
    gamma = asked.point.gamma
    target.begin(prompts)
    draft.begin(prompts)
    passes = Passes([], [], [])
    for _ in range(asked.rounds + 1):
        passes.gamma1.append(
            target.decode([_cycled(prompt, gamma + 1) for prompt in prompts], n_outputs=gamma + 1)
        )
        passes.gamma.append(target.decode([_cycled(prompt, gamma) for prompt in prompts], n_outputs=gamma))
        passes.draft.append(draft.decode([prompt[:1] for prompt in prompts], n_outputs=1))
    return Passes(passes.gamma[1:], passes.gamma1[1:], passes.draft[1:])


def context_tokens(asked: MeasurePoint) -> int:
    """Tokens that a sequence of this point may come to hold."""
    gamma = asked.point.gamma
    return asked.prompt_tokens + (asked.rounds + 1) * (_repeats(asked) * (gamma + 1) + gamma) + gamma


def point_prompts(tokens: Sequence[int], asked: MeasurePoint) -> list[list[int]]:
    """A prompt of its own for each sequence: one stretch of the text after the other.

    Raises UsageError when the text is too short.
    """
    length, count = asked.prompt_tokens, asked.point.n_sequences
    if len(tokens) < length * count:
        raise UsageError(
            f"{count} different prompts of {length} tokens need {length * count} tokens and the text has "
            f"{len(tokens)}; ask for fewer sequences or shorter prompts"
        )
    return [list(tokens[start : start + length]) for start in range(0, length * count, length)]


def agreement(ours: Sequence[Sequence[int]], theirs: Sequence[Sequence[int]]) -> tuple[int, int]:
    """Tokens before the first difference of each pair of texts, and tokens that both have."""
    same = compared = 0
    for one, other in zip(ours, theirs, strict=False):
        both = list(zip(one, other, strict=False))
        compared += len(both)
        same += next((index for index, (a, b) in enumerate(both) if a != b), len(both))
    return same, compared


def _repeats(asked: MeasurePoint) -> int:
    """Steps and cycles a round: few sequences need more of them for a rate of acceptance that means something."""
    return max(1, ceil(asked.sequence_cycles / (asked.rounds * asked.point.n_sequences)))


def _cycled(tokens: Sequence[int], count: int) -> list[int]:
    return [tokens[index % len(tokens)] for index in range(count)]
