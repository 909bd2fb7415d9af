"""A run that fails or outlasts the budget costs what it was about, and nothing that was measured before it."""

from dataclasses import replace

import msgspec
import pytest

from runner.advise.advice import decide, draft_step
from runner.advise.budget import Budget, Durations
from runner.advise.investigate import investigate
from runner.advise.measure import LOADING, Bench
from runner.advise.predict import Interval
from runner.advise.render import as_text
from runner.advise.verify import Trials
from runner.errors import EngineError, RollbackError, WorkerError
from runner.executor import Pair
from runner.record import Cell
from tests.advise.scripted_world import World, advised, question

VERIFYING = 100
"""Number of the first verifying block."""


def failing(error: Exception, when) -> World:
    """A world in which the runs that `when` is true of fail, and which tells what was asked after one did."""

    def trouble(cell: Cell) -> None:
        if when(cell):
            raise error

    return World(trouble=trouble)


def on_second_prompt(cell: Cell) -> bool:
    return cell.block == VERIFYING and cell.prompt == "code" and cell.gamma > 0


def in_second_block(cell: Cell) -> bool:
    return cell.block == VERIFYING + 1


@pytest.mark.parametrize("error", [EngineError("llama_decode returned -3"), WorkerError("it died (signal 6)")])
def test_a_verifying_run_that_fails_keeps_the_pairs_before_it_and_is_named(error):
    world = failing(error, in_second_block)
    advice = advised(world)
    assert advice.use
    assert advice.best.verified.n_pairs == 3
    assert f"not measured: more pairs of runs ({error})" in as_text(advice, 0, "")
    assert sum(run.cell.block == VERIFYING + 1 for run in world.runs) == 1, "nothing is asked after a failure"


def test_a_candidate_that_no_run_was_left_for_is_named():
    advice = advised(failing(EngineError("no context"), lambda cell: cell.block >= VERIFYING and cell.gamma > 0))
    assert not advice.use
    text = as_text(advice, 0, "")
    assert "no candidate could be verified" in text
    assert "(no context)" in text


def test_one_pair_of_runs_is_too_few_to_advise_by_however_great_the_prediction():
    advice = advised(failing(EngineError("stopped"), on_second_prompt))
    assert advice.best.verified.n_pairs == 1
    assert advice.best.predicted.speedup.low > 2
    assert not advice.use
    assert "too few pairs of runs to be sure of a gain" in as_text(advice, 0, "")


def test_one_pair_of_runs_is_no_obstacle_where_no_gain_was_expected():
    world = failing(EngineError("stopped"), on_second_prompt)
    world.draft_ms = 20.0
    advice = advised(world)
    assert advice.best.verified.n_pairs == 1
    assert as_text(advice, 0, "").startswith("Do not use speculation for big here: draft too slow")


@pytest.mark.parametrize("block", [1, 4])
def test_a_measuring_run_that_fails_leaves_a_prediction_from_what_was_measured_and_verifies_nothing(block):
    world = failing(EngineError("llama_decode returned -3"), lambda cell: cell.block == block and cell.gamma > 0)
    advice = advised(world)
    assert advice.predictions
    assert not advice.use
    left = "more of prompt code, and what was to follow (llama_decode returned -3)"
    assert advice.not_measured == [left]
    assert f"not measured: {left}" in as_text(advice, 0, "")
    assert max(run.cell.block for run in world.runs) == block


def test_with_nothing_measured_the_failure_is_the_answer():
    with pytest.raises(EngineError, match="returned -3"):
        advised(failing(EngineError("llama_decode returned -3"), lambda cell: cell.gamma > 0))


def test_a_context_whose_rollback_cannot_be_proved_is_refused_even_late():
    with pytest.raises(RollbackError):
        advised(failing(RollbackError("cannot be taken back"), in_second_block))


def test_a_run_that_outlasts_the_budget_ends_it_and_loses_nothing_else():
    world = World()

    def stalls(cell: Cell) -> None:
        if in_second_block(cell):
            world.limited(1e6, 300 - world.seconds())

    world.trouble = stalls
    advice = advised(world, 300)
    assert world.seconds() == advice.spent_s == 300
    assert advice.use
    assert "not measured: more pairs of runs (the budget ended)" in as_text(advice, 0, "")


def test_one_that_found_no_time_was_not_given_up_as_the_worse_one():
    world = World()
    bench = bench_of(world)
    trials = Trials(bench, bench.question.prompts)
    chosen = [("small", 6), ("small", 8)]
    trials.run_block(0, chosen, Budget(600, clock=world.seconds))
    trials.run_block(1, chosen, Budget(3.2, clock=world.seconds))
    n_pairs = {each.gamma: each.n_pairs for each in trials.verified()}
    assert n_pairs[6] > n_pairs[8] == 3
    assert all(each.finalist for each in trials.verified())


def test_an_unknown_candidate_is_taken_to_cost_a_baseline_and_a_context():
    world = World(load_s=30.0)
    bench = bench_of(world)
    trials = Trials(bench, bench.question.prompts)
    baseline_s, context_s = 96 * world.target_ms / 1000, 10.0
    trials.run_block(0, [("small", 6)], Budget(2 * baseline_s + context_s - 0.1, clock=world.seconds))
    assert trials.verified() == []
    trials.run_block(0, [("small", 6)], Budget(2 * baseline_s + context_s + 1.0, clock=world.seconds))
    assert trials.verified()


def bench_of(world: World) -> Bench:
    """A loaded pair of which a baseline is known."""
    asked, budget = question(), Budget(600, clock=world.seconds)
    durations, started = Durations(world.seconds), world.seconds()
    session = world.open(Pair(target="big", draft="small", gammas=(0, *asked.arms)), 600)
    durations.entered(LOADING, started)
    bench = Bench(session, asked, "small", budget, durations, tries_lookup=True)
    bench.run(asked.prompts[0], gamma=0, n_predict=asked.n_predict_tokens, block=0)
    return bench


def test_lookup_that_promises_nothing_does_not_hide_why_the_draft_is_not_used():
    """It is not worth a run, and a little faster than the draft that was run."""
    world = World(draft_ms=20.0)
    asked, budget = question(), Budget(600, clock=world.seconds)
    found = investigate(
        asked, "small", world.open, tries_lookup=True, budget=budget, share=budget, tell=lambda line: None
    )
    slight = Interval(point=1.004, low=0.97, high=1.02)

    def looked_up(predictions):
        return [
            msgspec.structs.replace(each, speedup=slight, drafted=0.5) if each.drafter == "ngram" else each
            for each in predictions
        ]

    findings = replace(found, predictions=looked_up(found.predictions), concluded=looked_up(found.concluded))
    advice = decide(asked, [findings], [], budget)
    assert advice.best.predicted.drafter == "ngram"
    assert advice.best.verified is None
    assert as_text(advice, 0, "").startswith("Do not use speculation for big here: draft too slow")


def test_where_drafts_hold_one_token_at_most_their_step_is_known_too():
    advice = advised(World(draft_ms=20.0), longest=1)
    assert advice.draft_step_ms == pytest.approx(20.0, rel=0.05)
    assert draft_step(advice.explained.predicted) == pytest.approx(1.0, rel=0.05)
