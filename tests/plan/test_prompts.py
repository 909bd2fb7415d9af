"""Prompts are texts of four kinds, and natural English cut to exact counts of the model's own tokens."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import UsageError
from runner.prompts import KINDS, cut, load_prompt, prompt_tokens
from suites.loader import load_suites


def bytes_of(text: str) -> list[int]:
    return list(text.encode())


def words_of(text: str) -> list[int]:
    return [len(word) for word in text.split()]


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_taken_whole(kind: str) -> None:
    prompt = load_prompt(kind)
    assert prompt.wanted_tokens is None
    assert prompt_tokens(prompt.text, None, bytes_of) == bytes_of(prompt.text)


def test_the_chinese_prompt_is_chinese() -> None:
    text = load_prompt("chinese").text
    assert sum("\u4e00" <= character <= "\u9fff" for character in text) > 0.8 * len(text)


def test_the_four_kinds_are_no_longer_than_the_longest_cut_prompt() -> None:
    assert max(load_prompt(kind).at_most_tokens for kind in KINDS) <= 1024


@pytest.mark.parametrize("n_tokens", [32, 64, 128, 256, 512, 1024])
def test_natural_text_is_cut_to_the_exact_count(n_tokens: int) -> None:
    prompt = load_prompt(f"natural-{n_tokens}")
    assert len(prompt_tokens(prompt.text, prompt.wanted_tokens, words_of)) == n_tokens


def test_natural_text_holds_1024_tokens_even_at_eight_bytes_a_token() -> None:
    assert len(load_prompt("natural-1024").text.encode()) > 8 * 1024


def test_a_shorter_cut_is_the_beginning_of_a_longer_one() -> None:
    text = load_prompt("natural-64").text
    assert prompt_tokens(text, 512, words_of)[:64] == prompt_tokens(text, 64, words_of)


@given(st.lists(st.integers(0, 9), max_size=20), st.integers(0, 25))
def test_cutting_keeps_exactly_what_was_asked_for_or_refuses(tokens: list[int], n_tokens: int) -> None:
    if n_tokens > len(tokens):
        with pytest.raises(UsageError, match=f"has {len(tokens)} tokens, {n_tokens} were asked for"):
            cut(tokens, n_tokens)
    else:
        assert cut(tokens, n_tokens) == tokens[:n_tokens]


def test_a_text_without_tokens_is_refused() -> None:
    with pytest.raises(UsageError, match="yields no token"):
        prompt_tokens("anything", None, lambda text: [])


@pytest.mark.parametrize("unknown", ["long", "natural", "natural-0", "natural-07", "natural--4", "../short", ""])
def test_an_unknown_prompt_is_refused_with_the_known_ones(unknown: str) -> None:
    with pytest.raises(UsageError, match="known: short, code, reasoning, chinese, natural-N"):
        load_prompt(unknown)


def test_more_tokens_than_the_text_has_bytes_are_refused_before_any_model_is_loaded() -> None:
    with pytest.raises(UsageError, match="cannot yield 50000 tokens"):
        load_prompt("natural-50000")


def test_the_same_text_cut_elsewhere_is_another_prompt() -> None:
    assert load_prompt("natural-64").sha256 != load_prompt("natural-128").sha256
    assert load_prompt("natural-64").text == load_prompt("natural-128").text


def test_every_published_prompt_can_be_had() -> None:
    for suite in load_suites(("all",)):
        for prompt_id in suite.axes.prompts:
            assert load_prompt(prompt_id).text
