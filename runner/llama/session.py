"""A loaded pair: target and draft weights once, one proved context for each gamma, many measured runs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import psutil

from runner.clock import PausableClock
from runner.decode import UNWATCHED, Drafter, Generation, NoDraft, generate
from runner.drafter_names import KNOWN, MODEL, DrafterSpec, drafter_spec
from runner.drafters import NgramDrafter, OracleDrafter, SweepDrafter, VariedDrafter, chance_seed
from runner.errors import ModelError, StudyError, UsageError
from runner.executor import Pair, PlannedRun
from runner.llama.context import Context
from runner.llama.draft import ChargedOracle, ModelDrafter
from runner.llama.model import Model
from runner.llama.preflight import DRAFT, PROBE_TEXT, TARGET, Proved, prove, prove_device_choice
from runner.llama.rollback import make_rollback
from runner.llama.target import LlamaTarget
from runner.machine.energy import EnergyWindow, energy_meter
from runner.prompts import prompt_tokens
from runner.record import (
    Cell,
    Energy,
    Measurement,
    RollbackProof,
    Settings,
    Strategy,
    UncheckedCounts,
    fingerprint,
)

_PAUSE_NS = 500_000_000
"""After half a second of rest a GPU gives memory residency back and clocks fall (ggml-org/llama.cpp#10119)."""
WARM_UP_TOKENS = 16


@dataclass(frozen=True)
class _Arm:
    """A target ready to verify, and what was proved about it; nothing needs proof at gamma 0."""

    target: LlamaTarget
    context: Context
    rollback: Strategy
    proof: RollbackProof | None


class PairSession:
    """Models of one pair in memory. Building it proves every rollback that the pair's gammas need.

    Raises ModelError or RollbackError when the pair cannot work, EngineError when llama.cpp fails. A rollback
    that only some cells force costs no more than these when it is refused: see `unproved`.
    """

    def __init__(self, pair: Pair, target: Path, draft: Path | None, settings: Settings) -> None:
        self._pair = pair
        self.settings = settings
        self.model = Model(target, n_gpu_layers=settings.n_gpu_layers)
        baseline = Context(self.model, settings)
        # A proof looks at logits, which a context that chooses on the device does not hand out.
        self._reference = Context(self.model, settings) if settings.chooses_on_device else baseline
        self._settle_choice(baseline, gamma=0)
        self._arms: dict[tuple[int, Strategy | None], _Arm] = {
            (0, None): _Arm(LlamaTarget(baseline, make_rollback("trim")), baseline, "none", None)
        }
        longest = max(pair.drafted, default=0)
        self.draft = self._load_draft(draft, longest) if draft is not None and longest else None
        for gamma in pair.gammas:
            self._arm(gamma, None)
        self.unproved = tuple(self._refusals())
        """What forced rollbacks were refused for; runs that force one are refused again, the others go on."""
        self._truths: dict[str, list[int]] = {}
        self.warm_prompt = self.model.tokenize(PROBE_TEXT)
        self._warmed: set[tuple[int, Strategy | None]] = set()
        self._idle_since_ns = 0
        self._clock = PausableClock()
        self._meter = energy_meter()

    def _refusals(self) -> Iterator[str]:
        """Prove the forced rollbacks now, outside of any run's time limit."""
        for gamma, rollback in self._pair.forced:
            try:
                self._arm(gamma, rollback)
            except StudyError as error:
                yield str(error)

    def _load_draft(self, path: Path, longest: int) -> Proved:
        model = Model(path, n_gpu_layers=self.settings.n_gpu_layers)
        if model.n_vocab != self.model.n_vocab:
            raise ModelError(
                f"{model.name} has {model.n_vocab} tokens, {self.model.name} has {self.model.n_vocab}: "
                "a draft must share the target's vocabulary"
            )
        reference = Context(model, self.settings)
        try:
            proved = prove(DRAFT, reference, self.settings, gamma=longest)
        finally:
            reference.close()
        self._settle_choice(proved.context, gamma=0)
        return proved

    def _settle_choice(self, context: Context, *, gamma: int) -> None:
        """Let a context that verifies up to `gamma` drafted tokens choose where the study's settings say."""
        if self.settings.chooses_on_device:
            prove_device_choice(context, most_rows=gamma + 1)

    def _arm(self, gamma: int, rollback: Strategy | None) -> _Arm:
        """The target context for `gamma`, proved when it is made; `rollback` narrows what may be tried."""
        key = (gamma, rollback)
        if key not in self._arms:
            proved = prove(TARGET, self._reference, self.settings, gamma=gamma, only=rollback)
            self._settle_choice(proved.context, gamma=gamma)
            target = LlamaTarget(proved.context, proved.rollback)
            self._arms[key] = _Arm(target, proved.context, proved.rollback.name, proved.proof)
        return self._arms[key]

    def run(self, planned: PlannedRun) -> Measurement:
        """Measure one cell; warms up first when the arm is new or the machine has rested."""
        cell = planned.cell
        prompt = self.prompt_of(planned)
        arm = self._arm(cell.gamma, cell.rollback)
        drafter, draft = self._drafter(cell, prompt)
        self._warm_up(cell)
        window = EnergyWindow(self._meter, self._clock)
        generation = self._generate(arm, drafter, prompt, cell.gamma, cell.n_predict_tokens, watch=window)
        self._idle_since_ns = time.monotonic_ns()
        return measurement(
            generation,
            prompt,
            llama_ns=arm.context.llama_ns + (0 if draft is None else draft.context.llama_ns),
            target_rollback=arm.rollback,
            draft_rollback="none" if draft is None else draft.rollback.name,
            n_rs_seq=arm.context.n_rs_seq,
            target_proof=arm.proof,
            draft_proof=None if draft is None else draft.proof,
            margins=[round(margin, 4) for margin in generation.margins] if cell.gamma == 0 else [],
            target_output_rows=arm.context.output_rows,
            draft_output_rows=None if draft is None else draft.context.output_rows,
            energy=window.energy,
            flash_attention=arm.context.flash_attention,
        )

    def _warm_up(self, cell: Cell) -> None:
        key = (cell.gamma, cell.rollback)
        if key in self._warmed and time.monotonic_ns() - self._idle_since_ns <= _PAUSE_NS:
            return
        drafter: Drafter = OracleDrafter([0] * WARM_UP_TOKENS, 0.0, self.model.n_vocab, seed=0)
        if self.draft is not None:
            drafter = ModelDrafter(self.draft.context, self.draft.rollback)
        self._generate(self._arm(*key), drafter, self.warm_prompt, cell.gamma, WARM_UP_TOKENS)
        self._warmed.add(key)

    def prompt_of(self, planned: PlannedRun) -> list[int]:
        """Token ids of the planned prompt; raises UsageError when it does not fit the context."""
        tokens = prompt_tokens(planned.prompt_text, planned.prompt_tokens_wanted, self.model.tokenize)
        n_ctx, n_predict = self._arms[0, None].context.n_ctx_tokens, planned.cell.n_predict_tokens
        if len(tokens) + n_predict > n_ctx:
            raise UsageError(f"{len(tokens)} prompt tokens and {n_predict} more do not fit a context of {n_ctx}")
        return tokens

    def _drafter(self, cell: Cell, prompt: Sequence[int]) -> tuple[Drafter, Proved | None]:
        """Who drafts in this cell, and the draft model if one does."""
        if cell.gamma == 0:
            return NoDraft(), None
        spec = drafter_spec(MODEL if cell.draft == self._pair.draft else cell.draft)
        if spec is None:
            raise UsageError(f"there is no drafter {cell.draft!r} for {self._pair}; known: {KNOWN}")
        draft = self.draft if spec.needs_model else None
        if spec.needs_model and draft is None:
            raise UsageError(f"gamma {cell.gamma} with {cell.draft} needs a draft model and the pair has none")
        return self._make_drafter(spec, draft, cell, prompt), draft

    def _make_drafter(
        self, spec: DrafterSpec, draft: Proved | None, cell: Cell, prompt: Sequence[int]
    ) -> Drafter:
        if spec.kind == "ngram":
            return NgramDrafter()
        seed = chance_seed(self.settings.seed, cell)
        if spec.needs_truth:
            truth = self._truth(cell, prompt)
            retell = partial(self._retell, prompt, cell.n_predict_tokens)
            if spec.kind == "sweep":
                return SweepDrafter(truth, cell.gamma, seed, retell)
            oracle = OracleDrafter(truth, spec.probability, self.model.n_vocab, seed, retell)
            return oracle if draft is None else ChargedOracle(draft.context, draft.rollback, oracle)
        if spec.kind == "unchecked" or draft is None:
            raise UsageError(f"{cell.draft} runs only in the process that measures it (runner.llama.phantom)")
        drafter = ModelDrafter(draft.context, draft.rollback)
        if spec.kind == "varied":
            return VariedDrafter(drafter, cell.gamma, self.model.n_vocab, self.settings.seed, turn=cell.block)
        return drafter

    def _truth(self, cell: Cell, prompt: Sequence[int]) -> list[int]:
        """The baseline's text, decoded untimed once a prompt."""
        key = fingerprint(list(prompt), cell.n_predict_tokens)
        if key not in self._truths:
            self._truths[key] = self._continuation(prompt, cell.n_predict_tokens)
        return self._truths[key]

    def _retell(self, prompt: Sequence[int], n_predict: int, confirmed: list[int]) -> list[int]:
        """The text that follows from `confirmed`; the clock of the loop that asks stands still."""
        n_left = n_predict - len(confirmed)
        if n_left == 0:
            return confirmed
        with self._clock.paused():
            return [*confirmed, *self._continuation([*prompt, *confirmed], n_left)]

    def _continuation(self, prompt: Sequence[int], n_tokens: int) -> list[int]:
        return self._generate(self._arms[0, None], NoDraft(), prompt, 0, n_tokens).tokens

    def _generate(
        self,
        arm: _Arm,
        drafter: Drafter,
        prompt: Sequence[int],
        gamma: int,
        n_predict: int,
        *,
        watch: AbstractContextManager[object] = UNWATCHED,
    ) -> Generation:
        return generate(
            arm.target, drafter, prompt, gamma=gamma, n_predict=n_predict, clock=self._clock, watch=watch
        )


def measurement(
    generation: Generation,
    prompt: Sequence[int],
    *,
    llama_ns: int,
    target_rollback: Strategy = "none",
    draft_rollback: Strategy = "none",
    n_rs_seq: int = 0,
    target_proof: RollbackProof | None = None,
    draft_proof: RollbackProof | None = None,
    margins: Sequence[float] = (),
    unchecked: UncheckedCounts | None = None,
    target_output_rows: int | None = None,
    draft_output_rows: int | None = None,
    energy: Energy | None = None,
    flash_attention: Literal["on", "off"] | None = None,
) -> Measurement:
    """What a generation yielded, as it goes into the record."""
    return Measurement(
        n_prompt_tokens=len(prompt),
        prompt_tokens_sha256=fingerprint(list(prompt)),
        target_rollback=target_rollback,
        draft_rollback=draft_rollback,
        n_rs_seq=n_rs_seq,
        prefill_tokens=generation.prefill_tokens,
        prefill_target_ns=generation.prefill_target_ns,
        prefill_draft_ns=generation.prefill_draft_ns,
        decode_wall_ns=generation.decode_wall_ns,
        llama_ns=llama_ns,
        cycles=generation.cycles,
        tokens=generation.tokens,
        target_proof=target_proof,
        draft_proof=draft_proof,
        margins=list(margins),
        unchecked=unchecked,
        resident_bytes=psutil.Process().memory_info().rss,
        target_output_rows=target_output_rows,
        draft_output_rows=draft_output_rows,
        energy=energy,
        flash_attention=flash_attention,
    )
