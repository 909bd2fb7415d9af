"""What is read from llama.cpp's log: lines as it wrote them, and the real thing."""

import pytest

from runner.llama.context import Context
from runner.llama.library import listening, log_tail
from runner.llama.log_facts import flash_attention, layers_by_device
from runner.llama.model import Model
from tests.engine.conftest import SETTINGS

ON_METAL = [
    "load_tensors: loading model tensors, this can take a while... (load_mode = mmap)",
    "load_tensors: layer   0 assigned to device MTL0, is_swa = 0",
    "load_tensors: layer   1 assigned to device MTL0, is_swa = 0",
    "load_tensors: layer   2 assigned to device CPU, is_swa = 0",
    "sched_reserve: layer 2 is assigned to device MTL0 but Flash Attention is assigned to device CPU",
    "load_tensors: offloaded 2/3 layers to GPU",
]


def test_layers_are_counted_by_device():
    assert layers_by_device(ON_METAL) == {"MTL0": 2, "CPU": 1}
    assert layers_by_device(["load_tensors: something else"]) == {}


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("resolve_fused_ops: Flash Attention enabled", "on"),
        ("resolve_fused_ops: Flash Attention not supported, set to disabled", "off"),
        ("llama_context: flash_attn            = auto", None),
    ],
)
def test_what_became_of_auto_is_what_the_log_says(line, found):
    assert flash_attention(["llama_context: n_ctx = 512", line], "auto") == found


def test_a_request_that_is_no_choice_stands_unless_the_log_says_otherwise():
    assert flash_attention([], "off") == "off"
    assert flash_attention(["x: Flash Attention not supported, set to disabled"], "on") == "off"


def test_this_build_says_where_the_layers_of_a_model_are_and_whether_flash_attention_is_on(tiny):
    model = Model(tiny("qwen35"), n_gpu_layers=-1)
    context = Context(model, SETTINGS)
    assert sum(model.layers.values()) == int(model.metadata("qwen35.block_count")) + 1
    assert context.flash_attention in {"on", "off"}
    context.close()
    model.close()


def test_listening_ends_with_its_block(tiny):
    with listening() as heard:
        pass
    Model(tiny("qwen35"), n_gpu_layers=-1).close()
    assert heard == []
    assert log_tail()
