"""The family's vocabulary tokenises any text, with llama.cpp as the judge."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.llama.model import Model
from runner.synthetic import tiny_foreign_model, tiny_model
from runner.synthetic.vocabulary import (
    SPECIAL_TOKENS,
    VOCABULARY_TOKENS,
    byte_alphabet,
    foreign_vocabulary,
    vocabulary,
)

ENGLISH = "A draft model proposes several tokens and the target model checks all of them in one pass."
CHINESE = "小模型先提出几个词,大模型一次检查全部。"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    loaded = Model(tiny_model("llama", tmp_path_factory.mktemp("vocabulary") / "m.gguf"), n_gpu_layers=0)
    yield loaded
    loaded.close()


@pytest.mark.parametrize("words", [vocabulary(), foreign_vocabulary()], ids=["own", "foreign"])
def test_every_token_is_there_once_and_the_vocabulary_is_full(words):
    assert len(words.tokens) == len(set(words.tokens)) == VOCABULARY_TOKENS


@pytest.mark.parametrize("words", [vocabulary(), foreign_vocabulary()], ids=["own", "foreign"])
def test_every_merge_joins_two_tokens_known_before_it(words):
    known = set(byte_alphabet())
    for left, right in words.merges:
        assert {left, right} <= known
        known.add(left + right)
    assert known == set(words.tokens) - set(SPECIAL_TOKENS)


def test_the_byte_alphabet_has_one_printable_character_for_each_byte():
    alphabet = byte_alphabet()
    assert len(set(alphabet)) == 256
    assert all(character.isprintable() for character in alphabet)
    assert alphabet[ord(" ")] == "Ġ"
    assert alphabet[ord("a")] == "a"


@given(st.text(alphabet=st.characters(exclude_characters="\x00", exclude_categories=("Cs",)), max_size=60))
def test_any_text_comes_back_whole_from_its_tokens(model, text):
    assert model.detokenize(model.tokenize(text)) == text


def test_english_takes_about_two_characters_a_token_and_chinese_about_two_tokens_a_character(model):
    assert 1.7 < len(ENGLISH) / len(model.tokenize(ENGLISH)) < 3.5
    assert 1.5 < len(model.tokenize(CHINESE)) / len(CHINESE) < 2.5


def test_no_token_is_added_to_a_text(model):
    assert model.detokenize(model.tokenize("a")) == "a"
    assert len(model.tokenize("a")) == 1


def test_the_foreign_vocabulary_has_the_same_size_and_other_texts(model, tmp_path):
    foreign = Model(tiny_foreign_model("llama", tmp_path / "foreign.gguf"), n_gpu_layers=0)
    assert foreign.n_vocab == model.n_vocab
    assert foreign.tokenize(ENGLISH) != model.tokenize(ENGLISH)
    assert foreign.detokenize(foreign.tokenize(ENGLISH)) == ENGLISH
    foreign.close()
