"""Choosing on the device: the host's tokens and margins, proved before use, in both arms or in none."""

from functools import partial

import msgspec
import numpy as np
import pytest

from runner.decode import Choice
from runner.errors import EngineError
from runner.executor import Pair
from runner.llama import device_choice, preflight
from runner.llama.context import Context
from runner.llama.model import Model
from runner.llama.session import PairSession
from runner.record import Settings, canonical_json, fingerprint

GAMMAS = (0, 4, 16)
PAIR = Pair(target="target", draft="draft", gammas=GAMMAS)
PROMPT = "The quick brown fox jumps over the lazy dog, again and again, until the evening comes."


@pytest.fixture(scope="module")
def on_device(settings):
    return msgspec.structs.replace(settings, choose_on="device")


@pytest.fixture
def context(tiny, kind, on_device):
    model = Model(tiny(kind), n_gpu_layers=-1)
    context = Context(model, on_device)
    yield context
    context.close()
    model.close()


@pytest.mark.parametrize("n_rows", [1, 2, 5, 17])
def test_the_device_chooses_the_hosts_tokens_with_the_hosts_margins(context, n_rows):
    text = context.model.tokenize(PROMPT)

    def chosen() -> Choice:
        context.begin(text[:-n_rows])
        context.decode(text[-n_rows:], n_outputs=n_rows)
        return context.choose(n_rows)

    on_host = chosen()
    context.choose_on_device()
    tokens, margins = chosen()
    assert tokens == on_host.tokens
    assert len(set(tokens)) > 1 or n_rows == 1
    np.testing.assert_allclose(margins, on_host.margins, atol=1e-5)


def test_outputs_at_the_end_of_a_longer_batch_are_chosen_from(context):
    text = context.model.tokenize(PROMPT)[:12]
    context.begin([])
    context.decode(text, n_outputs=3)
    on_host = context.choose(3)
    context.choose_on_device()
    context.begin([])
    context.decode(text, n_outputs=3)
    assert context.choose(3).tokens == on_host.tokens


@pytest.mark.parametrize("most_rows", [1, 2, 17, 32])
def test_the_proof_tries_as_many_outputs_as_the_loop_will_ask_for(context, monkeypatch, most_rows):
    asked = []
    honest = device_choice.DeviceChoice.choose
    monkeypatch.setattr(
        device_choice.DeviceChoice, "choose", lambda self, n_rows: asked.append(n_rows) or honest(self, n_rows)
    )
    preflight.prove_device_choice(context, most_rows=most_rows)
    assert asked == sorted({1, min(2, most_rows), most_rows})


def test_the_proof_attaches_the_device_and_leaves_it_attached(context):
    preflight.prove_device_choice(context, most_rows=17)
    context.begin([1, 2, 3])
    context.decode([4], n_outputs=1)
    assert len(context.choose(1).tokens) == 1
    assert context._device is not None


@pytest.fixture(scope="module")
def sessions(pair, settings, on_device):
    return tuple(PairSession(PAIR, *pair, each) for each in (settings, on_device))


@pytest.mark.parametrize("gamma", GAMMAS)
def test_runs_emit_the_same_text_and_cycles_wherever_they_choose(sessions, plan_one, gamma):
    on_host, on_device = (session.run(plan_one(gamma, text=PROMPT, n_predict=64)) for session in sessions)
    assert on_device.tokens == on_host.tokens
    assert on_device.cycles.accepted == on_host.cycles.accepted
    assert on_device.margins == pytest.approx(on_host.margins, abs=1e-3)


def test_target_and_draft_both_choose_on_the_device(sessions, plan_one):
    session = sessions[1]
    for gamma in GAMMAS:
        session.run(plan_one(gamma, text=PROMPT))
    assert all(arm.context._device is not None for arm in session._arms.values())
    assert session.draft.context._device is not None
    assert session._reference._device is None, "proofs look at logits, which only the host has"


def test_a_rollback_forced_later_is_proved_and_chooses_on_the_device_too(sessions, plan_one):
    forced = partial(plan_one, text=PROMPT, rollback="checkpoint")
    on_host, on_device = (session.run(forced(4)) for session in sessions)
    assert on_device.target_rollback == "checkpoint"
    assert on_device.tokens == on_host.tokens


def test_a_device_that_chooses_otherwise_is_refused(context, monkeypatch):
    honest = device_choice.DeviceChoice.choose

    def one_off(self, n_rows):
        tokens, margins = honest(self, n_rows)
        return Choice([tokens[0] + 1, *tokens[1:]], margins)

    monkeypatch.setattr(device_choice.DeviceChoice, "choose", one_off)
    with pytest.raises(EngineError, match=r"the device chose tokens .* leave --choose-on device out"):
        preflight.prove_device_choice(context, most_rows=17)


def test_a_device_whose_margins_differ_is_refused(context, monkeypatch):
    honest = device_choice.DeviceChoice.choose

    def generous(self, n_rows):
        tokens, margins = honest(self, n_rows)
        return Choice(tokens, [margin + 0.01 for margin in margins])

    monkeypatch.setattr(device_choice.DeviceChoice, "choose", generous)
    with pytest.raises(EngineError, match="margins"):
        preflight.prove_device_choice(context, most_rows=17)


def test_a_refused_sampler_says_what_to_do(context, monkeypatch):
    monkeypatch.setattr(device_choice.llama_cpp, "llama_set_sampler", lambda *_: False)
    with pytest.raises(EngineError, match="cannot choose on this device: leave --choose-on device out"):
        context.choose_on_device()


def test_a_device_that_keeps_no_candidates_is_refused(context, monkeypatch):
    context.choose_on_device()
    context.begin([1, 2])
    context.decode([3], n_outputs=1)
    monkeypatch.setattr(device_choice.llama_cpp, "llama_get_sampled_candidates_count_ith", lambda *_: 0)
    with pytest.raises(EngineError, match="keeps no candidates"):
        context.choose(1)


@pytest.mark.parametrize(("ids", "token"), [([7, 3], 3), ([3, 7], 3)])
def test_equal_logits_go_to_the_lower_token_as_on_the_host(context, monkeypatch, ids, token):
    context.choose_on_device()
    context.begin([1, 2])
    context.decode([3], n_outputs=1)
    answers = iter([np.array([ids]), np.array([[2.5, 2.5]])])
    monkeypatch.setattr(context._device, "_rows", lambda _address, _n: next(answers))
    assert context.choose(1) == Choice([token], [0.0])


def test_a_study_that_chooses_on_the_host_keeps_the_identity_it_always_had(settings):
    assert b"choose_on" not in canonical_json(settings)
    assert msgspec.convert(msgspec.to_builtins(settings), Settings) == settings


def test_where_tokens_are_chosen_is_part_of_a_runs_identity(settings, on_device):
    assert fingerprint(settings) != fingerprint(on_device)
    assert msgspec.convert(msgspec.to_builtins(on_device), Settings) == on_device
