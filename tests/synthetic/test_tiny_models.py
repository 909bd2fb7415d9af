"""Tiny models: real files that llama.cpp loads, whose text and state behave like the family's."""

import gguf
import numpy as np
import pytest

from runner.errors import EngineError
from runner.synthetic import tiny_model
from runner.synthetic.gguf_file import DESCRIPTION
from runner.synthetic.quantise import quantise
from runner.synthetic.vocabulary import VOCABULARY_TOKENS
from tests.synthetic.speaker import agreement

PROMPT = "Why does a stale state show? Because the noise comes from the context."
HYBRIDS = ("qwen35", "qwen35moe")


def distinct_shares(text: list[int], length: int) -> float:
    """Distinct runs of `length` tokens, as a share of all runs: 1 when nothing repeats."""
    runs = [tuple(text[start : start + length]) for start in range(len(text) - length + 1)]
    return len(set(runs)) / len(runs)


def error(found: np.ndarray, expected: np.ndarray) -> float:
    """Normalised mean square error."""
    return float(((found - expected) ** 2).sum() / (expected**2).sum())


def test_a_tiny_model_is_small(tiny):
    assert tiny.stat().st_size < 3_000_000


def test_its_greedy_text_does_not_loop(tiny, speak):
    speaker = speak(tiny)
    prompts = [speaker.model.tokenize(text) for text in (PROMPT, "def f(x):", "为什么?")]
    shares = [distinct_shares(speaker.greedy(tokens, 256), 4) for tokens in prompts]
    assert min(shares) > 0.5
    assert sum(shares) / len(shares) > 0.85


def test_its_text_depends_on_the_context_before_the_last_token(tiny, speak):
    speaker = speak(tiny)
    tokens = speaker.model.tokenize(PROMPT)
    speaker.context.begin([])
    alone = speaker.logits(tokens[-1:], 1)
    speaker.context.begin(tokens[:-1])
    assert error(speaker.logits(tokens[-1:], 1), alone) > 0.01


def test_the_same_seed_writes_the_same_bytes_and_another_seed_others(tmp_path):
    first, again, other = (
        tiny_model("qwen35moe", tmp_path / f"{index}.gguf", seed=seed).read_bytes()
        for index, seed in enumerate((5, 5, 6))
    )
    assert first == again
    assert first != other


@pytest.mark.parametrize("architecture", HYBRIDS)
def test_less_noise_means_more_agreement(architecture, tmp_path, speak):
    target = speak(tiny_model(architecture, tmp_path / "target.gguf", seed=1, noise=0.3))
    drafts = [
        speak(tiny_model(architecture, tmp_path / f"{noise}.gguf", seed=2, noise=noise))
        for noise in (0.2, 1.0, 3.0)
    ]
    close, far, farthest = (agreement(target, draft, PROMPT, 128) for draft in drafts)
    assert close > 0.8
    assert close > far + 0.1
    assert far > farthest + 0.1


@pytest.mark.parametrize("architecture", HYBRIDS)
def test_a_stale_recurrent_state_shows_far_above_rounding(architecture, tmp_path, speak):
    """A rollback over single-token decodes is granted and wrong (facts: llamacpp.md, B3); it must be seen."""
    speaker = speak(tiny_model(architecture, tmp_path / "m.gguf", noise=0.5), n_rs_seq=4)
    tokens = speaker.model.tokenize(PROMPT)
    speaker.context.begin(tokens)
    fresh = speaker.logits([900, 901, 902], 3)
    speaker.context.begin(tokens)
    for wrong in (700, 701, 702):
        speaker.context.decode([wrong], n_outputs=0)
    speaker.context.forget_from(len(tokens) + 1)
    speaker.context.position = len(tokens) + 1
    stale = speaker.logits([901, 902], 2)
    assert error(stale, fresh[1:]) > 1e-2


def test_its_facts_say_what_it_is(tmp_path):
    reader = gguf.GGUFReader(tiny_model("qwen35moe", tmp_path / "m.gguf"))
    assert reader.fields["general.description"].contents() == DESCRIPTION
    assert reader.fields["general.architecture"].contents() == "qwen35moe"
    assert len(reader.fields["tokenizer.ggml.tokens"].data) == VOCABULARY_TOKENS


def test_the_number_of_experts_used_is_a_plain_integer_so_that_overrides_work(tmp_path):
    reader = gguf.GGUFReader(tiny_model("qwen35moe", tmp_path / "m.gguf"))
    assert reader.fields["qwen35moe.expert_used_count"].types == [gguf.GGUFValueType.UINT32]


def test_nothing_is_left_beside_the_model(tmp_path):
    tiny_model("llama", tmp_path / "m.gguf")
    assert [path.name for path in tmp_path.iterdir()] == ["m.gguf"]


def test_a_file_that_cannot_be_quantised_is_one_clear_error(tmp_path):
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(b"GGUF, but not really")
    with pytest.raises(EngineError, match=r"target\.gguf: llama\.cpp could not quantise the model to Q8_0"):
        quantise(damaged, tmp_path / "target.gguf", "Q8_0")
