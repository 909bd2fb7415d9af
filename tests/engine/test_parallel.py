"""Many sequences in one context: each as if it were alone, and each rolled back on its own."""

import numpy as np
import pytest

from runner.errors import EngineError, ModelError, UsageError
from runner.llama.context import Context
from runner.llama.model import Model
from runner.llama.parallel import ParallelContext
from runner.llama.routing import RoutingContext, check_experts_used

PROMPTS = [[11, 400, 52], [901, 77, 1203], [8, 8, 640], [33, 2, 1999], [5, 1024, 3000]]
GAMMA = 4


def normalised_error(found, expected) -> float:
    return float(((found - expected) ** 2).mean() / (expected**2).mean())


@pytest.fixture(scope="module", params=["qwen35moe", "llama"])
def model(tiny, request):
    return Model(tiny(request.param), n_gpu_layers=0)


@pytest.fixture
def together(model, settings):
    n_rs_seq = GAMMA if model.has_recurrent_state else 0
    context = ParallelContext(model, settings, n_sequences=len(PROMPTS), n_ctx_sequence=64, n_rs_seq=n_rs_seq)
    context.begin(PROMPTS)
    yield context
    context.close()


@pytest.fixture
def alone(model, settings):
    context = Context(model, settings)
    yield context
    context.close()


def greedy(logits) -> list[int]:
    return [int(row.argmax()) for row in logits]


def greedy_text(context: Context, prompt: list[int], n_tokens: int) -> list[int]:
    context.begin(prompt[:-1])
    text = [prompt[-1]]
    for _ in range(n_tokens):
        context.decode(text[-1:], n_outputs=1)
        text += greedy(context.logits(1))
    return text[1:]


def test_sequences_decoded_together_write_what_each_would_write_alone(together, alone):
    together.begin([prompt[:-1] for prompt in PROMPTS])
    texts = [[prompt[-1]] for prompt in PROMPTS]
    for _ in range(12):
        together.decode([text[-1:] for text in texts], n_outputs=1)
        for text, token in zip(texts, greedy(together.logits(len(texts))), strict=True):
            text.append(token)
    assert [text[1:] for text in texts] == [greedy_text(alone, prompt, 12) for prompt in PROMPTS]
    assert together.positions == [len(prompt) - 1 + 12 for prompt in PROMPTS]


def test_each_sequence_rolls_back_by_its_own_number_of_tokens(together, alone):
    """One keeps all five tokens, one four, and so on: what follows is as if the rest had never been."""
    guesses = [[7 * i + j + 100 for j in range(GAMMA + 1)] for i in range(len(PROMPTS))]
    together.decode(guesses, n_outputs=GAMMA + 1)
    together.keep([len(prompt) + 1 + i for i, prompt in enumerate(PROMPTS)])
    together.decode([[500 + i] for i in range(len(PROMPTS))], n_outputs=1)
    found = together.logits(len(PROMPTS)).copy()
    for i, prompt in enumerate(PROMPTS):
        alone.begin([*prompt, *guesses[i][: 1 + i]])
        alone.decode([500 + i], n_outputs=1)
        assert normalised_error(found[i], alone.logits(1)[0]) < 1e-4


def test_logits_come_sequence_by_sequence(together, alone):
    together.decode([[40 + i, 50 + i] for i in range(len(PROMPTS))], n_outputs=2)
    rows = together.logits(2 * len(PROMPTS)).copy().reshape(len(PROMPTS), 2, -1)
    for i, prompt in enumerate(PROMPTS):
        alone.begin(prompt)
        alone.decode([40 + i, 50 + i], n_outputs=2)
        assert normalised_error(rows[i], alone.logits(2)) < 1e-4


def test_sequences_may_differ_in_how_many_tokens_they_bring(together, alone):
    shares = [[60] * (1 + i % 2) for i in range(len(PROMPTS))]
    together.decode(shares, n_outputs=1)
    found = together.logits(len(PROMPTS)).copy()
    for i, prompt in enumerate(PROMPTS):
        alone.begin(prompt)
        alone.decode(shares[i], n_outputs=1)
        assert normalised_error(found[i], alone.logits(1)[0]) < 1e-4


def test_long_prompts_are_prefilled_in_several_passes(model, settings, alone):
    prompts = [list(range(10 * i + 5, 10 * i + 25)) for i in range(4)]
    context = ParallelContext(model, settings, n_sequences=4, n_ctx_sequence=64)
    context.begin(prompts)
    context.decode([[9]] * 4, n_outputs=1)
    alone.begin(prompts[3])
    alone.decode([9], n_outputs=1)
    assert normalised_error(context.logits(4)[3], alone.logits(1)[0]) < 1e-4
    context.close()


def test_more_rows_than_one_pass_holds_are_refused(together, settings):
    with pytest.raises(UsageError, match="50 rows do not fit one pass of 32"):
        together.decode([[1] * 10] * len(PROMPTS), n_outputs=1)


def test_a_rollback_llama_cpp_refuses_is_an_error(tiny, settings):
    model = Model(tiny("qwen35moe"), n_gpu_layers=0)
    context = ParallelContext(model, settings, n_sequences=2, n_ctx_sequence=64)
    context.begin(PROMPTS[:2])
    context.decode([[1, 2, 3], [4, 5, 6]], n_outputs=1)
    with pytest.raises(EngineError, match="refused to drop positions 4 to 5"):
        context.keep([6, 4])
    context.close()


def test_a_position_that_is_not_ours_is_an_error(together):
    together.positions[2] -= 1
    with pytest.raises(EngineError):
        together.decode([[1]] * len(PROMPTS), n_outputs=1)


@pytest.mark.parametrize("used", [1, 2, 8, 16])
def test_another_number_of_experts_takes_effect(tiny, settings, used):
    model = Model(tiny("qwen35moe"), n_gpu_layers=0, experts_used=used)
    check_experts_used(model, settings, used)
    context = RoutingContext(model, settings)
    assert context.experts_of([1, 2, 3]).shape[2] == used
    context.close()


def test_another_number_of_experts_changes_what_the_model_says(tiny, settings):
    said = []
    for used in (None, 1):
        context = Context(Model(tiny("qwen35moe"), n_gpu_layers=0, experts_used=used), settings)
        context.begin(PROMPTS[0])
        context.decode([9], n_outputs=1)
        said.append(context.logits(1)[0].copy())
        context.close()
    assert normalised_error(said[1], said[0]) > 1e-3


def test_an_override_that_llama_cpp_ignored_is_refused(tiny, settings, monkeypatch):
    """Of the wrong type, llama.cpp logs a warning and goes on with the file's number."""
    import llama_cpp

    monkeypatch.setattr(llama_cpp, "LLAMA_KV_OVERRIDE_TYPE_INT", llama_cpp.LLAMA_KV_OVERRIDE_TYPE_FLOAT)
    model = Model(tiny("qwen35moe"), n_gpu_layers=0, experts_used=2)
    with pytest.raises(EngineError, match=r"asked for 2 experts per token, llama\.cpp routes to 4"):
        check_experts_used(model, settings, 2)


@pytest.mark.parametrize("used", [0, 17])
def test_more_experts_than_there_are_or_none_are_refused(tiny, used):
    with pytest.raises(ModelError, match=f"{used} experts per token were asked for, and a layer has 16"):
        Model(tiny("qwen35moe"), n_gpu_layers=0, experts_used=used)


def test_a_dense_model_has_no_experts_to_choose(tiny):
    with pytest.raises(ModelError, match="a layer has 0"):
        Model(tiny("llama"), n_gpu_layers=0, experts_used=2)


def test_errors_of_rounding_are_told_from_wrong_states(together, alone):
    """The tolerance of this file lies far below what one wrong token does."""
    alone.begin(PROMPTS[0])
    alone.decode([500], n_outputs=1)
    right = alone.logits(1)[0].copy()
    alone.begin([*PROMPTS[0][:-1], 53])
    alone.decode([500], n_outputs=1)
    assert normalised_error(alone.logits(1)[0], right) > 1e-3
    assert np.isfinite(right).all()
