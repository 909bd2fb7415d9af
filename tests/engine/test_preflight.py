"""The preflight tells right rollbacks from wrong ones on real models, whatever llama.cpp says of them."""

import pytest

from runner.errors import EngineError, RollbackError
from runner.llama import preflight
from runner.llama.context import Context
from runner.llama.model import Model
from runner.llama.rollback import Trim, make_context, make_rollback
from runner.record import RollbackProof


class KeepEverything(Trim):
    """The published study's rollback: what is rejected stays where it is."""

    def undo(self, context, since_mark, n_keep):
        return ()


@pytest.fixture(scope="module")
def reference(tiny, kind, settings):
    model = Model(tiny(kind), n_gpu_layers=0)
    context = Context(model, settings)
    yield context
    context.close()


@pytest.mark.parametrize("gamma", [1, 2, 5, 16])
def test_the_right_strategy_is_proved_for_every_gamma(reference, settings, gamma):
    for side in (preflight.TARGET, preflight.DRAFT):
        proved = preflight.prove(side, reference, settings, gamma=gamma)
        assert proved.proof.holds
        proved.context.close()


@pytest.mark.parametrize("side", [preflight.TARGET, preflight.DRAFT])
def test_checkpoint_is_right_on_every_kind_of_memory(reference, settings, side):
    proved = preflight.prove(side, reference, settings, gamma=4, only="checkpoint")
    assert proved.rollback.name == "checkpoint"
    assert proved.proof.holds
    proved.context.close()


def test_ignoring_the_rollback_does_not_pass_as_rounding(reference, settings):
    context = make_context(reference.model, settings, "checkpoint", gamma=4)
    proof = preflight.TARGET.attempt(context, reference, KeepEverything("trim"), 4)
    assert not proof.holds
    assert proof.rolled_back > 1e-3
    context.close()


def test_snapshots_say_true_after_single_token_decodes_and_are_caught_all_the_same(tiny, settings):
    """ggml-org/llama.cpp#26695: the reason why `True` is no proof."""
    reference = Context(Model(tiny("qwen35"), n_gpu_layers=0), settings)
    context = make_context(reference.model, settings, "snapshots", gamma=8)
    proof = preflight.DRAFT.attempt(context, reference, make_rollback("snapshots"), 4)
    assert not proof.holds
    context.close()
    reference.close()


def test_trim_is_refused_by_recurrent_state(tiny, settings):
    reference = Context(Model(tiny("qwen35"), n_gpu_layers=0), settings)
    with pytest.raises(RollbackError, match=r"trim: .*refused to drop.*use another GGUF"):
        preflight.prove(preflight.TARGET, reference, settings, gamma=4, only="trim")
    reference.close()


@pytest.mark.parametrize(
    ("rolled_back", "noise", "wrong", "holds"),
    [
        (0.0, 0.0, 0.02, True),
        (1e-4, 1e-4, 0.02, True),
        (5e-3, 1e-4, 0.02, False),
        (0.02, 0.0, 0.02, False),
        (1e-5, 1e-3, 5e-3, False),
    ],
)
def test_a_proof_holds_when_its_error_is_like_rounding_and_unlike_a_wrong_state(rolled_back, noise, wrong, holds):
    assert RollbackProof(rolled_back=rolled_back, noise=noise, wrong_state=wrong).holds is holds


def test_a_context_that_cannot_be_made_is_a_strategy_that_failed_and_the_next_is_tried(
    tiny, settings, monkeypatch
):
    def without_room_for_snapshots(model, settings, strategy, *, gamma):
        if strategy == "snapshots":
            raise EngineError("llama.cpp cannot make a context of 512 tokens")
        return make_context(model, settings, strategy, gamma=gamma)

    monkeypatch.setattr(preflight, "make_context", without_room_for_snapshots)
    reference = Context(Model(tiny("qwen35"), n_gpu_layers=0), settings)
    proved = preflight.prove(preflight.TARGET, reference, settings, gamma=4)
    assert proved.rollback.name == "checkpoint"
    proved.context.close()
    with pytest.raises(RollbackError, match=r"snapshots: llama\.cpp cannot make a context"):
        preflight.prove(preflight.TARGET, reference, settings, gamma=4, only="snapshots")
    reference.close()


def test_what_rounding_does_after_the_same_tokens_is_measured_once_per_model(reference, settings, monkeypatch):
    asked = []
    honest = preflight._fresh_logits

    def counted(context, batches, probe):
        asked.append((tuple(map(tuple, batches)), tuple(probe)))
        return honest(context, batches, probe)

    monkeypatch.setattr(preflight, "_fresh_logits", counted)
    proofs = []
    for gamma in (6, 12, 6):
        proved = preflight.prove(preflight.TARGET, reference, settings, gamma=gamma)
        proofs.append(proved.proof)
        proved.context.close()
    one_by_one = [key for key in asked if len(key[0]) > 1]
    assert one_by_one
    assert len(one_by_one) == len(set(one_by_one))
    assert proofs[0].noise == proofs[2].noise
    assert proofs[0].wrong_state == proofs[2].wrong_state
