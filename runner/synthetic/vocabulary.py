"""A byte-level BPE vocabulary of 4096 tokens, made from letter frequencies instead of a training text.

Any UTF-8 text can be tokenised, since all 256 bytes are tokens. Merges join letters to pairs, pairs to triples
and quads, and a space to what follows it, so English comes out at about two characters a token and a Chinese
character at two tokens. The byte alphabet is GPT-2's, which llama.cpp's `gpt2` tokenizer model expects.
"""

from __future__ import annotations

import itertools
import string
from functools import cache
from typing import NamedTuple

VOCABULARY_TOKENS = 4096

SPECIAL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")

_LETTERS_BY_FREQUENCY = "etaoinshrdlcumwfgypbvkjxqz"
_CJK_LEAD_BYTES = range(0xE4, 0xEA)
_CONTINUATION_BYTES = range(0x80, 0xC0)


class Vocabulary(NamedTuple):
    """Token texts in the byte alphabet, merges in order of rank, and the ids of the special tokens."""

    tokens: tuple[str, ...]
    merges: tuple[tuple[str, str], ...]
    end_of_text: int
    end_of_turn: int


def byte_alphabet() -> tuple[str, ...]:
    """One printable character for each byte value: itself where printable, else the next from U+0100 on."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    spare = itertools.count(0x100)
    return tuple(chr(value) if value in printable else chr(next(spare)) for value in range(256))


@cache
def vocabulary() -> Vocabulary:
    """The vocabulary every member of the family shares."""
    return _assemble(_LETTERS_BY_FREQUENCY)


@cache
def foreign_vocabulary() -> Vocabulary:
    """Another vocabulary of the same size, whose ids mean other texts: for tests of refusals."""
    return _assemble(_LETTERS_BY_FREQUENCY[::-1])


def _assemble(letters: str) -> Vocabulary:
    alphabet = byte_alphabet()
    room = VOCABULARY_TOKENS - len(alphabet) - len(SPECIAL_TOKENS)
    merges = tuple(itertools.islice(_merges(letters, alphabet), room))
    tokens = (*alphabet, *(left + right for left, right in merges), *SPECIAL_TOKENS)
    return Vocabulary(tokens, merges, tokens.index("<|endoftext|>"), tokens.index("<|im_end|>"))


def _merges(letters: str, alphabet: tuple[str, ...]) -> itertools.chain[tuple[str, str]]:
    """All merges in rank order, more than the vocabulary has room for: the last kind fills what is left."""
    space, newline = alphabet[0x20], alphabet[0x0A]
    pairs = [(letters[i], letters[j]) for i, j in _by_sum(len(letters))]
    layout = [(space, space), (space * 2, space * 2), (newline, newline)]
    capitals = [(capital, small) for capital in string.ascii_uppercase for small in letters]
    chinese = [(alphabet[lead], alphabet[cont]) for lead in _CJK_LEAD_BYTES for cont in _CONTINUATION_BYTES]
    single = [(space, letter) for letter in string.ascii_letters]
    spaced = [(space, left + right) for left, right in pairs]
    longer = [(left + right, third) for (left, right), third in itertools.product(pairs[:260], letters[:12])]
    return itertools.chain(pairs, layout, single, spaced, chinese, capitals, longer)


def _by_sum(count: int) -> list[tuple[int, int]]:
    """Index pairs, the most frequent letters first; ties in a fixed order."""
    pairs = itertools.product(range(count), range(count))
    return sorted(pairs, key=lambda pair: (pair[0] + pair[1], pair))
