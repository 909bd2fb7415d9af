"""Many sequences in one llama.cpp context, decoded together: one batch over all of them per pass (issue 5).

As careful as `runner.llama.context`: every return code checked, every sequence's position compared.
"""

from __future__ import annotations

from collections.abc import Sequence

from runner.errors import UsageError
from runner.llama.checked import CheckedContext
from runner.llama.model import Model
from runner.record import Settings


class ParallelContext(CheckedContext):
    """`n_sequences` independent texts; `positions[i]` is how many tokens the memory holds of text i.

    Each text may grow to `n_ctx_sequence` tokens. A pass holds at most n_batch rows and is one micro-batch, so
    that its time is the time of one pass over the weights.
    """

    def __init__(
        self, model: Model, settings: Settings, *, n_sequences: int, n_ctx_sequence: int, n_rs_seq: int = 0
    ) -> None:
        super().__init__(
            model,
            settings,
            n_ctx_tokens=n_sequences * n_ctx_sequence,
            n_rs_seq=n_rs_seq,
            n_sequences=n_sequences,
            # With a cache for each sequence llama.cpp cuts a batch with unequal shares into several passes, which
            # a draft's batches have; a recurrent target's never do, and there one's rows need not see all cells.
            shared_cache=not model.has_recurrent_state,
            watch=None,
        )
        self.n_sequences = n_sequences
        self.positions = [0] * n_sequences
        for row in range(self._n_batch):
            self._batch.n_seq_id[row] = 1

    def begin(self, prompts: Sequence[Sequence[int]]) -> None:
        """Forget everything and prefill one prompt per sequence without outputs; `llama_ns` starts anew."""
        self._clear_memory()
        self.positions = [0] * self.n_sequences
        group: list[int] = []
        rows = 0
        for sequence, prompt in enumerate(prompts):
            if rows + len(prompt) > self._n_batch:
                self._decode_group(prompts, group, n_outputs=0)
                group, rows = [], 0
            group.append(sequence)
            rows += len(prompt)
        self._decode_group(prompts, group, n_outputs=0)
        self.llama_ns = 0

    def decode(self, tokens: Sequence[Sequence[int]], *, n_outputs: int) -> int:
        """One pass over `tokens[i]` after what is held of each text i; returns its nanoseconds.

        Logits of the last `n_outputs` tokens of each sequence become available, sequence by sequence. Raises
        UsageError when the rows do not fit one pass, EngineError when llama.cpp fails or a text does not end
        where it must.
        """
        return self._decode_group(tokens, range(self.n_sequences), n_outputs)

    def keep(self, positions: Sequence[int]) -> None:
        """Roll text i back to its first `positions[i]` tokens; raises EngineError when llama.cpp refuses one."""
        for sequence, position in enumerate(positions):
            if position != self.positions[sequence]:
                self._drop(sequence, position, self.positions[sequence])
                self.positions[sequence] = position
                self._expect_last(sequence, position - 1)

    def _decode_group(self, tokens: Sequence[Sequence[int]], group: Sequence[int], n_outputs: int) -> int:
        n_rows = sum(len(tokens[sequence]) for sequence in group)
        if n_rows > self._n_batch:
            raise UsageError(f"{n_rows} rows do not fit one pass of {self._n_batch}; raise n_batch")
        batch, row = self._batch, 0
        for sequence in group:
            position, first_output = self.positions[sequence], len(tokens[sequence]) - n_outputs
            for index, token in enumerate(tokens[sequence]):
                batch.token[row] = token
                batch.pos[row] = position + index
                batch.seq_id[row][0] = sequence
                batch.logits[row] = index >= first_output
                row += 1
        batch.n_tokens = n_rows
        elapsed = self._decode_filled(f"of {len(group)} sequences")
        for sequence in group:
            self.positions[sequence] += len(tokens[sequence])
            self._expect_last(sequence, self.positions[sequence] - 1)
        return elapsed
