"""Costs come back from cycles that they made, and predictions from costs that are known are exact."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.advise.breakeven import at_break_even, remedies
from runner.advise.costs import Costs, Sample, fit, work
from runner.advise.predict import MODEL_ERROR, Arm, Interval, Outlook, Prediction, predict, with_chances
from runner.advise.replay import Played, replay, run_lengths

LONGEST = 12
PASSES = [0.97, 1.7, 1.8, 1.9, 2.0, 2.1, 3.0, 2.5, 3.4, 2.7, 3.6, 3.2, 3.5]
"""v(n) of n = 1, 2, ...: neither linear nor monotonic, as on a CPU with tiled kernels.

With the rest of its cycle, v(1) makes 1.
"""
SNAPSHOT, NEW_SIZE = 0.02, 0.05
DRAFT = [0.12, 0.1, 0.03]
ROLLBACK = [0.01, 0.02, 0.0]
LOOP = 0.02
STEP = len(PASSES) + 3
"""Where a further pass of the draft stands in a column of costs."""
TRUTH = np.array([*PASSES, SNAPSHOT, NEW_SIZE, *DRAFT, *ROLLBACK, LOOP])


def varied(rng, gamma: int, n_cycles: int) -> Played:
    drafted = np.repeat(rng.integers(0, gamma + 1, n_cycles // 2), 2)
    return Played(tuple(drafted.tolist()), tuple(int(rng.integers(0, each + 1)) for each in drafted))


def sample(rng, gamma: int, *, noise: float = 0.0, spikes: float = 0.0) -> Sample:
    """Cycles that cost what TRUTH says; a share `spikes` of them is interrupted and takes ten times as long."""
    played = varied(rng, gamma, 60)
    rows = np.array([row_of(played, place, gamma) for place in range(len(played.drafted))]) * TRUTH
    disturbed = rng.normal(1, noise, len(rows)) * np.where(rng.random(len(rows)) < spikes, 10, 1)
    n_target = LONGEST + 3
    return Sample(
        played=played,
        n_rs_seq=gamma,
        draft_rollback="trim",
        target=rows[:, :n_target].sum(axis=1) * disturbed,
        draft=rows[:, n_target : n_target + 3].sum(axis=1) * disturbed,
        rollback=rows[:, n_target + 3 : -1].sum(axis=1) * disturbed,
        loop=LOOP,
    )


def row_of(played: Played, place: int, gamma: int):
    """The work of one cycle: that of the cycles up to it less that of those before it."""
    upto = Played(played.drafted[: place + 1], played.accepted[: place + 1])
    before = Played(played.drafted[:place], played.accepted[:place])
    whole = work(upto, LONGEST, n_rs_seq=gamma, draft_rollback="trim")
    return whole - work(before, LONGEST, n_rs_seq=gamma, draft_rollback="trim") if place else whole


def looks(seed: int, **disturbance) -> list[list[Sample]]:
    rng = np.random.default_rng(seed)
    return [[sample(rng, 4, **disturbance), sample(rng, LONGEST, **disturbance)] for _ in range(6)]


def test_undisturbed_cycles_give_back_the_costs_that_made_them():
    found = fit(looks(1), LONGEST, n_draws=3, seed=1)
    assert found.column == pytest.approx(TRUTH, rel=0.02, abs=2e-3)


def test_interrupted_cycles_do_not_count():
    found = fit(looks(2, noise=0.03, spikes=0.1), LONGEST, n_draws=3, seed=1)
    assert found.column[: len(PASSES)] == pytest.approx(PASSES, rel=0.06)
    assert found.column[STEP] == pytest.approx(0.1, rel=0.06)


def dearer(looks: list[list[Sample]], target: list[float], draft: list[float]) -> list[list[Sample]]:
    """Each look at another level."""
    return [
        [replace(each, target=each.target * by, draft=each.draft * draft_by) for each in look]
        for look, by, draft_by in zip(looks, target, draft, strict=True)
    ]


def test_a_look_taken_in_a_slow_spell_is_levelled_and_the_costs_are_those_of_the_average_look():
    target, draft = [1.6, 1.0, 0.7, 1.0, 1.0, 1.2], [1.0, 1.5, 1.0, 1.0, 0.8, 1.0]
    found = fit(dearer(looks(3, noise=0.01), target, draft), LONGEST, n_draws=60, seed=1)
    average = math.exp(np.log(target).mean())
    passes = found.column[: len(PASSES)]
    assert passes[0] == pytest.approx(PASSES[0], rel=0.02)
    assert passes[1:] / average == pytest.approx(PASSES[1:], rel=0.04)
    assert found.column[STEP] / math.exp(np.log(draft).mean()) == pytest.approx(0.1, rel=0.04)


def test_a_drafter_that_never_drafts_costs_what_the_baseline_does_whatever_single_passes_took_after_long_ones():
    dear = [
        [replace(each, target=np.where(np.array(each.played.drafted) == 0, 1.2, each.target)) for each in look]
        for look in looks(4, noise=0.01)
    ]
    idle = work(Played((0,) * 40, (0,) * 40), LONGEST, n_rs_seq=0, draft_rollback="none")
    found = fit(dearer(dear, [1.6, 1.0, 0.7, 1.0, 1.0, 1.2], [1.0] * 6), LONGEST, n_draws=40, seed=1)
    assert idle @ found.column == pytest.approx(40, rel=0.005)
    assert found.draws @ idle == pytest.approx([40] * 40, rel=0.02), "the unit is the same on dear days"


def test_how_much_looks_differ_widens_what_all_costs_share_and_not_what_sets_them_apart():
    quiet = fit(looks(3, noise=0.01), LONGEST, n_draws=80, seed=1)
    spells = dearer(looks(3, noise=0.01), [1.6, 1.0, 0.7, 1.0, 1.0, 1.2], [1.0] * 6)
    uneven = fit(spells, LONGEST, n_draws=80, seed=1)
    six, two = 5, 1

    def spread(costs: Costs, ratio: bool) -> float:
        logs = np.log(costs.draws[:, six] / (costs.draws[:, two] if ratio else 1))
        return float(np.std(logs))

    assert spread(uneven, ratio=False) > 5 * spread(quiet, ratio=False)
    assert spread(uneven, ratio=True) == pytest.approx(spread(quiet, ratio=True), rel=0.5)


def test_a_number_of_tokens_that_no_cycle_verified_lies_between_its_neighbours():
    played = Played((0, 0, 2, 2), (0, 0, 2, 2))
    quiet = Sample(played, 0, "none", np.zeros(4), np.array([1.0, 1.0, 2.0, 2.0]), np.zeros(4), 0.0)
    assert fit([[quiet]], 2, n_draws=1, seed=1).column[1] == pytest.approx(1.5)


def arm(rights: list[list[bool]], gammas) -> Arm:
    lengths = [run_lengths(right) for right in rights]
    return Arm(
        drafter="draft",
        played={gamma: [replay(each, gamma) for each in lengths] for gamma in gammas},
        draft_rollback="trim",
        own_time={gamma: [0.0] * len(lengths) for gamma in gammas},
    )


def exact(n_draws: int = 50) -> Costs:
    return Costs(LONGEST, TRUTH, np.tile(TRUTH, (n_draws, 1)))


def predicted(arm: Arm, gamma: int, *, n_draws=50, keeps_snapshots=False, run_noise=0.0) -> Prediction:
    found = predict(arm, gamma, exact(n_draws), keeps_snapshots=keeps_snapshots, run_noise=run_noise, seed=1)
    return found.prediction


texts = st.lists(st.lists(st.booleans(), min_size=4, max_size=60), min_size=1, max_size=4)


@given(texts, st.integers(1, LONGEST), st.booleans())
def test_the_parts_of_a_prediction_give_its_speedup(rights, gamma, keeps_snapshots):
    one_text = [rights[0]]
    found = predicted(arm(one_text, [gamma]), gamma, keeps_snapshots=keeps_snapshots)
    assert found.speedup.point == pytest.approx(found.tau / (found.v + found.d + found.o))
    assert 1 <= found.tau <= 1 + found.drafted + 1e-9
    assert found.drafted <= gamma
    assert found.speedup.low <= found.speedup.point <= found.speedup.high


def test_a_sure_draft_yields_gamma_plus_one_tokens_for_one_pass_and_gamma_steps():
    gamma, n_cycles = 4, 10
    found = predicted(arm([[True] * (n_cycles * (gamma + 1))], [gamma]), gamma)
    # After a full acceptance the draft has two tokens to take in, but not before the first cycle.
    drafting = DRAFT[0] + 3 * DRAFT[1] + DRAFT[2] * (n_cycles - 1) / n_cycles
    assert (found.tau, found.alpha) == (5.0, 1.0)
    assert found.d == pytest.approx(drafting)
    assert found.v == pytest.approx(PASSES[gamma])
    assert found.o == pytest.approx(ROLLBACK[0] + LOOP)


def test_noise_of_the_verifying_runs_widens_the_interval():
    def width(run_noise):
        rights = [[True, True, False] * 10, [True, False] * 15]
        found = predicted(arm(rights, [3]), 3, n_draws=400, run_noise=run_noise)
        return found.speedup.high / found.speedup.low

    assert width(0.0) < width(0.05) < width(0.2)


def outlook(gamma: int, log: float, *, drafted=4.0, spread=0.0, common=0.0) -> Outlook:
    """S known but for a spread of its own and one that all share."""
    rng, shared = np.random.default_rng(gamma), np.random.default_rng(0)
    logs = log + rng.normal(0, 1, 4000) * spread + shared.normal(0, 1, 4000) * common
    return Outlook(prediction(gamma=gamma, drafted=drafted), logs)


def chances_of(*outlooks: Outlook) -> list[float]:
    return [each.chance for each in with_chances(outlooks, seed=1)]


def test_equals_share_their_chance_and_one_well_behind_has_none():
    first, second, behind = chances_of(outlook(1, 0.3), outlook(2, 0.3), outlook(3, 0.3 - 10 * MODEL_ERROR))
    assert (first, second) == (pytest.approx(0.5, abs=0.05), pytest.approx(0.5, abs=0.05))
    assert behind == 0


def test_one_that_is_badly_known_keeps_a_chance():
    assert chances_of(outlook(1, 0.3), outlook(2, 0.2, spread=0.1))[1] == pytest.approx(0.16, abs=0.03)


def test_what_all_share_decides_nothing():
    alone = chances_of(outlook(1, 0.3), outlook(2, 0.28))
    assert chances_of(outlook(1, 0.3, common=0.5), outlook(2, 0.28, common=0.5)) == alone


def test_a_drafter_that_proposes_nothing_has_no_chance_however_fast_it_is():
    assert chances_of(outlook(1, 0.3, drafted=0.0), outlook(2, -0.5)) == [0.0, 1.0]
    assert chances_of(outlook(1, 0.3, drafted=0.0)) == [0.0]


def prediction(tau=2.4, v=2.0, d=0.9, o=0.1, gamma=4, drafted=4.0) -> Prediction:
    speedup = tau / (v + d + o)
    return Prediction(
        drafter="draft", gamma=gamma, drafted=drafted, tau=tau, alpha=(tau - 1) / gamma, v=v, d=d, o=o,
        speedup=Interval(point=speedup, low=speedup, high=speedup),
    )  # fmt: skip


parts = st.floats(0.05, 4.0)


@given(st.floats(1.0, 5.0), st.floats(1.0, 6.0), parts, st.floats(0.0, 0.5))
def test_at_a_break_even_value_the_speedup_is_one(tau, v, d, o):
    even = at_break_even(prediction(tau, v, d, o))
    if even.draft_step is not None:
        assert tau / (v + 4 * even.draft_step + o) == pytest.approx(1, abs=1e-6)
    if even.passes is not None:
        assert tau / (even.passes + d + o) == pytest.approx(1)
    if even.alpha is not None and even.alpha > 0:
        assert (1 + 4 * even.alpha) / (v + d + o) == pytest.approx(1)


@given(st.floats(1.0, 5.0), st.floats(1.0, 6.0), parts, st.floats(0.0, 0.5))
def test_what_is_out_of_reach_stays_below_one_at_its_best(tau, v, d, o):
    even = at_break_even(prediction(tau, v, d, o))
    if even.draft_step is None:
        assert tau / (v + o) <= 1 + 1e-9
    if even.passes is None:
        assert tau / (1 + d + o) <= 1 + 1e-9
    if even.alpha is None:
        assert 5 / (v + d + o) <= 1 + 1e-9


def test_the_cause_whose_end_helps_most_comes_first():
    assert remedies([prediction()])[0].cause == "acceptance too low"
    assert remedies([prediction(tau=4.6, d=3.0)])[0].cause == "draft too slow"
    assert remedies([prediction(tau=4.6, v=6.0, d=0.5)])[0].cause == "verification too dear"
    assert all(remedy.speedup >= prediction().speedup.point for remedy in remedies([prediction()]))
