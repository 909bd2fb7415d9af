"""A grid point measured on real llama.cpp, whole or as far as memory goes, and what is refused."""

import pytest

from runner.errors import EngineError, ModelError, RollbackError, UsageError
from runner.grid_record import GridPoint
from runner.llama import grid_session
from runner.llama.grid_session import GridSession
from runner.messages import Counted, CountExperts, Loaded, MeasurePoint, OpenGrid, PointDone, Refused
from runner.prompts import load_prompt
from runner.worker import Worker

TEXT = load_prompt("natural-64").text


def point(used: int = 2, gamma: int = 3, size: int = 4, **more: object) -> MeasurePoint:
    asked = {"prompt_text": TEXT, "prompt_tokens": 4, "rounds": 2, "sequence_cycles": 16, **more}
    return MeasurePoint(point=GridPoint(experts_used=used, gamma=gamma, n_sequences=size), **asked)


@pytest.fixture(scope="module")
def session(files, settings):
    return GridSession(files["target"], files["draft"], settings)


@pytest.mark.parametrize("size", [1, 4])
def test_a_point_has_every_time_as_often_as_was_asked_for(session, size):
    measured = session.measure(point(size=size))
    cycles = 2 * (16 // (2 * size))
    assert (measured.n_loop_sequences, measured.n_cycles, measured.n_rs_seq) == (size, cycles, 3)
    for times in (measured.target_1_ns, measured.target_gamma1_ns, measured.cycle_ns, measured.reject_ns):
        assert len(times) == cycles
        assert min(times) > 0
    assert len(measured.target_gamma_ns) == 2
    assert len(measured.draft_ns) >= 2 * cycles
    assert 0 <= measured.accepted_tokens <= cycles * size * 3


def test_the_loop_writes_what_plain_decoding_writes(session):
    measured = session.measure(point(sequence_cycles=64))
    assert measured.compared_tokens == 24 * 4
    assert measured.same_tokens == measured.compared_tokens


def test_rollback_was_proved_on_both_models(session):
    measured = session.measure(point())
    assert measured.target_proof.holds
    assert measured.draft_proof.holds


def test_the_parts_of_the_target_add_up_to_what_a_token_reads(session):
    measured = session.measure(point())
    card = session._card
    assert measured.expert_parameters == 4 * 3 * 128 * 32, "four layers of three matrices"
    read = measured.dense_parameters + card.n_experts_used * measured.expert_parameters
    assert read == card.weights.active_parameters


def test_where_memory_holds_fewer_states_only_so_many_sequences_loop(files, settings):
    card = grid_session.read_card(files["target"])
    for_two = 2 * (5 * card.recurrent_state_bytes + 2 * 256 * card.kv_bytes_per_token)
    session = GridSession(files["target"], files["draft"], settings, memory_limit_bytes=for_two)
    measured = session.measure(point(size=6))
    assert measured.n_loop_sequences == 2
    assert len(measured.target_gamma1_ns) == len(measured.target_gamma_ns) == len(measured.draft_ns) == 2
    assert len(measured.reject_ns) == measured.n_cycles


def test_points_with_other_numbers_of_experts_follow_each_other(session):
    same = [session.measure(point(used=used)).expert_parameters for used in (1, 16, 1)]
    assert len(set(same)) == 1


def test_an_override_that_did_not_take_effect_stops_the_point(files, settings, monkeypatch):
    real = grid_session.Model
    monkeypatch.setattr(
        grid_session, "Model", lambda path, *, n_gpu_layers, experts_used=None: real(path, n_gpu_layers=0)
    )
    session = GridSession(files["target"], files["draft"], settings)
    with pytest.raises(EngineError, match="asked for 2 experts per token, llama.cpp routes to 4"):  # noqa: RUF043
        session.measure(point(used=2))


def test_a_draft_that_cannot_be_trimmed_is_refused(files, settings):
    with pytest.raises(RollbackError, match=r"hybrid\.gguf"):
        GridSession(files["target"], files["hybrid"], settings).measure(point())


def test_more_experts_than_there_are_are_refused(session):
    with pytest.raises(ModelError, match="a layer has 16"):
        session.measure(point(used=32))


def test_a_text_too_short_for_so_many_prompts_is_refused(session):
    with pytest.raises(UsageError, match="4 different prompts of 4 tokens need 16 tokens"):
        session.measure(point(prompt_text="one two"))


def test_more_rows_than_a_pass_holds_are_refused(session):
    with pytest.raises(UsageError, match="rows do not fit one pass of 48"):
        session.measure(point(size=20))


def test_the_worker_measures_points_after_it_took_a_pair(files, settings):
    worker = Worker()
    assert isinstance(worker.answer(point()), Refused)
    opened = worker.answer(
        OpenGrid(target_path=str(files["target"]), draft_path=str(files["draft"]), settings=settings)
    )
    assert opened == Loaded()
    assert isinstance(worker.answer(point()), PointDone)


@pytest.mark.parametrize("with_draft", [True, False])
def test_the_worker_counts_experts(files, settings, with_draft):
    asked = CountExperts(
        target_path=str(files["target"]),
        draft_path=str(files["hybrid"]) if with_draft else None,
        prompt_text="a short prompt",
        n_text_tokens=40,
        settings=settings,
    )
    counted = Worker().answer(asked)
    assert isinstance(counted, Counted)
    assert counted.n_experts == 16
    sources = {"real", "shuffled", "drafted"} if with_draft else {"real", "shuffled"}
    assert {count.source for count in counted.counts} == sources


def test_a_dense_target_has_nothing_to_count(files, settings):
    asked = CountExperts(
        target_path=str(files["hybrid"]), draft_path=None, prompt_text="x", n_text_tokens=40, settings=settings
    )
    refused = Worker().answer(asked)
    assert isinstance(refused, Refused)
    assert refused.kind == "ModelError"
