"""Expert ids read from a pass of real llama.cpp, and what is counted from them."""

import numpy as np
import pytest

from runner.errors import ModelError
from runner.llama.context import Context
from runner.llama.draft import ModelDrafter
from runner.llama.expert_count import LONGEST, count_experts
from runner.llama.model import Model
from runner.llama.preflight import DRAFT, prove
from runner.llama.routing import RoutingContext

EXPERTS, USED, LAYERS = 16, 4, 4
TOKENS = [11, 400, 52, 901, 77, 1203, 8]


@pytest.fixture(scope="module")
def model(tiny):
    return Model(tiny("qwen35moe"), n_gpu_layers=0)


@pytest.fixture
def context(model, settings):
    context = RoutingContext(model, settings)
    yield context
    context.close()


def test_each_token_uses_as_many_distinct_experts_as_the_model_routes_to(context):
    experts = context.experts_of(TOKENS)
    assert experts.shape == (len(TOKENS), LAYERS, USED)
    assert experts.min() >= 0
    assert experts.max() < EXPERTS
    assert all(len(set(row)) == USED for token in experts for row in token)


def test_a_batch_and_single_tokens_use_the_same_experts(context):
    """The strided view is read right: token by token there is no stride to get wrong."""
    in_one = context.experts_of(TOKENS)
    context.begin()
    one_by_one = np.concatenate([context.experts_of([token]) for token in TOKENS])
    assert np.array_equal(np.sort(in_one), np.sort(one_by_one))


def test_a_guess_leaves_no_trace(context):
    context.experts_of(TOKENS[:4])
    context.experts_of_guess([5, 6, 7])
    with_guess = context.experts_of(TOKENS[4:])
    context.begin()
    context.experts_of(TOKENS[:4])
    assert np.array_equal(with_guess, context.experts_of(TOKENS[4:]))


def test_watching_changes_no_logit(model, context, settings):
    plain = Context(model, settings)
    plain.begin(TOKENS[:-1])
    plain.decode(TOKENS[-1:], n_outputs=1)
    context.experts_of(TOKENS[:-1])
    context.experts_of(TOKENS[-1:])
    assert context.next_token() == int(plain.logits(1)[0].argmax())
    plain.close()


@pytest.fixture(scope="module")
def counts(model, tiny, settings):
    draft = Model(tiny("qwen35", draft=True), n_gpu_layers=0)
    proved = prove(DRAFT, Context(draft, settings), settings, gamma=8)
    drafter = ModelDrafter(proved.context, proved.rollback)
    return count_experts(model, drafter, TOKENS, 40, settings)


def test_every_source_is_counted_for_every_number_of_tokens(counts):
    assert [(count.source, count.n_tokens) for count in counts] == [
        (source, n) for source in ("real", "shuffled", "drafted") for n in range(1, LONGEST + 1)
    ]


def test_n_tokens_touch_at_least_k_and_at_most_min_of_e_and_n_times_k_experts(counts):
    for count in counts:
        assert len(count.distinct_by_layer) == LAYERS
        for distinct in count.distinct_by_layer:
            assert USED <= distinct <= min(EXPERTS, count.n_tokens * USED)


def test_more_drafted_tokens_never_touch_fewer_experts(counts):
    drafted = [count.distinct_by_layer for count in counts if count.source == "drafted"]
    assert (np.diff(np.array(drafted), axis=0) >= -1e-9).all()


def test_without_a_draft_model_real_and_shuffled_tokens_are_counted_all_the_same(model, settings):
    counts = count_experts(model, None, TOKENS, 12, settings)
    assert {count.source for count in counts} == {"real", "shuffled"}
    assert max(count.n_tokens for count in counts) == 12


def test_a_dense_model_is_refused(tiny, settings):
    with pytest.raises(ModelError, match="a dense model has no experts to count"):
        count_experts(Model(tiny("qwen35"), n_gpu_layers=0), None, TOKENS, 12, settings)
