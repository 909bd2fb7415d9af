"""Nothing that names the machine's owner reaches a study: planted names must not come out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.redact import Private, of_this_machine, redact

PRIVATE = Private(home="/home/adalovelace", user="adalovelace", host="ada-laptop.local")
SECRETS = ("adalovelace", "ada-laptop", "hf_AbCdEfGhIjKlMnOp", "192.168.17.4", "/Volumes/Private")


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("cannot open /home/adalovelace/models/qwen.gguf", "cannot open <path>/qwen.gguf"),
        ("moe-q4=/Users/adalovelace/x/y.gguf", "moe-q4=<path>/y.gguf"),
        ("/home/adalovelace", "~"),
        ("~/models/k.gguf", "<path>/k.gguf"),
        ("C:\\Users\\adalovelace\\m.gguf", "<path>/m.gguf"),
        ("file:///home/adalovelace/x", "file://<path>/x"),
        ("on ada-laptop and ADA-LAPTOP.local", "on <host> and <host>"),
        ("token hf_AbCdEfGhIjKlMnOp at 192.168.17.4", "token <token> at <address>"),
        ("user AdaLovelace said", "user <user> said"),
        ("'/opt/models/a b.gguf'", "'<path>/a b.gguf'"),
    ],
)
def test_names_paths_and_tokens_are_taken_out(text: str, redacted: str) -> None:
    assert redact(text, PRIVATE) == redacted


@pytest.mark.parametrize(
    "text",
    [
        "ggml/src/ggml-cpu.c:123: GGML_ASSERT(n > 0) failed",
        "llama_decode returned -1 at 5/8 tokens",
        "moe-sd", "--n-predict", "64", "llama-cpp-python 0.3.36", "data/studies/synthetic-all",
        "adalovelaces and madalovelace are other words",
    ],
)  # fmt: skip
def test_what_names_nobody_stays(text: str) -> None:
    assert redact(text, PRIVATE) == text


def test_names_that_anyone_may_have_do_not_spoil_messages() -> None:
    nobody = Private(home="/root", user="root", host="vm")
    assert redact("root cause on vm: /root/x/y.gguf", nobody) == "root cause on vm: <path>/y.gguf"


def test_a_home_that_begins_another_folder_is_not_cut_out_of_it() -> None:
    assert redact("see /home/adalovelaces-notes", PRIVATE) == "see <path>/adalovelaces-notes"


def test_an_unknown_home_hides_nothing_and_breaks_nothing() -> None:
    assert redact("a / b", Private(home="", user="", host="")) == "a / b"
    assert redact("a / b", Private(home="/", user="", host="")) == "a / b"


def test_this_machine_has_private_names() -> None:
    private = of_this_machine()
    assert private.home
    assert redact(f"{private.home}/models/x.gguf", private) == "<path>/x.gguf"


PARTS = [*SECRETS, "loading", "/", " ", "=", ":", "'", "x.gguf", "/home/adalovelace/a"]


@given(st.lists(st.sampled_from(PARTS), max_size=9))
def test_no_arrangement_of_planted_names_survives_where_it_stands_as_a_name(parts: list[str]) -> None:
    text = " ".join(parts)
    for secret in SECRETS:
        assert secret not in redact(text, PRIVATE)


@given(st.text(max_size=60))
def test_redacting_twice_is_redacting_once(text: str) -> None:
    once = redact(text, PRIVATE)
    assert redact(once, PRIVATE) == once
