"""A small way to ask llama.cpp for a model's greedy text and logits."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from runner.llama.context import Context
from runner.llama.model import Model
from runner.record import Settings

SETTINGS = Settings(
    n_ctx_tokens=768,
    n_batch_tokens=32,
    n_ubatch_tokens=32,
    n_threads=1,
    n_gpu_layers=0,
    flash_attention="auto",
    kv_type="f16",
    seed=1,
)


class Speaker:
    """A model with one context: tokenises, writes greedy text, and scores given text (teacher forcing)."""

    def __init__(self, path: Path, *, n_rs_seq: int = 0) -> None:
        self.model = Model(path, n_gpu_layers=0)
        self.context = Context(self.model, SETTINGS, n_rs_seq=n_rs_seq)

    def greedy(self, prompt: Sequence[int], length: int) -> list[int]:
        self.context.begin(prompt[:-1])
        text = [prompt[-1]]
        while len(text) <= length:
            self.context.decode(text[-1:], n_outputs=1)
            text.append(int(self.context.logits(1)[0].argmax()))
        return text[1:]

    def choices(self, prompt: Sequence[int], text: Sequence[int]) -> list[int]:
        """The token this model would choose at each place of somebody's text."""
        self.context.begin(prompt[:-1])
        chosen = []
        for token in [prompt[-1], *text[:-1]]:
            self.context.decode([token], n_outputs=1)
            chosen.append(int(self.context.logits(1)[0].argmax()))
        return chosen

    def logits(self, tokens: Sequence[int], n_rows: int) -> np.ndarray:
        """Logits of the last rows of a batch decoded after what the context holds."""
        self.context.decode(tokens, n_outputs=n_rows)
        return self.context.logits(n_rows).copy()

    def close(self) -> None:
        self.context.close()
        self.model.close()


def agreement(target: Speaker, draft: Speaker, prompt: str, length: int) -> float:
    """Share of the target's greedy tokens that the draft would have chosen too."""
    tokens = target.model.tokenize(prompt)
    text = target.greedy(tokens, length)
    return float(np.mean(np.equal(draft.choices(tokens, text), text)))
