"""The same advice for llama.cpp's server, in the words of the llama.cpp that llama-cpp-python 0.3.36 carries.

Its older `--draft-max` and `--draft-min` are refused there (common/arg.cpp of that version). Lookup differs in
one point: the server's `ngram-simple` knows one length of n-gram, ours tries three, two and one.
"""

from __future__ import annotations

from runner.drafter_names import NGRAM

_NGRAM_LENGTH = 3


def server_arguments(target: str, drafter: str, draft: str | None, gamma: int) -> list[str]:
    """Arguments of `llama-server`; `target` and `draft` are paths, gamma 0 means no speculation."""
    words = ["--model", target]
    if gamma == 0:
        return [*words, "--spec-type", "none"]
    if drafter == NGRAM:
        size_n, size_m = str(_NGRAM_LENGTH), str(gamma)
        return [
            *words, "--spec-type", "ngram-simple", "--spec-ngram-simple-size-n", size_n,
            "--spec-ngram-simple-size-m", size_m,
        ]  # fmt: skip
    assert draft is not None
    return [
        *words, "--spec-type", "draft-simple", "--spec-draft-model", draft,
        "--spec-draft-n-max", str(gamma), "--spec-draft-p-min", "0",
    ]  # fmt: skip
