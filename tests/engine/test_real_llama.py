"""The engine on real llama.cpp, with one small GGUF of each kind of memory."""

from functools import partial
from pathlib import Path

import llama_cpp
import numpy as np
import pytest

from runner.decode import count_accepted
from runner.errors import EngineError, ModelError, RollbackError, UsageError
from runner.executor import Pair
from runner.llama.context import Context
from runner.llama.greedy import greedy_choice
from runner.llama.model import Model
from runner.llama.session import PairSession
from runner.synthetic import tiny_foreign_model

GAMMAS = (0, 1, 4, 8)
PAIR = Pair(target="target", draft="draft", gammas=GAMMAS)
PROMPT = "The quick brown fox jumps over the lazy dog, again and again, until the evening comes."


@pytest.fixture(scope="module")
def session(pair, settings):
    target, draft = pair
    return PairSession(PAIR, target, draft, settings)


@pytest.fixture
def planned(plan_one):
    return partial(plan_one, text=PROMPT)


@pytest.fixture
def runs(session, planned):
    return {gamma: session.run(planned(gamma, n_predict=96)) for gamma in GAMMAS}


def test_speculation_emits_the_baselines_text(runs):
    for gamma in GAMMAS[1:]:
        assert runs[gamma].tokens == runs[0].tokens


def test_some_guesses_are_right_and_some_are_wrong_so_that_rollback_is_really_exercised(runs):
    for gamma in (4, 8):
        cycles = runs[gamma].cycles
        assert 0 < sum(cycles.accepted) < sum(cycles.drafted)
        assert len(set(cycles.accepted)) > 2


def test_every_emitted_token_is_accounted_for(runs):
    for run in runs.values():
        cycles = run.cycles
        parts = [cycles.draft_ns, cycles.verify_ns, cycles.rollback_ns, cycles.sample_ns]
        assert cycles.emitted_tokens == len(run.tokens) == 96
        assert sum(map(sum, parts)) <= run.decode_wall_ns
        assert 0 < run.llama_ns <= run.decode_wall_ns


def test_both_arms_copy_one_row_for_each_token_they_verify_and_drafts_one_for_each_they_propose(runs):
    for gamma, run in runs.items():
        drafted = sum(run.cycles.drafted)
        assert run.target_output_rows == drafted + len(run.cycles.drafted)
        assert run.draft_output_rows == (drafted if gamma else None)


def test_the_strategy_is_chosen_by_the_kind_of_memory_and_proved(runs, kind):
    expected = ("trim", "trim") if kind == "llama" else ("snapshots", "checkpoint")
    for gamma in GAMMAS[1:]:
        run = runs[gamma]
        assert (run.target_rollback, run.draft_rollback) == expected
        assert run.target_proof.holds
        assert run.draft_proof.holds
        assert run.n_rs_seq == (0 if kind == "llama" else gamma)


def test_every_run_records_what_became_of_flash_attention(runs):
    assert {run.flash_attention for run in runs.values()} <= {"on", "off"}


def test_the_baseline_pays_nothing_for_snapshots(runs):
    assert runs[0].n_rs_seq == 0
    assert runs[0].target_rollback == "none"
    assert len(runs[0].margins) == 96
    assert min(runs[0].margins) >= 0


def test_the_text_is_not_one_token_repeated(runs):
    assert len(set(runs[0].tokens)) > 20


def test_acceptance_is_what_a_draft_with_a_fresh_state_would_reach(runs, pair, settings):
    """Teacher forcing: before each cycle the draft is given the confirmed text anew and drafts from there."""
    for gamma in (4, 8):
        assert fresh_state_acceptance(pair[1], settings, runs[gamma]) == runs[gamma].cycles.accepted


def fresh_state_acceptance(draft_path, settings, run):
    model = Model(draft_path, n_gpu_layers=0)
    context = Context(model, settings)
    text = [*model.tokenize(PROMPT), *run.tokens]
    confirmed = len(text) - len(run.tokens)
    accepted = []
    for drafted, taken in zip(run.cycles.drafted, run.cycles.accepted, strict=True):
        context.begin(text[: confirmed - 1])
        guesses = draft_freely(context, text[confirmed - 1], drafted)
        accepted.append(count_accepted(guesses, text[confirmed : confirmed + drafted]))
        confirmed += taken + 1
    context.close()
    model.close()
    return accepted


def draft_freely(context, token, count):
    guesses = []
    for _ in range(count):
        context.decode([token], n_outputs=1)
        token = greedy_choice(context.logits(1)).tokens[0]
        guesses.append(token)
    return guesses


@pytest.mark.parametrize("draft", ["ngram", "oracle-0.50", "oracle-0.50-charged", "oracle-1.00", "sweep"])
def test_other_drafters_are_as_lossless_as_a_model(session, planned, runs, draft):
    run = session.run(planned(8, n_predict=96, draft=draft))
    assert run.tokens == runs[0].tokens
    assert run.cycles.emitted_tokens == 96
    assert (run.draft_rollback != "none") == draft.endswith("charged")


def test_a_charged_oracle_proposes_what_a_free_one_does_but_pays_for_it(session, planned):
    sure, charged = (session.run(planned(8, n_predict=96, draft=f"oracle-1.00{end}")) for end in ("", "-charged"))
    assert sure.cycles.accepted == sure.cycles.drafted == charged.cycles.accepted
    assert sum(charged.cycles.draft_ns) > 5 * sum(sure.cycles.draft_ns)


def test_a_sweep_verifies_every_batch_size(session, planned):
    run = session.run(planned(8, n_predict=96, draft="sweep"))
    assert set(run.cycles.drafted) == set(range(9))


@pytest.mark.parametrize("draft", ["draft", "oracle-0.50"])
def test_a_suite_can_ask_for_the_rollback_it_wants_measured(session, planned, runs, draft):
    run = session.run(planned(4, n_predict=96, draft=draft, rollback="checkpoint"))
    assert run.target_rollback == "checkpoint"
    assert run.tokens == runs[0].tokens


def test_a_rollback_that_cannot_be_proved_is_refused(tiny, settings, planned):
    session = PairSession(PAIR, tiny("qwen35"), tiny("qwen35", draft=True), settings)
    with pytest.raises(RollbackError, match="refused to drop"):
        session.run(planned(4, rollback="trim"))


def test_a_prompt_is_cut_to_the_exact_number_of_tokens(session, plan_one):
    run = session.run(plan_one(0, n_predict=2, text=PROMPT * 3, n_tokens=33))
    assert run.n_prompt_tokens == 33
    assert run.prefill_tokens == 32


def test_a_text_too_short_for_the_asked_length_is_refused(session, planned):
    with pytest.raises(UsageError, match="400"):
        session.run(planned(0, n_predict=2, n_tokens=400))


def test_a_prompt_beyond_the_context_is_refused(session, plan_one):
    with pytest.raises(UsageError, match="do not fit a context of 512"):
        session.run(plan_one(0, n_predict=200, text=PROMPT * 50, n_tokens=400))


def test_gamma_without_a_draft_is_refused(tiny, settings, planned):
    session = PairSession(PAIR, tiny("llama"), None, settings)
    with pytest.raises(UsageError, match="needs a draft model and the pair has none"):
        session.run(planned(4))


def test_an_unknown_drafter_is_refused(session, planned):
    with pytest.raises(UsageError, match="there is no drafter 'crystal-ball'"):
        session.run(planned(4, draft="crystal-ball"))


def test_a_missing_gguf_is_named(settings, tmp_path):
    with pytest.raises(ModelError, match=r"nothing\.gguf: no such GGUF"):
        PairSession(PAIR, tmp_path / "nothing.gguf", None, settings)


def test_a_truncated_gguf_is_named(tiny, settings, tmp_path):
    damaged = tmp_path / "short.gguf"
    damaged.write_bytes(tiny("llama").read_bytes()[:-1000])
    with pytest.raises(ModelError, match=r"short\.gguf: llama\.cpp cannot load it"):
        PairSession(PAIR, damaged, None, settings)


def test_a_draft_of_another_vocabulary_size_is_refused(tiny, settings, tmp_path, monkeypatch):
    draft = tiny_foreign_model("llama", tmp_path / "foreign.gguf")
    original = Model.__init__

    def shrunk(self, path: Path, *, n_gpu_layers: int) -> None:
        original(self, path, n_gpu_layers=n_gpu_layers)
        if path == draft:
            self.n_vocab -= 1

    monkeypatch.setattr(Model, "__init__", shrunk)
    with pytest.raises(ModelError, match="must share the target's vocabulary"):
        PairSession(PAIR, tiny("llama"), draft, settings)


@pytest.fixture
def hybrid_context(tiny, settings):
    context = Context(Model(tiny("qwen35"), n_gpu_layers=0), settings)
    yield context
    context.close()


def test_a_rollback_that_llama_cpp_refuses_is_an_error_and_not_a_phantom(hybrid_context):
    hybrid_context.begin([1, 2, 3, 4, 5])
    with pytest.raises(EngineError, match="refused to drop positions 3 to 4"):
        hybrid_context.forget_from(3)


def test_a_decode_that_fails_carries_llama_cpps_code_and_its_last_log_lines(hybrid_context):
    hybrid_context.begin([1, 2, 3, 4, 5])
    hybrid_context.position = 3
    with pytest.raises(EngineError, match=r"returned -1: llama\.cpp calls the batch invalid") as caught:
        hybrid_context.decode([9, 9], n_outputs=2)
    assert caught.value.code == -1
    assert any("position" in line for line in caught.value.log_tail)


def test_a_position_that_is_not_ours_is_an_error(hybrid_context):
    hybrid_context.begin([1, 2, 3])
    hybrid_context.position = 9
    hybrid_context.decode([4], n_outputs=1)
    hybrid_context.position = 5
    with pytest.raises(EngineError, match="memory ends at position"):
        hybrid_context._expect_end()


def test_a_full_context_is_an_error_with_a_remedy(tiny, settings):
    context = Context(Model(tiny("llama"), n_gpu_layers=0), settings)
    with pytest.raises(EngineError, match="raise n_ctx or shorten the prompt") as caught:
        context.decode([1] * (settings.n_ctx_tokens + 1), n_outputs=0)
    assert caught.value.code == 1
    context.close()


def test_logits_are_a_row_for_each_output(hybrid_context):
    hybrid_context.begin([1, 2, 3])
    hybrid_context.decode([4, 5, 6], n_outputs=2)
    logits = hybrid_context.logits(2)
    assert logits.shape == (2, hybrid_context.model.n_vocab)
    assert np.isfinite(logits).all()
    assert not np.array_equal(logits[0], logits[1])


def test_rollback_error_is_a_model_error_so_that_the_command_line_refuses():
    assert issubclass(RollbackError, ModelError)
    assert RollbackError.exit_status == 2


def test_a_snapshot_that_llama_cpp_refuses_is_an_error_that_says_so(pair, settings, monkeypatch):
    model = Model(pair[0], n_gpu_layers=0)
    context = Context(model, settings, n_sequences=2)
    context.begin([1, 2, 3])
    context.save_snapshot()
    monkeypatch.setattr(llama_cpp, "llama_memory_seq_rm", lambda *arguments: False)
    for refused in (context.save_snapshot, context.restore_snapshot):
        with pytest.raises(EngineError, match=r"refused to empty sequence \d for a copy .* at position 3"):
            refused()
    monkeypatch.undo()
    context.restore_snapshot()
    assert context.position == 3
    context.close()
