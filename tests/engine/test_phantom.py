"""The unchecked loop reproduces the published artefact, and nothing else can reach it by accident."""

import ast
from functools import partial
from itertools import groupby
from pathlib import Path

import pytest

from runner.errors import EngineError, UsageError
from runner.executor import Pair
from runner.llama import phantom
from runner.llama.phantom import PhantomSession
from runner.llama.session import WARM_UP_TOKENS

PAIR = Pair(target="target", draft="draft", gammas=(0, 4, 16))
TEXT = "The quick brown fox jumps over the lazy dog, again and again, until the evening comes."
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def session(tiny, settings):
    return PhantomSession(PAIR, tiny("qwen35moe"), tiny("qwen35", draft=True), settings)


@pytest.fixture
def planned(plan_one):
    return partial(plan_one, text=TEXT, n_predict=256)


@pytest.mark.parametrize("gamma", [4, 16])
def test_on_a_hybrid_nearly_everything_fails_and_nobody_notices(session, planned, gamma):
    run = session.run(planned(gamma, draft="unchecked"))
    counts = run.unchecked
    assert counts.failed_target_passes > 0.7 * counts.target_passes * gamma
    assert counts.failed_draft_passes > 200 * gamma
    assert counts.refused_rollbacks > 200
    assert run.cycles.emitted_tokens == len(run.tokens) == 256


def test_acceptance_falls_below_one_percent(session, planned):
    cycles = session.run(planned(16, draft="unchecked")).cycles
    assert sum(cycles.accepted) / sum(cycles.drafted) < 0.01


@pytest.mark.parametrize("gamma", [4, 16])
def test_the_text_is_each_token_repeated_gamma_plus_one_times(session, planned, gamma):
    tokens = session.run(planned(gamma, draft="unchecked")).tokens
    lengths = [len(list(group)) for _, group in groupby(tokens)]
    assert sorted(lengths)[len(lengths) // 2] == gamma + 1
    assert tokens != session.run(planned(0)).tokens


def test_about_one_draft_pass_and_a_fraction_of_a_target_pass_are_executed_per_token(session, planned):
    """ms/token = T_D + T_v/(γ+1): the signature that the audit solves for."""
    counts = session.run(planned(16, draft="unchecked")).unchecked
    assert counts.draft_passes == pytest.approx(256, rel=0.1)
    assert counts.target_passes == pytest.approx(256 / 17, abs=4)


def test_honest_cells_of_the_same_session_are_checked_as_always(session, planned):
    run = session.run(planned(16))
    assert run.unchecked is None
    assert run.target_proof.holds
    assert run.tokens == session.run(planned(0)).tokens


def test_on_pure_attention_there_is_no_phantom(tiny, settings, planned):
    session = PhantomSession(PAIR, tiny("llama"), tiny("llama", draft=True), settings)
    run = session.run(planned(4, draft="unchecked"))
    assert run.tokens == session.run(planned(0)).tokens
    assert run.unchecked.failed_target_passes == run.unchecked.refused_rollbacks == 0


def test_without_a_draft_model_there_is_nothing_to_show(tiny, settings, planned):
    session = PhantomSession(PAIR, tiny("llama"), None, settings)
    with pytest.raises(UsageError, match="unchecked needs a draft model"):
        session.run(planned(4, draft="unchecked"))


@pytest.fixture
def contexts(monkeypatch):
    """Every context that the unchecked loop makes from now on."""
    made = []

    class Recorded(phantom.Context):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            made.append(self)

    monkeypatch.setattr(phantom, "Context", Recorded)
    return made


def test_it_warms_its_contexts_up_like_the_honest_loop_and_counts_only_the_run(
    session, planned, contexts, monkeypatch
):
    asked = []

    def generate(target, drafter, prompt, *, n_predict, **options):
        asked.append((target, tuple(prompt), n_predict))
        return real_generate(target, drafter, prompt, n_predict=n_predict, **options)

    real_generate = phantom.generate
    monkeypatch.setattr(phantom, "generate", generate)
    run = session.run(planned(4, draft="unchecked", n_predict=40))
    [(warmed, text, n_tokens), (measured, prompt, n_predict)] = asked
    assert (warmed, n_tokens, n_predict) == (measured, WARM_UP_TOKENS, 40)
    assert text != prompt
    of_the_run = sum(drafted + 1 for drafted in run.cycles.drafted)
    assert run.unchecked.draft_passes + run.unchecked.failed_draft_passes == of_the_run
    assert len(contexts) == 2


def test_its_contexts_are_freed_also_when_it_fails(session, planned, contexts, monkeypatch):
    def fail(*arguments, **options):
        raise EngineError("failed")

    monkeypatch.setattr(phantom, "generate", fail)
    with pytest.raises(EngineError):
        session.run(planned(4, draft="unchecked"))
    assert [context.handle for context in contexts] == [None, None]


def test_nothing_imports_the_unchecked_loop():
    importers = [
        path.name
        for package in ("runner", "suites", "analysis")
        for path in (ROOT / package).rglob("*.py")
        if any("phantom" in name for name in imported_modules(path) if name.startswith("runner"))
    ]
    assert importers == []


def imported_modules(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
