"""What a trace of a real draft says is what real cycles of every gamma then accept."""

import pytest

from runner.advise.replay import replay, run_lengths
from runner.executor import Pair
from runner.llama.session import PairSession
from runner.messages import Load, Refused, Trace, Traced
from runner.worker import Worker

TEXT = "Once upon a time there was a river that ran uphill, but only on Sundays, and nobody knew."
GAMMAS = (1, 3, 8)
N_PREDICT = 40


@pytest.fixture(scope="module")
def worker(tiny, settings):
    worker = Worker(PairSession)
    pair = Pair(target="target", draft="draft", gammas=(0, *GAMMAS))
    draft = str(tiny("qwen35", draft=True))
    worker.answer(Load(pair=pair, target_path=str(tiny("qwen35")), draft_path=draft, settings=settings))
    return worker


def measured(worker, planned):
    return worker._session.run(planned)


def test_every_gamma_accepts_in_a_real_run_what_one_trace_says_it_would(worker, plan_one):
    planned = plan_one(0, text=TEXT, n_predict=N_PREDICT)
    text = measured(worker, planned).tokens
    traced = worker.answer(Trace(planned=planned, text=text))
    assert isinstance(traced, Traced)
    assert len(traced.guesses) == len(traced.pass_ns) == N_PREDICT
    lengths = run_lengths([guess == token for guess, token in zip(traced.guesses, text, strict=True)])
    for gamma in GAMMAS:
        run = measured(worker, plan_one(gamma, text=TEXT, n_predict=N_PREDICT))
        assert run.tokens == text
        played = replay(lengths, gamma)
        assert (played.drafted, played.accepted) == (tuple(run.cycles.drafted), tuple(run.cycles.accepted))


def test_one_varied_run_drafts_many_lengths_and_changes_no_token(worker, plan_one):
    run = measured(worker, plan_one(8, text=TEXT, n_predict=N_PREDICT, draft="varied"))
    assert len(set(run.cycles.drafted)) > 4
    assert run.tokens == measured(worker, plan_one(0, text=TEXT, n_predict=N_PREDICT)).tokens


def test_a_pair_without_a_draft_tells_the_prompts_tokens_only(tiny, settings, plan_one):
    worker = Worker()
    pair = Pair(target="target", draft="none", gammas=(0,))
    worker.answer(Load(pair=pair, target_path=str(tiny("llama")), draft_path=None, settings=settings))
    traced = worker.answer(Trace(planned=plan_one(0, text=TEXT, n_tokens=9), text=[1]))
    assert len(traced.prompt) == 9
    assert traced.guesses == traced.pass_ns == []


def test_a_trace_before_a_pair_is_loaded_is_refused(plan_one):
    reply = Worker().answer(Trace(planned=plan_one(0, text=TEXT), text=[1]))
    assert reply == Refused(kind="UsageError", message="a run was asked for before a pair was loaded")
