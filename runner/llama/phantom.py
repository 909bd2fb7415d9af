"""The phantom: speculative decoding that checks nothing, to show how the published speedup came about.

The tool behind the published study ignored a refused rollback and every decode that failed after it, and went on
sampling the logits of the last pass that had worked (facts/llamacpp.md, A; seed 003). The same is done here on
purpose, with the project's own decode loop over a target and a drafter that look away. A failed pass costs
nothing and accepts nothing, so the loop looks fast; its text is the last good token, over and over.

Nothing imports this module. It is a measuring process of its own (`python -m runner.llama.phantom`), started only
for suites that ask for the drafter `unchecked`, and every record it makes is marked.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from functools import partial

from runner.decode import Choice, generate
from runner.drafter_names import UNCHECKED
from runner.errors import EngineError, UsageError
from runner.executor import PlannedRun
from runner.llama.context import Context
from runner.llama.greedy import greedy_choice
from runner.llama.session import WARM_UP_TOKENS, PairSession, measurement
from runner.record import Measurement, UncheckedCounts
from runner.worker import serve


class _Careless:
    """A context used without looking at what it answers; `position` is where the caller believes to be."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.position = 0
        self.passes = 0
        self.failed_passes = 0
        self.refused_rollbacks = 0

    def begin(self, tokens: Sequence[int]) -> None:
        self.context.begin(tokens)
        self.position = len(tokens)
        self.passes = self.failed_passes = self.refused_rollbacks = 0

    def decode(self, tokens: Sequence[int]) -> None:
        self.context.position = self.position
        try:
            self.context.decode(tokens, n_outputs=len(tokens))
            self.passes += 1
        except EngineError:
            self.failed_passes += 1
        self.position += len(tokens)

    def forget_from(self, position: int) -> None:
        self.context.position = self.position
        try:
            self.context.forget_from(position)
        except EngineError:
            self.refused_rollbacks += 1
        self.position = position


class _CarelessTarget:
    """`runner.decode.Target` that samples whatever logits are left over."""

    def __init__(self, careless: _Careless) -> None:
        self._careless = careless
        self._marked = 0

    def begin(self, tokens: Sequence[int]) -> None:
        self._careless.begin(tokens)

    def mark(self) -> None:
        self._marked = self._careless.position

    def verify(self, tokens: Sequence[int]) -> None:
        self._careless.decode(tokens)

    def choose(self, n_rows: int) -> Choice:
        return greedy_choice(self._careless.context.logits(n_rows))

    def keep(self, n_tokens: int) -> None:
        self._careless.forget_from(self._marked + n_tokens)


class _CarelessDrafter:
    """`runner.decode.Drafter` that trims and drafts on, like the published tool: γ + 1 passes a cycle."""

    def __init__(self, careless: _Careless) -> None:
        self._careless = careless
        self._confirmed = 0
        self._last = 0

    def begin(self, prompt: Sequence[int]) -> None:
        self._careless.begin(prompt[:-1])
        self._confirmed = len(prompt) - 1
        self._last = prompt[-1]

    def propose(self, limit: int) -> list[int]:
        self._careless.forget_from(self._confirmed)
        self._careless.decode([self._last])
        proposal: list[int] = []
        for _ in range(limit):
            proposal += greedy_choice(self._careless.context.logits(1)).tokens
            self._careless.decode(proposal[-1:])
        return proposal

    def settle(self, n_accepted: int, bonus: int) -> None:
        self._confirmed += n_accepted + 1
        self._last = bonus


class PhantomSession(PairSession):
    """Runs honest cells like any session, and cells of the drafter `unchecked` without a single check."""

    def run(self, planned: PlannedRun) -> Measurement:
        """Measure one cell; `unchecked` ones come back with what really happened in `unchecked`."""
        if planned.cell.draft != UNCHECKED:
            return super().run(planned)
        if self.draft is None:
            raise UsageError(f"the drafter {UNCHECKED} needs a draft model and the pair has none")
        prompt = self.prompt_of(planned)
        # As in the published tool, neither context keeps snapshots (n_rs_seq 0).
        with (
            closing(Context(self.model, self.settings)) as target,
            closing(Context(self.draft.context.model, self.settings)) as draft,
        ):
            return self._run_unchecked(planned, prompt, _Careless(target), _Careless(draft))

    def _run_unchecked(
        self, planned: PlannedRun, prompt: Sequence[int], target: _Careless, draft: _Careless
    ) -> Measurement:
        loop = partial(
            generate,
            _CarelessTarget(target),
            _CarelessDrafter(draft),
            gamma=planned.cell.gamma,
            clock=time.monotonic_ns,
        )
        # Fresh contexts touch their memory for the first time; the honest loop is spared that by its warm-up.
        loop(self.warm_prompt, n_predict=WARM_UP_TOKENS)
        generation = loop(prompt, n_predict=planned.cell.n_predict_tokens)
        return measurement(
            generation,
            prompt,
            llama_ns=target.context.llama_ns + draft.context.llama_ns,
            unchecked=UncheckedCounts(
                failed_target_passes=target.failed_passes,
                failed_draft_passes=draft.failed_passes,
                refused_rollbacks=target.refused_rollbacks + draft.refused_rollbacks,
                target_passes=target.passes,
                draft_passes=draft.passes,
            ),
        )


if __name__ == "__main__":
    serve(PhantomSession)
