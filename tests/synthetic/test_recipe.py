"""What the files are made of: pinned, so that a changed recipe gets a new number and a new cache folder."""

import hashlib

import gguf
import msgspec
import numpy as np
import pytest

from runner.synthetic.family import RECIPE, member_of
from runner.synthetic.gguf_file import model_tensors, write_gguf
from runner.synthetic.layers import layer_tensors
from runner.synthetic.quantise import quantise
from runner.synthetic.tensors import make_values, matrix, normal
from runner.synthetic.tiny import TINY_SHAPES
from runner.synthetic.vocabulary import vocabulary

PINNED_RECIPE = 1
PINNED_VALUES = {
    "qwen35": "2ff53b1090211e71",
    "qwen35moe": "7ce53d68dfdaf42c",
    "draft-0.8b": "8bc6330aec43c605",
}


def digest(shape) -> str:
    """SHA-256 over all tensors of a model, with the vocabulary."""
    total = hashlib.sha256(msgspec.json.encode(vocabulary()))
    for tensor in model_tensors(shape, noise=1.0):
        total.update(tensor.name.encode() + make_values(tensor, seed=1).tobytes())
    return total.hexdigest()[:16]


@pytest.mark.parametrize("name", PINNED_VALUES)
def test_a_changed_recipe_has_a_new_number(name):
    shape = TINY_SHAPES[name] if name in TINY_SHAPES else member_of(name).shape
    assert (RECIPE, digest(shape)) == (PINNED_RECIPE, PINNED_VALUES[name]), (
        "the files change: raise RECIPE, measure docs/synthetic.md anew, then pin both here"
    )


def test_a_tensor_depends_on_its_seed_and_name_only():
    tensor, other = matrix("blk.0.ffn_up.weight", (64, 32)), matrix("blk.1.ffn_up.weight", (64, 32))
    assert (make_values(tensor, seed=1) == make_values(tensor, seed=1)).all()
    assert (make_values(tensor, seed=1) != make_values(tensor, seed=2)).any()
    assert (make_values(tensor, seed=1) != make_values(other, seed=1)).any()


def test_random_weights_are_normal_with_the_deviation_asked_for():
    values = normal((512, 512), 0.25)(np.random.default_rng(1)).astype(np.float64)
    assert values.dtype == np.float64
    assert abs(values.mean()) < 0.002
    assert values.std() == pytest.approx(0.25, rel=0.01)
    assert (np.abs(values) < 0.25).mean() == pytest.approx(0.683, abs=0.01)


def test_noise_scales_only_what_a_layer_writes_to_the_residual_stream():
    shape = TINY_SHAPES["qwen35moe"]
    rng = np.random.default_rng
    for layer in (0, 3):
        quiet, loud = (list(layer_tensors(shape, layer, noise=noise)) for noise in (0.5, 1.0))
        changed = {
            a.name.split(".")[2]
            for a, b in zip(quiet, loud, strict=True)
            if not np.array_equal(a.make(rng(1)), b.make(rng(1)))
        }
        mixer = "ssm_out" if shape.is_recurrent(layer) else "attn_output"
        assert changed == {mixer, "ffn_down_exps", "ffn_down_shexp"}


def test_q4_k_m_really_uses_k_quants_on_the_familys_experts(tmp_path):
    shape = msgspec.structs.replace(member_of("moe-q4").shape, experts=16)
    write_gguf(tmp_path / "f16.gguf", shape, vocabulary(), name="small mixture", seed=1, noise=1.0)
    quantise(tmp_path / "f16.gguf", tmp_path / "q4.gguf", "Q4_K_M")
    types = {tensor.name: tensor.tensor_type.name for tensor in gguf.GGUFReader(tmp_path / "q4.gguf").tensors}
    assert {types[f"blk.{layer}.ffn_{kind}_exps.weight"] for layer in range(4) for kind in ("gate", "up")} == {
        "Q4_K"
    }
    assert {types[f"blk.{layer}.ffn_down_exps.weight"] for layer in range(4)} == {"Q4_K", "Q6_K"}
    assert types["output.weight"] == "Q6_K"
