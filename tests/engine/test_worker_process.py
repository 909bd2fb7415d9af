"""The measuring process: real runs through it, and every way it can fail to answer."""

import os
import sys
import textwrap
from functools import partial

import pytest

from runner.errors import EngineError, ModelError, UsageError, WorkerError
from runner.executor import Pair
from runner.llama.last_words import MOST_BYTES, LastWords
from runner.llama.session import PairSession
from runner.messages import Describe, Described, Execute, Load, Loaded, Refused
from runner.worker import Worker, refusal
from runner.worker_client import ProcessExecutor, WorkerProcess, describe_engine

TEXT = "Once upon a time there was a river that ran uphill, but only on Sundays, and nobody knew."
PAIR = Pair(target="target", draft="draft", gammas=(0, 4))


@pytest.fixture
def planned(plan_one):
    return partial(plan_one, text=TEXT, n_tokens=24)


@pytest.fixture(scope="module")
def paths(tiny):
    return {"target": tiny("qwen35moe"), "draft": tiny("qwen35", draft=True)}


@pytest.fixture(scope="module")
def session(paths, settings):
    session = ProcessExecutor(paths, settings).open(PAIR)
    yield session
    session.close()


def test_a_run_in_a_process_equals_the_same_run_in_this_one(session, paths, settings, planned):
    here = PairSession(PAIR, paths["target"], paths["draft"], settings)
    for gamma in (0, 4):
        assert session.run(planned(gamma)).tokens == here.run(planned(gamma)).tokens


def test_an_error_raised_on_purpose_crosses_with_its_class_and_the_session_goes_on(session, planned):
    with pytest.raises(UsageError, match="4000"):
        session.run(planned(4, n_tokens=4000))
    assert session.run(planned(0)).cycles.emitted_tokens == 24


def test_the_process_says_which_llama_cpp_it_uses():
    engine = describe_engine()
    assert engine.name == "llama.cpp"
    assert engine.version.startswith("llama-cpp-python 0.3.")
    assert "CPU" in engine.backends
    assert engine.system_info


def test_a_pair_that_cannot_be_loaded_leaves_no_process_behind(paths, settings, tmp_path):
    executor = ProcessExecutor({**paths, "draft": tmp_path / "gone.gguf"}, settings)
    with pytest.raises(ModelError, match=r"gone\.gguf: no such GGUF"):
        executor.open(PAIR)


def test_a_run_before_a_pair_is_refused(planned):
    reply = Worker().answer(Execute(planned=planned(0)))
    assert reply == Refused(kind="UsageError", message="a run was asked for before a pair was loaded")


def test_an_engine_error_keeps_its_code_and_log_lines():
    reply = refusal(EngineError("broken", code=-3, log_tail=("first", "second")))
    assert (reply.kind, reply.code, reply.log_tail) == ("EngineError", -3, ("first", "second"))


def scripted(body: str) -> tuple[str, ...]:
    """A worker that follows a script instead of measuring."""
    return (sys.executable, "-c", "import os, sys, time\nline = sys.stdin.readline()\n" + textwrap.dedent(body))


def test_a_death_by_signal_is_told_with_the_last_words_on_standard_error():
    worker = WorkerProcess(scripted("print('GGML_ASSERT(x) failed', file=sys.stderr, flush=True); os.abort()"))
    with pytest.raises(WorkerError, match=r"died \(signal 6\)") as caught:
        worker.ask(Describe(), Loaded, limit_s=30)
    assert caught.value.log_tail[0] == "GGML_ASSERT(x) failed"
    worker.close()


ABORTING = (sys.executable, "-m", "tests.engine.aborting_worker")


@pytest.fixture
def doomed(paths, settings):
    session = ProcessExecutor(paths, settings, command=ABORTING).open(PAIR)
    yield session
    session.close()


def test_an_assertion_inside_llama_cpp_is_told_with_the_log_lines_before_it(doomed, plan_one):
    with pytest.raises(WorkerError, match=r"died \(signal 6\); its last words: ggml\.c:7") as caught:
        doomed.run(plan_one(0, text="abort"))
    *before, logged, reason = caught.value.log_tail
    assert reason == "ggml.c:7: GGML_ASSERT(n_tokens > 0) failed"
    assert logged == "the last thing that llama.cpp logged"
    assert before, "what was logged while loading"


def test_a_process_that_the_system_killed_leaves_its_last_log_lines(doomed, plan_one):
    with pytest.raises(WorkerError, match=r"died \(signal 9\)") as caught:
        doomed.run(plan_one(0, text="kill"))
    assert caught.value.log_tail[-1] == "the last thing that llama.cpp logged"


def test_a_study_of_hours_leaves_a_small_file_of_last_words(doomed, plan_one):
    doomed.run(plan_one(0, text="chatter"))
    written = os.fstat(doomed._worker._stderr.fileno()).st_size
    assert 0 < written < 2 * MOST_BYTES
    with pytest.raises(WorkerError) as caught:
        doomed.run(plan_one(0, text="abort"))
    assert "line 39999 of many" in caught.value.log_tail
    assert caught.value.log_tail[-1].endswith("GGML_ASSERT(n_tokens > 0) failed")


def test_log_lines_go_to_a_file_and_never_to_a_pipe_or_a_terminal(tmp_path):
    reading, writing = os.pipe()
    LastWords(writing).add(["line"], ["line"])
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        assert pipe.read() == b""
    with (tmp_path / "log").open("w+b") as file:
        LastWords(file.fileno()).add(["line"], ["line"])
    assert (tmp_path / "log").read_bytes() == b"line\n"


def test_a_worker_that_stops_answering_is_given_up_after_its_time():
    worker = WorkerProcess(scripted("time.sleep(60)"))
    with pytest.raises(WorkerError, match="no answer within 0 s"):
        worker.ask(Describe(), Loaded, limit_s=0.3)
    worker.close()


def test_half_an_answer_and_then_silence_is_given_up_too():
    worker = WorkerProcess(scripted("sys.stdout.write('{\"type\":'); sys.stdout.flush(); time.sleep(60)"))
    with pytest.raises(WorkerError, match="no answer within"):
        worker.ask(Describe(), Loaded, limit_s=0.3)
    worker.close()


@pytest.mark.parametrize("answer", ["hello", '{"type":"Other"}', "[1,2", '{"type":"Done"}'])
def test_nonsense_is_named_as_such(answer):
    worker = WorkerProcess(scripted(f"print({answer!r}, flush=True); time.sleep(60)"))
    with pytest.raises(WorkerError, match="answered nonsense"):
        worker.ask(Describe(), Loaded, limit_s=30)
    worker.close()


def test_an_answer_to_another_question_is_refused():
    worker = WorkerProcess(scripted('print(\'{"type":"Loaded"}\', flush=True); time.sleep(60)'))
    with pytest.raises(WorkerError, match="answered Loaded, not Described"):
        worker.ask(Describe(), Described, limit_s=30)
    worker.close()


def test_asking_a_dead_worker_says_that_it_died(settings):
    worker = WorkerProcess((sys.executable, "-c", "import sys; sys.exit(3)"))
    worker._process.wait()
    with pytest.raises(WorkerError, match=r"died \(exit status 3\)"):
        worker.ask(Load(pair=PAIR, target_path="a", draft_path=None, settings=settings), Loaded, limit_s=30)
    worker.close()


def test_what_llama_cpp_or_a_library_prints_does_not_spoil_the_answers(settings, paths, planned):
    """The worker's own standard output is moved away before anything can write to it."""
    script = (
        "import os, runner.worker as w\n"
        "original = w.Worker.answer\n"
        "w.Worker.answer = lambda self, r: (os.write(1, b'noise\\n'), original(self, r))[1]\n"
        "w.serve(w.PairSession)\n"
    )
    noisy = (sys.executable, "-c", script)
    session = ProcessExecutor(paths, settings, command=noisy).open(PAIR)
    assert session.run(planned(4)).cycles.emitted_tokens == 24
    session.close()


def test_a_loaded_pair_says_where_its_layers_are_and_which_forced_rollback_failed(paths, settings, planned):
    pair = Pair(target="target", draft="draft", gammas=(0,), forced=((4, "checkpoint"), (4, "trim")))
    worker = Worker()
    load = Load(pair=pair, target_path=str(paths["target"]), draft_path=str(paths["draft"]), settings=settings)
    loaded = worker.answer(load)
    assert isinstance(loaded, Loaded)
    assert [each.file for each in loaded.placed] == [paths[role].name for role in ("target", "draft")]
    assert all(sum(each.layers.values()) > 1 for each in loaded.placed)
    (refusal_of_trim,) = loaded.unproved
    assert "trim: llama_memory_seq_rm refused" in refusal_of_trim
    done = worker.answer(Execute(planned=planned(4, rollback="checkpoint")))
    assert done.measurement.target_rollback == "checkpoint"
    assert worker.answer(Execute(planned=planned(4, rollback="trim"))).kind == "RollbackError"


def test_a_pair_whose_every_cell_forces_its_rollback_makes_no_other_context(paths, settings):
    pair = Pair(target="target", draft="draft", gammas=(0,), forced=((4, "checkpoint"),))
    session = PairSession(pair, paths["target"], paths["draft"], settings)
    assert set(session._arms) == {(0, None), (4, "checkpoint")}
