"""A draft can only propose to a target that numbers its tokens the same way."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path

from runner.errors import ModelError
from runner.gguf_facts import vocabulary


def check_pair(target: Path, draft: Path) -> None:
    """Compare both vocabularies token by token. Raises ModelError naming the first token that differs.

    llama.cpp's own tools compare only from id 5 on and let sizes differ by 128; here ids are exchanged without
    any text in between, so nothing may differ.
    """
    ours, theirs = vocabulary(target), vocabulary(draft)
    if not ours or not theirs:
        empty = target if not ours else draft
        raise ModelError(f"{empty}: holds no token list, so its ids mean nothing; use a GGUF with a tokenizer")
    if ours == theirs:
        return
    for token_id, (left, right) in enumerate(zip_longest(ours, theirs)):
        if left != right:
            raise ModelError(
                f"{draft}: another vocabulary than {target.name} (first difference at token {token_id}: "
                f"{_shown(right)} instead of {_shown(left)}); choose a draft of the target's own family"
            )


def _shown(token: bytes | None) -> str:
    return "nothing" if token is None else repr(token.decode("utf-8", "replace"))
