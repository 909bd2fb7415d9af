"""The members keep Qwen3.5's structure at one scale."""

import statistics

import pytest

from runner.synthetic import EXTRA_ROLES, ROLES
from runner.synthetic.family import MEMBERS, member_of
from runner.synthetic.gguf_file import model_tensors, parameters

SCALE = 165
REAL = [member for member in MEMBERS.values() if member.real_parameters]
PUBLISHED_ROLES = {
    "moe-q4", "moe-q8", "dense-0.8b", "dense-2b", "dense-4b", "dense-9b", "draft-0.8b", "draft-2b",
}  # fmt: skip


def scale(member) -> float:
    return member.real_parameters / parameters(member.shape)


@pytest.mark.parametrize("member", REAL, ids=lambda member: member.name)
def test_each_member_has_one_165th_of_the_real_parameters_within_three_percent(member):
    assert scale(member) == pytest.approx(SCALE, rel=0.03)


def test_the_spread_of_scales_is_small_and_within_the_promised_range():
    scales = [scale(member) for member in REAL]
    assert statistics.pstdev(scales) < 0.02 * SCALE
    assert all(100 < value < 200 for value in scales)


def test_the_family_fills_every_published_role_and_drafts_are_the_dense_files():
    assert set(ROLES) == PUBLISHED_ROLES
    assert not set(ROLES) & set(EXTRA_ROLES)
    assert member_of("draft-0.8b") is member_of("dense-0.8b")
    assert member_of("draft-2b") is member_of("dense-2b")
    assert {member_of(role).name for role in (*ROLES, *EXTRA_ROLES)} == set(MEMBERS)


@pytest.mark.parametrize("member", REAL, ids=lambda member: member.name)
def test_three_recurrent_layers_stand_before_each_attention_layer(member):
    kinds = [member.shape.is_recurrent(layer) for layer in range(member.shape.layers)]
    assert kinds == [True, True, True, False] * (member.shape.layers // 4)


@pytest.mark.parametrize("member", REAL, ids=lambda member: member.name)
def test_rows_of_all_large_matrices_are_multiples_of_256_so_that_k_quants_apply(member):
    large = [tensor for tensor in model_tensors(member.shape, noise=1.0) if tensor.size > 100_000]
    assert large
    assert all(tensor.shape[-1] % 256 == 0 for tensor in large)


def test_the_mixture_routes_eight_of_256_experts_and_adds_a_gated_shared_one():
    shape = member_of("moe-q4").shape
    assert (shape.experts, shape.experts_used) == (256, 8)
    names = {tensor.name for tensor in model_tensors(shape, noise=1.0)}
    assert {"blk.0.ffn_gate_inp_shexp.weight", "blk.0.ffn_up_shexp.weight"} <= names


def test_embeddings_are_tied_where_the_real_ones_are():
    tied = {member.name for member in REAL if member.shape.tied}
    assert tied == {"0.8b", "2b", "4b"}


def test_members_quantised_from_one_file_differ_in_nothing_else():
    q4, q8 = member_of("moe-q4"), member_of("moe-q8")
    assert q4.weights == q8.weights
    assert (q4.shape, q4.seed, q4.noise) == (q8.shape, q8.seed, q8.noise)
    assert (q4.quantisation, q8.quantisation) == ("Q4_K_M", "Q8_0")


def test_no_other_members_share_their_weights_by_accident():
    names = [member.weights for member in MEMBERS.values()]
    assert sorted(set(names)) == ["0.8b", "2b", "4b", "9b", "moe", "moe-64", "tiny"]
