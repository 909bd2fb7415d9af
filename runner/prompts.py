"""The prompts that suites name: four kinds of text, and natural English cut to an exact number of tokens.

A prompt is a text and, for `natural-N`, the number of tokens to keep of it. Which ids those tokens have only the
model's tokenizer knows, so cutting happens where the model is loaded; the plan holds text and count.

>>> load_prompt("natural-64").wanted_tokens
64
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import msgspec

from runner.errors import UsageError
from runner.paths import data_dir
from runner.record import fingerprint

KINDS = ("short", "code", "reasoning", "chinese")
NATURAL = "natural"

_CUT = re.compile(rf"{NATURAL}-([1-9][0-9]{{0,5}})")

Tokenize = Callable[[str], Sequence[int]]
"""Text to token ids of one model, without special tokens."""


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """A text and how many of its tokens to keep; None keeps them all."""

    id: str
    text: str
    wanted_tokens: int | None

    @property
    def sha256(self) -> str:
        """Identity over text and requested count, whatever the tokenizer makes of them."""
        return fingerprint(self.text, self.wanted_tokens)

    @property
    def at_most_tokens(self) -> int:
        """No tokenizer can make more of it: every token covers at least one byte, plus one opening token."""
        return self.wanted_tokens or len(self.text.encode()) + 1

    @property
    def likely_tokens(self) -> int:
        """For estimates: exact where the count is fixed, else about one token per four bytes."""
        return likely_tokens(self.text, self.wanted_tokens)


def likely_tokens(text: str, wanted_tokens: int | None) -> int:
    """Tokens that a text of English or Chinese may yield, or as many as are wanted."""
    return wanted_tokens or len(text.encode()) // 4


def load_prompt(prompt_id: str) -> Prompt:
    """The prompt of that id.

    Raises UsageError when there is none, or when its text cannot hold as many tokens as the id asks for.
    """
    if prompt_id in KINDS:
        return Prompt(id=prompt_id, text=_text(prompt_id), wanted_tokens=None)
    match = _CUT.fullmatch(prompt_id)
    if match is None:
        raise UsageError(f"there is no prompt {prompt_id!r}; known: {', '.join(KINDS)}, {NATURAL}-N for N tokens")
    prompt = Prompt(id=prompt_id, text=_text(NATURAL), wanted_tokens=int(match[1]))
    if int(match[1]) > len(prompt.text.encode()):
        raise UsageError(
            f"prompt {prompt_id}: the natural text has {len(prompt.text.encode())} bytes and so cannot yield"
            f" {match[1]} tokens; ask for fewer"
        )
    return prompt


def prompt_tokens(text: str, wanted_tokens: int | None, tokenize: Tokenize) -> list[int]:
    """Token ids of a planned prompt, cut to `wanted_tokens` where the plan asks for a count.

    Raises UsageError when the text yields no token, or fewer than asked for.
    """
    tokens = tokenize(text)
    if not tokens:
        raise UsageError("the prompt yields no token; decoding needs at least one")
    return list(tokens) if wanted_tokens is None else cut(tokens, wanted_tokens)


def cut(tokens: Sequence[int], n_tokens: int) -> list[int]:
    """The first `n_tokens` of `tokens`, exactly that many.

    Raises UsageError when there are not as many.
    """
    if n_tokens > len(tokens):
        raise UsageError(f"the prompt has {len(tokens)} tokens, {n_tokens} were asked for; ask for fewer")
    return list(tokens[:n_tokens])


@cache
def _text(name: str) -> str:
    path: Path = data_dir() / "prompts" / f"{name}.txt"
    try:
        return path.read_text(encoding="utf-8").rstrip("\n")
    except OSError as error:
        raise UsageError(f"prompt {name}: {path.name} cannot be read ({error.strerror}); reinstall") from None
