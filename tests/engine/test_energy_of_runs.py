"""A session measures the energy of every run's decode loop, in both arms alike, and of nothing else."""

from functools import partial

import pytest

from runner.executor import Pair
from runner.llama.session import PairSession
from runner.messages import Execute
from runner.worker import Worker
from tests.machine.meters import ScriptedMeter

PAIR = Pair(target="target", draft="draft", gammas=(0, 4))
TEXT = "The quick brown fox jumps over the lazy dog, again and again, until the evening comes."


@pytest.fixture
def session(tiny, settings):
    session = PairSession(PAIR, tiny("llama"), tiny("llama", draft=True), settings)
    session._meter = ScriptedMeter()
    return session


@pytest.fixture
def planned(plan_one):
    return partial(plan_one, text=TEXT)


def test_baseline_and_speculative_runs_are_measured_alike(session, planned):
    for gamma in PAIR.gammas:
        assert session.run(planned(gamma)).energy == session._meter.energy


def test_warm_ups_proofs_and_the_oracles_truth_are_not_measured(session, planned):
    for run in (planned(0), planned(4), planned(4, draft="oracle-1.00")):
        assert session.run(run).energy is not None
    assert session._meter.begun == session._meter.ended == 3


def test_a_run_in_which_the_oracle_was_told_the_text_anew_has_no_energy(session, planned):
    run = planned(4, draft="oracle-1.00")
    session.run(run)
    for truth in session._truths.values():
        truth[5:] = [0] * len(truth[5:])
    assert session.run(run).energy is None
    assert session.run(planned(4)).energy is not None


def test_a_broken_meter_changes_no_token_and_fails_no_run(session, planned):
    whole = session.run(planned(4))
    session._meter = ScriptedMeter(begin_error=RuntimeError(), end_error=RuntimeError())
    measured = session.run(planned(4))
    assert measured.tokens == whole.tokens
    assert measured.energy is None


def test_the_worker_hands_the_energy_to_the_study(session, planned):
    worker = Worker()
    worker._session = session
    assert worker.answer(Execute(planned=planned(4))).measurement.energy == session._meter.energy
