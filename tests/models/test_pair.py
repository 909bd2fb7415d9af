"""A draft passes only when it numbers every token as its target does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import ModelError
from runner.models import check_pair
from tests.models.tiny_gguf import TOKENS, write_tiny


def pair(folder, draft_tokens):
    return (
        write_tiny(folder / "target.gguf"),
        write_tiny(folder / "draft.gguf", tokens=draft_tokens),
    )


def test_equal_vocabularies_pass(tmp_path):
    check_pair(*pair(tmp_path, list(TOKENS)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tokens: [*tokens[:3], "other", *tokens[4:]], "token 3: 'other' instead of 'ab'"),
        (lambda tokens: tokens[:-1], "first difference at token 5: nothing instead of '日'"),
        (lambda tokens: [*tokens, "extra"], "first difference at token 6: 'extra' instead of nothing"),
        (lambda tokens: tokens[::-1], "first difference at token 0: '日' instead of '<s>'"),
    ],
)
def test_the_first_token_that_differs_is_named(tmp_path, change, message):
    with pytest.raises(ModelError, match=message) as caught:
        check_pair(*pair(tmp_path, change(TOKENS)))
    assert "draft.gguf: another vocabulary than target.gguf" in str(caught.value)
    assert "choose a draft of the target's own family" in str(caught.value)


def test_a_model_without_tokens_cannot_be_paired(tmp_path):
    with pytest.raises(ModelError, match=r"target\.gguf: holds no token list"):
        check_pair(
            write_tiny(tmp_path / "target.gguf", tokens=[]), write_tiny(tmp_path / "draft.gguf", tokens=[])
        )


token_lists = st.lists(st.text(max_size=3), min_size=1, max_size=5)


@given(token_lists, token_lists)
def test_only_equal_lists_pass(tmp_path_factory, left, right):
    folder = tmp_path_factory.mktemp("pair")
    target = write_tiny(folder / "target.gguf", tokens=left)
    draft = write_tiny(folder / "draft.gguf", tokens=right)
    try:
        check_pair(target, draft)
    except ModelError:
        assert left != right
    else:
        assert left == right
