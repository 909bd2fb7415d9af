"""One llama.cpp context that cannot lie: every return code checked, every position compared.

The published study's phantom came from a loop that ignored a refused `llama_memory_seq_rm` and every failed
`llama_decode` after it, and sampled stale logits. Here each of these raises EngineError.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import llama_cpp

from runner.decode import Choice
from runner.errors import EngineError
from runner.llama.checked import CheckedContext, Watch
from runner.llama.device_choice import DeviceChoice
from runner.llama.greedy import greedy_choice
from runner.llama.library import log_tail
from runner.llama.model import Model
from runner.record import Settings

_MAIN = 0
_SNAPSHOT = 1


class Context(CheckedContext):
    """A sequence of tokens in one context of `model`; `position` is how many the memory holds.

    `watch` sees every tensor of a pass. Since `begin`, `llama_ns` adds up the time inside llama.cpp calls,
    synchronisation included, and `output_rows` the rows of output that passes copied to the host.
    """

    def __init__(
        self,
        model: Model,
        settings: Settings,
        *,
        n_rs_seq: int = 0,
        n_sequences: int = 1,
        watch: Watch | None = None,
    ) -> None:
        super().__init__(
            model,
            settings,
            n_ctx_tokens=settings.n_ctx_tokens,
            n_rs_seq=n_rs_seq,
            n_sequences=n_sequences,
            # A snapshot shares the KV cells of the sequence it was taken from.
            shared_cache=True,
            watch=watch,
        )
        self.position = 0
        self.output_rows = 0
        self._device: DeviceChoice | None = None
        self._fill_constants()

    def _fill_constants(self) -> None:
        """Sequence ids never change; writing them once keeps the loop short."""
        for index in range(self._n_batch):
            self._batch.n_seq_id[index] = 1
            self._batch.seq_id[index][0] = _MAIN

    def clear(self) -> None:
        """Forget everything, snapshots included."""
        self._clear_memory()
        self.position = 0

    def begin(self, tokens: Sequence[int]) -> None:
        """Forget everything, prefill `tokens` without outputs, and start `llama_ns` and `output_rows` anew."""
        self.clear()
        self.decode(tokens, n_outputs=0)
        self.llama_ns = self.output_rows = 0

    def decode(self, tokens: Sequence[int], *, n_outputs: int) -> None:
        """Decode `tokens` after those held; logits of the last `n_outputs` of them become available.

        Longer inputs go in batches of n_batch. Raises EngineError with llama.cpp's code when a batch fails or
        when the memory does not end where it must.
        """
        first_output = len(tokens) - n_outputs
        for start in range(0, len(tokens), self._n_batch):
            self._decode_batch(tokens[start : start + self._n_batch], first_output - start)
        self.output_rows += n_outputs

    def _decode_batch(self, tokens: Sequence[int], first_output: int) -> None:
        batch, position = self._batch, self.position
        batch.n_tokens = len(tokens)
        ids, positions, outputs = batch.token, batch.pos, batch.logits
        for index, token in enumerate(tokens):
            ids[index] = token
            positions[index] = position + index
            outputs[index] = index >= first_output
        self._decode_filled(f"at position {position}")
        self.position = position + len(tokens)
        self._expect_end()

    def choose(self, n_rows: int) -> Choice:
        """Greedy choice at the last decode's `n_rows` outputs; on the host, or since `choose_on_device` there."""
        if self._device is None:
            return greedy_choice(self.logits(n_rows))
        started = time.monotonic_ns()
        choice = self._device.choose(n_rows)
        self.llama_ns += time.monotonic_ns() - started
        return choice

    def choose_on_device(self) -> None:
        """Have llama.cpp choose from now on; `logits` has nothing to give then. Raises EngineError."""
        self._device = DeviceChoice(self.handle, self.model.n_vocab)

    def close(self) -> None:
        """Free the context and what chooses for it."""
        super().close()
        if self._device is not None:
            self._device.close()
            self._device = None

    def forget_from(self, position: int) -> None:
        """Drop all tokens at `position` and after it; raises EngineError when llama.cpp refuses."""
        if position == self.position:
            return
        self._drop(_MAIN, position, self.position)
        self.position = position
        self._expect_end()

    def save_snapshot(self) -> None:
        """Remember the present state in the second sequence (copy on write); needs `n_sequences=2`.

        Raises EngineError when llama.cpp refuses.
        """
        self._copy(_MAIN, _SNAPSHOT)
        self._snapshot_position = self.position

    def restore_snapshot(self) -> None:
        """Return to the remembered state; raises EngineError when llama.cpp refuses or does not end there."""
        self._copy(_SNAPSHOT, _MAIN)
        self.position = self._snapshot_position
        self._expect_end()

    def _copy(self, source: int, into: int) -> None:
        started = time.monotonic_ns()
        removed = llama_cpp.llama_memory_seq_rm(self._memory, into, -1, -1)
        if removed:
            llama_cpp.llama_memory_seq_cp(self._memory, source, into, -1, -1)
        self.llama_ns += time.monotonic_ns() - started
        if not removed:
            raise EngineError(
                f"llama_memory_seq_rm refused to empty sequence {into} for a copy of sequence {source} "
                f"at position {self.position}: this memory takes no snapshots",
                log_tail=log_tail(),
            )

    def _expect_end(self) -> None:
        self._expect_last(_MAIN, self.position - 1)
