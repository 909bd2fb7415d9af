"""Measures points of the MoESD grid: one loaded pair, top-k overridden as each point asks (issue 5, point 4)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil

from runner.gguf_facts import GgufCard, read_card
from runner.gguf_reader import read_header
from runner.grid_record import GridMeasurement
from runner.llama.context import Context
from runner.llama.grid_point import (
    Passes,
    Timed,
    agreement,
    context_tokens,
    loop_passes,
    plain_passes,
    point_prompts,
    timed_rounds,
)
from runner.llama.model import Model
from runner.llama.parallel import ParallelContext
from runner.llama.parallel_loop import ParallelBaseline, ParallelDrafter, ParallelSpeculation
from runner.llama.preflight import DRAFT, TARGET, Side, prove
from runner.llama.routing import check_experts_used
from runner.messages import MeasurePoint
from runner.record import RollbackProof, Settings, Strategy

_CTX_STEP_TOKENS = 256
_BLOCK = re.compile(r"blk\.(\d+)\.")


class GridSession:
    """Holds a pair; `memory_limit_bytes` bounds the states of true loops (None: half of what is free).

    Raises ModelError or RollbackError when the pair cannot work, EngineError when llama.cpp fails.
    """

    def __init__(
        self, target: Path, draft: Path, settings: Settings, *, memory_limit_bytes: int | None = None
    ) -> None:
        self._path = target
        self._card = read_card(target)
        self._sizes = _weights(self._card)
        self._settings = settings
        self._limit = memory_limit_bytes or psutil.virtual_memory().available // 2
        self._draft = Model(draft, n_gpu_layers=settings.n_gpu_layers)
        self._target: tuple[int, Model] | None = None
        self._proofs: dict[tuple[str, int, int], RollbackProof] = {}

    def measure(self, asked: MeasurePoint) -> GridMeasurement:
        """All times of one point, and what its loop accepted.

        Raises UsageError when the text is too short for that many sequences or a pass does not hold all rows.
        """
        point = asked.point
        target = self._loaded(point.experts_used)
        proofs = (
            self._proved(TARGET, target, point.experts_used, point.gamma),
            self._proved(DRAFT, self._draft, 0, point.gamma),
        )
        n_loop = min(point.n_sequences, self._affordable(asked))
        prompts = point_prompts(target.tokenize(asked.prompt_text), asked)
        with ExitStack() as stack:

            def make(model: Model, n_sequences: int, n_rs_seq: int = 0) -> ParallelContext:
                return stack.enter_context(_parallel(model, self._settings, asked, n_sequences, n_rs_seq))

            n_rs_seq = point.gamma if target.has_recurrent_state else 0
            baseline = ParallelBaseline(make(target, point.n_sequences))
            loop = ParallelSpeculation(make(target, n_loop, n_rs_seq), ParallelDrafter(make(self._draft, n_loop)))
            baseline.begin(prompts)
            loop.begin(prompts[:n_loop])
            timed = timed_rounds(asked, baseline, loop)
            passes = loop_passes(timed)
            if n_loop < point.n_sequences:
                wide = make(target, point.n_sequences), make(self._draft, point.n_sequences)
                passes = plain_passes(asked, *wide, prompts)
            texts = agreement(baseline.texts, loop.texts)
        return _measurement(
            sizes=self._sizes,
            n_loop=n_loop,
            timed=timed,
            passes=passes,
            texts=texts,
            n_rs_seq=n_rs_seq,
            proofs=proofs,
        )

    def _loaded(self, experts_used: int) -> Model:
        """The target with that top-k; only one is kept, since loading maps the file anew and costs little."""
        if self._target is None or self._target[0] != experts_used:
            if self._target is not None:
                self._target[1].close()
                self._target = None
            model = Model(self._path, n_gpu_layers=self._settings.n_gpu_layers, experts_used=experts_used)
            self._target = (experts_used, model)
            check_experts_used(model, self._settings, experts_used)
        return self._target[1]

    def _proved(self, side: Side, model: Model, experts_used: int, gamma: int) -> RollbackProof:
        """Proof on one sequence, on which every sequence's rollback rests; RollbackError when there is none."""
        key = (model.name, experts_used, gamma)
        if key not in self._proofs:
            strategy: Strategy = "snapshots" if model.has_recurrent_state and side is TARGET else "trim"
            reference = Context(model, self._settings)
            try:
                proved = prove(side, reference, self._settings, gamma=gamma, only=strategy)
                proved.context.close()
            finally:
                reference.close()
            self._proofs[key] = proved.proof
        return self._proofs[key]

    def _affordable(self, asked: MeasurePoint) -> int:
        """Sequences whose states fit the limit: one for the baseline, gamma + 1 with snapshots for the loop."""
        states = (asked.point.gamma + 2) * self._card.recurrent_state_bytes
        caches = 2 * _context(asked) * self._card.kv_bytes_per_token
        return max(1, self._limit // max(1, states + caches))


@contextmanager
def _parallel(
    model: Model, settings: Settings, asked: MeasurePoint, n_sequences: int, n_rs_seq: int
) -> Iterator[ParallelContext]:
    context = ParallelContext(
        model, settings, n_sequences=n_sequences, n_ctx_sequence=_context(asked), n_rs_seq=n_rs_seq
    )
    try:
        yield context
    finally:
        context.close()


def _context(asked: MeasurePoint) -> int:
    return -(-context_tokens(asked) // _CTX_STEP_TOKENS) * _CTX_STEP_TOKENS


def _weights(card: GgufCard) -> tuple[int, int]:
    """Weights that every token reads, and those of one expert index over all layers that plain decoding runs."""
    tensors = [
        tensor for shard in card.shards for tensor in read_header(shard).tensors if "_exps." in tensor.name
    ]
    blocks = [(_BLOCK.match(tensor.name), tensor.n_elements) for tensor in tensors]
    routed = sum(count for block, count in blocks if block and int(block[1]) < card.n_layers)
    expert = routed // max(1, card.n_experts)
    return card.weights.active_parameters - card.n_experts_used * expert, expert


def _measurement(
    *,
    sizes: tuple[int, int],
    n_loop: int,
    timed: Timed,
    passes: Passes,
    texts: tuple[int, int],
    n_rs_seq: int,
    proofs: tuple[RollbackProof, RollbackProof],
) -> GridMeasurement:
    return GridMeasurement(
        dense_parameters=sizes[0],
        expert_parameters=sizes[1],
        n_loop_sequences=n_loop,
        n_cycles=len(timed.cycles),
        accepted_tokens=sum(cycle.accepted_tokens for cycle in timed.cycles),
        target_1_ns=[step.pass_ns for step in timed.steps],
        choose_1_ns=[step.choose_ns for step in timed.steps],
        target_gamma_ns=passes.gamma,
        target_gamma1_ns=passes.gamma1,
        draft_ns=passes.draft,
        reject_ns=[cycle.reject_ns for cycle in timed.cycles],
        baseline_step_ns=[step.wall_ns for step in timed.steps],
        cycle_ns=[cycle.wall_ns for cycle in timed.cycles],
        compared_tokens=texts[1],
        same_tokens=texts[0],
        n_rs_seq=n_rs_seq,
        target_proof=proofs[0],
        draft_proof=proofs[1],
    )
