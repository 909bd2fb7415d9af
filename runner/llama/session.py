"""A loaded pair: target and draft weights once, one proved context for each gamma, many measured runs."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from runner.decode import Drafter, Generation, NoDraft, generate
from runner.errors import ModelError, UsageError
from runner.llama.context import Context
from runner.llama.draft import ModelDrafter
from runner.llama.model import Model
from runner.llama.preflight import PROBE_TEXT, Proved, prove_draft, prove_target
from runner.llama.rollback import make_rollback
from runner.llama.target import LlamaTarget
from runner.record import Measurement, RollbackProof, Settings, Strategy, fingerprint

_PAUSE_NS = 500_000_000
"""After half a second of rest a GPU gives memory residency back and clocks fall (ggml-org/llama.cpp#10119)."""
_WARM_UP_TOKENS = 16


@dataclass(frozen=True)
class _Arm:
    """One side of a comparison: target, drafter, and what was proved about both."""

    target: LlamaTarget
    drafter: Drafter
    contexts: tuple[Context, ...]
    target_rollback: Strategy
    draft_rollback: Strategy
    target_proof: RollbackProof | None
    draft_proof: RollbackProof | None

    @property
    def llama_ns(self) -> int:
        """Time inside llama.cpp since both contexts began their prompt's continuation."""
        return sum(context.llama_ns for context in self.contexts)


class PairSession:
    """Models of one pair in memory. Building it proves every rollback that its gammas need.

    Raises ModelError or RollbackError when the pair cannot work, EngineError when llama.cpp fails.
    """

    def __init__(self, target: Path, draft: Path | None, settings: Settings, gammas: Iterable[int]) -> None:
        self._settings = settings
        self._target_model = Model(target, n_gpu_layers=settings.n_gpu_layers)
        self._draft_model = None if draft is None else self._load_draft(draft)
        baseline = Context(self._target_model, settings)
        self._arms = {0: _baseline_arm(baseline)}
        speculative = sorted(set(gammas) - {0})
        if speculative:
            self._add_speculative_arms(baseline, speculative)
        self._warm_prompt = self._target_model.tokenize(PROBE_TEXT)
        self._idle_since_ns = 0
        self._warmed: set[int] = set()

    def _load_draft(self, path: Path) -> Model:
        draft = Model(path, n_gpu_layers=self._settings.n_gpu_layers)
        if draft.n_vocab != self._target_model.n_vocab:
            raise ModelError(
                f"{draft.name} has {draft.n_vocab} tokens, {self._target_model.name} has "
                f"{self._target_model.n_vocab}: a draft must share the target's vocabulary"
            )
        return draft

    def _add_speculative_arms(self, baseline: Context, gammas: Sequence[int]) -> None:
        if self._draft_model is None:
            raise UsageError(f"gamma {gammas[-1]} needs a draft model and the pair has none")
        draft_reference = Context(self._draft_model, self._settings)
        draft = prove_draft(draft_reference, self._settings, gamma=gammas[-1])
        draft_reference.close()
        for gamma in gammas:
            self._arms[gamma] = _speculative_arm(prove_target(baseline, self._settings, gamma=gamma), draft)

    def run(self, *, gamma: int, n_predict: int, prompt_text: str, prompt_tokens: int | None) -> Measurement:
        """Measure one cell; warms up first when the arm is new or the machine has rested."""
        prompt = self._prompt(prompt_text, prompt_tokens, n_predict)
        arm = self._arms[gamma]
        if gamma not in self._warmed or time.monotonic_ns() - self._idle_since_ns > _PAUSE_NS:
            self._generate(arm, self._warm_prompt, gamma, min(n_predict, _WARM_UP_TOKENS))
            self._warmed.add(gamma)
        generation = self._generate(arm, prompt, gamma, n_predict)
        self._idle_since_ns = time.monotonic_ns()
        return _measurement(arm, generation, prompt)

    def _prompt(self, text: str, n_tokens: int | None, n_predict: int) -> list[int]:
        tokens = self._target_model.tokenize(text)
        if n_tokens is not None:
            if len(tokens) < n_tokens:
                raise UsageError(
                    f"the prompt text yields {len(tokens)} tokens on {self._target_model.name}, fewer than the "
                    f"{n_tokens} asked for: give a longer text"
                )
            tokens = tokens[:n_tokens]
        n_ctx = self._arms[0].contexts[0].n_ctx_tokens
        if len(tokens) + n_predict > n_ctx:
            raise UsageError(f"{len(tokens)} prompt tokens and {n_predict} more do not fit a context of {n_ctx}")
        return tokens

    @staticmethod
    def _generate(arm: _Arm, prompt: Sequence[int], gamma: int, n_predict: int) -> Generation:
        return generate(
            arm.target, arm.drafter, prompt, gamma=gamma, n_predict=n_predict, clock=time.monotonic_ns
        )


def _baseline_arm(context: Context) -> _Arm:
    target = LlamaTarget(context, make_rollback("trim"))
    return _Arm(target, NoDraft(), (context,), "none", "none", None, None)


def _speculative_arm(target: Proved, draft: Proved) -> _Arm:
    return _Arm(
        LlamaTarget(target.context, target.rollback),
        ModelDrafter(draft.context, draft.rollback),
        (target.context, draft.context),
        target.rollback.name,
        draft.rollback.name,
        target.proof,
        draft.proof,
    )


def _measurement(arm: _Arm, generation: Generation, prompt: Sequence[int]) -> Measurement:
    is_baseline = isinstance(arm.drafter, NoDraft)
    return Measurement(
        n_prompt_tokens=len(prompt),
        prompt_tokens_sha256=fingerprint(list(prompt)),
        target_rollback=arm.target_rollback,
        draft_rollback=arm.draft_rollback,
        n_rs_seq=arm.contexts[0].n_rs_seq,
        prefill_tokens=generation.prefill_tokens,
        prefill_target_ns=generation.prefill_target_ns,
        prefill_draft_ns=generation.prefill_draft_ns,
        decode_wall_ns=generation.decode_wall_ns,
        llama_ns=arm.llama_ns,
        cycles=generation.cycles,
        tokens=generation.tokens,
        target_proof=arm.target_proof,
        draft_proof=arm.draft_proof,
        margins=[round(margin, 4) for margin in generation.margins] if is_baseline else [],
        resident_bytes=psutil.Process().memory_info().rss,
    )
