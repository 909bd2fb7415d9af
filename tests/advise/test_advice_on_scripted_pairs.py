"""Advice on pairs whose truth is known, told word by word, and never beyond its budget."""

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from runner.advise.advice import advise, decide
from runner.advise.budget import Budget
from runner.advise.investigate import investigate
from runner.advise.memory import within_memory
from runner.advise.predict import Interval
from runner.advise.question import planned_run
from runner.advise.render import as_text
from runner.advise.verify import MIN_PAIRS, fields
from runner.doctor.memory import Capacity
from runner.errors import EngineError, RollbackError, UsageError, WorkerError
from runner.executor import Pair
from runner.gguf_facts import read_card
from runner.memory_need import need_of
from runner.prompts import Prompt
from tests.advise.scripted_world import World, advised, question
from tests.engine.conftest import SETTINGS

GOLDEN = Path(__file__).parent / "golden"


def measured_speedup(world: World, gamma: int) -> float:
    """The world's own S at a gamma, by running it."""
    asked = question()
    session = world.open(Pair(target="big", draft="small", gammas=(0, gamma)), 1e9)
    baseline_ns, took_ns = (
        sum(
            session.run(
                planned_run(
                    asked,
                    "small",
                    prompt,
                    gamma=each,
                    drafter="small",
                    n_predict_tokens=asked.n_predict_tokens,
                    block=0,
                    time_limit_s=1e9,
                )
            ).decode_wall_ns
            for prompt in asked.prompts
        )
        for each in (0, gamma)
    )
    return baseline_ns / took_ns


CASES = {
    "pays": World(),
    "draft-too-slow": World(draft_ms=20.0),
    "verification-too-dear": World(per_token=1.2, agreement=0.9),
    "acceptance-too-low": World(agreement=0.15),
}


@pytest.mark.parametrize("case", CASES)
def test_the_advice_reads_as_agreed(case):
    found = as_text(advised(CASES[case]), 812_000_000, "llama-server --model big.gguf")
    assert found + "\n" == (GOLDEN / f"{case}.txt").read_text(encoding="utf-8")


def test_the_advised_gamma_is_within_three_percent_of_the_best_of_all():
    advice = advised(World())
    best = max(measured_speedup(World(), gamma) for gamma in range(1, 17))
    assert advice.use
    assert measured_speedup(World(), advice.best.predicted.gamma) > 0.97 * best


@pytest.mark.parametrize("gamma", [1, 3, 8, 16])
def test_the_predicted_speedup_of_any_gamma_is_the_measured_one(gamma):
    found = next(each for each in advised(World()).predictions if (each.drafter, each.gamma) == ("small", gamma))
    assert found.speedup.point == pytest.approx(measured_speedup(World(), gamma), rel=0.02)


def test_lookup_is_advised_for_a_draft_that_is_none():
    advice = advised(World(), drafts=())
    assert {each.drafter for each in advice.predictions} == {"ngram"}
    assert not advice.use
    assert "repeats nothing" in as_text(advice, 0, "")


def test_of_two_drafts_the_better_is_advised_and_each_is_loaded_and_closed_once():
    world = World()

    def open_pair(pair, limit_s):
        session = world.open(pair, limit_s)
        world.draft_ms = 9.0 if pair.draft == "slow" else 1.0
        return session

    advice = advise(
        question(drafts=("slow", "small")), open_pair, Budget(600, clock=world.seconds), lambda line: None
    )
    assert (advice.use, advice.best.predicted.drafter) == (True, "small")
    assert [pair.draft for pair in world.opened] == ["slow", "small"]
    assert [each.drafter for each in advice.predictions].count("ngram") == 16, "lookup is the same beside each"
    assert world.closed == 2


@pytest.mark.parametrize("seconds", [12, 25, 40, 200])
def test_it_stops_within_its_budget_and_says_what_it_left_out(seconds):
    world = World(draft_ms=3.0)
    advice = advised(world, seconds, drafts=("small", "other"))
    assert world.seconds() <= seconds
    assert advice.spent_s == pytest.approx(world.seconds())
    assert bool(advice.not_measured) == (seconds < 200)


def test_with_no_time_to_verify_nothing_is_advised():
    world = World()
    advice = advised(world, 8)
    assert not advice.use
    assert not any(each.verified for each in advice.compared)
    text = as_text(advice, 0, "")
    assert "no candidate could be verified" in text
    assert "not measured: no time to verify small at gamma" in text


def test_a_budget_too_short_for_anything_is_refused_with_what_to_do():
    world = World(load_s=30)
    with pytest.raises(UsageError, match=r"nothing could be measured within 10 s .*loading.*--budget"):
        advised(world, 10)
    assert world.seconds() == pytest.approx(10)


def test_a_worker_that_dies_before_the_budget_ends_is_no_matter_of_time():
    world = World()

    def dies(pair, limit_s):
        raise WorkerError("the measuring process died (signal 6)")

    with pytest.raises(WorkerError, match="signal 6"):
        advise(question(), dies, Budget(600, clock=world.seconds), lambda line: None)


def test_a_target_without_a_provable_rollback_is_refused():
    def refuses(pair, limit_s):
        raise RollbackError("big.gguf: rejected tokens cannot be taken back on this model")

    with pytest.raises(RollbackError):
        advise(question(), refuses, Budget(600, clock=World().seconds), lambda line: None)


def test_a_fast_draft_that_breaks_the_text_is_not_advised():
    advice = advised(World(breaks_text=True))
    assert not advice.use
    text = as_text(advice, 0, "")
    assert "small at gamma" in text
    assert "differ from the baseline's by more than rounding" in text


def test_the_baseline_runs_beside_the_candidates_in_changing_order():
    world = World()
    advised(world)
    verifying = [run.cell for run in world.runs if run.cell.block >= 100]
    comparisons: dict[tuple[str, int], list[int]] = {}
    for cell in verifying:
        comparisons.setdefault((cell.prompt, cell.block), []).append(cell.gamma)
    assert all(gammas.count(0) == 1 for gammas in comparisons.values())
    assert len({gammas.index(0) for gammas in comparisons.values()}) > 1


def test_later_blocks_run_fewer_candidates_all_from_the_blocks_before():
    world = World()
    found = advised(world).compared
    runs = [run.cell for run in world.runs if run.cell.block >= 100 and run.cell.gamma]
    first, last = ({cell.gamma for cell in runs if cell.block == block} for block in (100, 101))
    assert (len(first), len(last)) == fields(len({cell.prompt for cell in runs}))
    assert first > last
    assert {each.predicted.gamma for each in found if each.verified and each.verified.finalist} == last


@pytest.mark.parametrize("n_prompts", [1, 2, 3, 12])
def test_however_few_prompts_there_are_the_advised_gain_has_an_interval_of_its_own(n_prompts):
    """Few prompts run in more blocks: fewer pairs than `MIN_PAIRS` would give none."""
    prompts = tuple(Prompt(id=f"tale-{place}", text="once", wanted_tokens=None) for place in range(n_prompts))
    found = advised(World(), prompts=prompts)
    assert found.best.verified is not None
    assert found.best.verified.n_pairs == n_prompts * len(fields(n_prompts)) >= MIN_PAIRS
    assert found.best.expected == found.best.verified.interval


def test_where_nothing_can_pay_a_single_candidate_is_run_in_a_single_block():
    world = World(draft_ms=20.0)
    advised(world)
    verified = [run.cell for run in world.runs if run.cell.block >= 100]
    assert {(cell.gamma, cell.block) for cell in verified} == {(0, 100), (1, 100)}


def test_a_gamma_that_runs_slower_than_predicted_is_not_advised():
    """Its context alone is slow, which no cycle of other lengths tells."""
    expected = advised(World()).best.predicted.gamma
    found = advised(World(slow_gamma=expected))
    tried = {each.predicted.gamma: each for each in found.compared}
    assert tried[expected].agrees is False
    assert tried[expected].concluded.speedup.point < 0.9 * tried[expected].predicted.speedup.point
    assert found.best.predicted.gamma != expected


def test_one_that_was_given_up_on_the_way_is_not_advised_though_its_few_runs_were_the_fastest():
    best = advised(World()).best
    given_up = msgspec.structs.replace(best.verified, finalist=False)
    assert best.is_usable
    assert not msgspec.structs.replace(best, verified=given_up).is_usable


def test_a_verified_gain_goes_before_a_greater_one_that_was_only_predicted():
    world = World()
    asked = question(drafts=("small", "late"))
    budget = Budget(600, clock=world.seconds)
    found = [
        investigate(
            asked, draft, world.open, tries_lookup=True, budget=budget, share=budget, tell=lambda line: None
        )
        for draft in asked.drafts
    ]
    great = Interval(point=9.0, low=8.0, high=10.0)
    faster = [msgspec.structs.replace(each, speedup=great) for each in found[1].concluded]
    advice = decide(asked, [found[0], replace(found[1], verified=[], concluded=faster)], [], budget)
    assert (advice.use, advice.best.predicted.drafter) == (True, "small")


@pytest.mark.parametrize(
    "error",
    [
        RollbackError("rejected tokens cannot be taken back on this model"),
        EngineError("llama_decode returned -3"),
        WorkerError("the measuring process died (signal 6)"),
    ],
)
@pytest.mark.parametrize("drafts", [("small", "broken"), ("broken", "small")])
def test_a_draft_that_fails_is_named_and_what_the_other_came_to_is_kept(drafts, error):
    world = World()

    def open_pair(pair, limit_s):
        if pair.draft == "broken":
            raise error
        return world.open(pair, limit_s)

    advice = advise(question(drafts=drafts), open_pair, Budget(600, clock=world.seconds), lambda line: None)
    assert (advice.use, advice.best.predicted.drafter) == (True, "small")
    assert f"not measured: broken ({error})" in as_text(advice, 0, "")
    assert "ngram" in {each.drafter for each in advice.predictions}


def test_when_every_draft_fails_the_first_failure_is_the_answer():
    def fails(pair, limit_s):
        raise RollbackError(f"{pair.draft} cannot be rolled back")

    with pytest.raises(RollbackError, match="one cannot"):
        advise(question(drafts=("one", "two")), fails, Budget(600, clock=World().seconds), lambda line: None)


class TestMemory:
    PAIR = Pair(target="target", draft="draft", gammas=(0, 4))

    def opened(self, tiny, memory_bytes, available_bytes):
        calls, told = [], []
        paths = {"target": tiny("qwen35"), "draft": tiny("qwen35", draft=True)}
        capacity = Capacity(memory_bytes, available_bytes, None, False)
        open_pair = within_memory(
            lambda pair, limit_s: calls.append(pair), paths, SETTINGS, capacity, told.append
        )
        open_pair(self.PAIR, 10.0)
        assert calls == [self.PAIR]
        return told

    def test_what_fits_is_opened_without_a_word(self, tiny):
        assert self.opened(tiny, 10**12, 10**12) == []

    def test_what_is_not_free_now_is_told_and_tried(self, tiny):
        (line,) = self.opened(tiny, 10**12, 10**6)
        assert line.startswith("memory: target + draft with all that verifying may add takes")
        assert "only 1.0 MB are free: close other programs" in line

    def test_what_only_verifying_may_take_is_told_and_tried(self, tiny):
        pair_bytes = self.needed(tiny, self.PAIR)
        most_bytes = self.needed(tiny, msgspec.structs.replace(self.PAIR, gammas=(0, 4, 4, 4, 4, 4)))
        (line,) = self.opened(tiny, (pair_bytes + most_bytes) // 2, 10**12)
        assert "with all that verifying may add" in line

    def needed(self, tiny, pair):
        cards = {"target": read_card(tiny("qwen35")), "draft": read_card(tiny("qwen35", draft=True))}
        return need_of(pair, cards, SETTINGS).total_bytes

    def test_what_the_machine_does_not_have_is_refused_unopened(self, tiny):
        with pytest.raises(UsageError, match=r"target \+ draft takes .* leave this pair out"):
            self.opened(tiny, 10**6, 10**6)
