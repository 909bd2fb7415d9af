"""What a draft would say after each prefix of a known text: all that any gamma's acceptance depends on.

Greedy drafting depends on the text before it alone, and as long as a draft is right its own text is the target's.
So the number of right guesses in a row from a position is the length of the run of right single guesses that
starts there, and one pass over the text tells what every gamma would have accepted at every position.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from runner.executor import PlannedRun
from runner.llama.session import PairSession
from runner.messages import Traced


def trace(session: PairSession, planned: PlannedRun, text: Sequence[int]) -> Traced:
    """The loaded draft's greedy guess at each token of `text`, decoded one by one as in drafting."""
    prompt = session.prompt_of(planned)
    if session.draft is None:
        return Traced(prompt=prompt, guesses=[], pass_ns=[])
    context = session.draft.context
    context.begin(prompt[:-1])
    guesses: list[int] = []
    pass_ns: list[int] = []
    for token in [prompt[-1], *text[:-1]]:
        started = time.monotonic_ns()
        context.decode([token], n_outputs=1)
        guesses += context.choose(1).tokens
        pass_ns.append(time.monotonic_ns() - started)
    return Traced(prompt=prompt, guesses=guesses, pass_ns=pass_ns)
