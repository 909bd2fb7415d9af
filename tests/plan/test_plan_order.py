"""The plan fixes order and identity of every run from suites and seed alone."""

from __future__ import annotations

from collections import Counter
from itertools import groupby

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.cells import REFERENCE_SUITE, Step
from runner.errors import SuiteError, UsageError
from runner.plan import (
    REFERENCE_EVERY,
    context_tokens,
    counts,
    identify,
    lay_out,
    pairs_of,
    refuse_what_does_not_fit,
    roles_of,
)
from runner.record import run_identity
from suites.loader import Axes, Suite, load_suite, load_suites
from suites.roles import DRAFTS, TARGETS
from tests.fake_executor import FACTS, plan_of, small_plan, small_suite
from tests.simulated import ENGINE, SETTINGS

PUBLISHED = lay_out(load_suites(("all",)), seed=1)


def comparisons_of(steps: list[Step]) -> list[tuple[tuple[str, str, str, str, int], list[int]]]:
    """Comparisons in order of execution, each with its gammas in order; reference runs left out."""
    measured = [step.cell for step in steps if step.cell.purpose != "reference"]
    return [(key, [cell.gamma for cell in cells]) for key, cells in groupby(measured, key=lambda c: c.comparison)]


def test_the_published_matrix_yields_306_cells_and_72_paired_baselines() -> None:
    assert sum(counts(PUBLISHED, "cell").values()) == 306
    assert counts(PUBLISHED, "paired-baseline") == {"moe-sd": 48, "dense-sd": 24}


def test_every_comparison_has_one_baseline_and_runs_back_to_back() -> None:
    comparisons = comparisons_of(PUBLISHED)
    assert len(comparisons) == len({key for key, _ in comparisons}), "a comparison was torn apart"
    assert all(gammas.count(0) == 1 for _, gammas in comparisons)


def test_no_reference_run_splits_a_comparison() -> None:
    with_references = [step.cell.comparison for step in PUBLISHED]
    stretches = Counter(key for key, _ in groupby(with_references))
    assert set(stretches.values()) == {1}


def test_baseline_and_gammas_come_in_more_than_one_order() -> None:
    orders = {tuple(gammas) for _, gammas in comparisons_of(PUBLISHED) if len(gammas) == 4}
    assert len(orders) > 10
    first = Counter(gammas[0] for _, gammas in comparisons_of(PUBLISHED) if len(gammas) == 4)
    assert set(first) == {0, 4, 8, 16}
    assert max(first.values()) < 0.5 * sum(first.values())


def test_a_pair_is_loaded_once() -> None:
    loads = [key for key, _ in groupby(PUBLISHED, key=lambda step: step.loads)]
    assert len(loads) == len(set(loads)) == 12


def test_within_a_pair_a_block_ends_before_the_next_begins() -> None:
    for _, of_pair in groupby(PUBLISHED, key=lambda step: step.loads):
        blocks = [step.cell.block for step in of_pair if step.cell.purpose != "reference"]
        assert blocks == sorted(blocks)


def test_blocks_visit_prompts_in_different_orders() -> None:
    of_pair = [step for step in PUBLISHED if step.loads == ("moe-q4", "draft-0.8b")]
    orders = {block: tuple(key[3] for key, _ in comparisons_of(of_pair) if key[4] == block) for block in range(3)}
    assert len(set(orders.values())) == 3
    assert {tuple(sorted(order)) for order in orders.values()} == {tuple(sorted(orders[0]))}


def test_each_pair_opens_and_closes_with_a_reference_run() -> None:
    for _, steps in groupby(PUBLISHED, key=lambda step: step.loads):
        of_pair = list(steps)
        assert of_pair[0].cell.purpose == of_pair[-1].cell.purpose == "reference"


def test_a_reference_run_comes_back_at_least_every_few_comparisons() -> None:
    since = 0
    for step in PUBLISHED:
        since = 0 if step.cell.purpose == "reference" else since + 1
        assert since < REFERENCE_EVERY + 4


def test_reference_runs_are_cheap_and_differ_in_nothing_but_their_number() -> None:
    cells = [step.cell for step in PUBLISHED if step.cell.suite == REFERENCE_SUITE]
    assert {cell.n_predict_tokens for cell in cells} == {32}
    of_pair = [cell for cell in cells if (cell.target, cell.pair_draft) == ("moe-q4", "draft-0.8b")]
    assert [cell.block for cell in of_pair] == list(range(len(of_pair)))
    assert len({msgspec.structs.replace(cell, block=0) for cell in of_pair}) == 1


def test_only_speculative_cells_name_a_draft_and_all_of_a_comparison_name_its_pair() -> None:
    for step in PUBLISHED:
        cell = step.cell
        assert (cell.draft == "none") == (cell.gamma == 0)
        if cell.gamma:
            assert cell.draft == cell.pair_draft
            assert cell.purpose == "cell"


def test_in_the_prompt_sweep_the_baseline_is_a_cell_of_its_own() -> None:
    purposes = {step.cell.gamma: step.cell.purpose for step in PUBLISHED if step.cell.suite == "prompt-sweep"}
    assert purposes == {0: "cell", 8: "cell"}


def test_the_same_seed_gives_the_same_plan_and_another_seed_another_order_of_the_same_runs() -> None:
    one, same, other = small_plan(seed=1), small_plan(seed=1), small_plan(seed=2)
    assert one == same
    assert one.sha256 == same.sha256 != other.sha256
    assert [run.run_id for run in one.runs] != [run.run_id for run in other.runs]
    assert {run.run_id for run in one.runs} == {run.run_id for run in other.runs}


def test_a_further_suite_does_not_stir_the_order_of_the_others() -> None:
    alone = [step.cell for step in lay_out([small_suite()], 1) if step.cell.suite == "small"]
    together = [step.cell for step in lay_out([small_suite("other"), small_suite()], 1)]
    assert [cell for cell in together if cell.suite == "small"] == alone


def test_every_run_has_an_identity_of_its_own_that_its_record_recomputes() -> None:
    plan = plan_of(load_suites(("all",)))
    assert len({run.run_id for run in plan.runs}) == len(plan.runs)
    for run in plan.runs:
        draft = FACTS[run.cell.draft].sha256 if run.cell.gamma else None
        assert run.run_id == run_identity(run.cell, SETTINGS, ENGINE, FACTS[run.cell.target].sha256, draft)
    assert [run.order for run in plan.runs] == list(range(len(plan.runs)))


def test_an_identity_holds_the_draft_model_whenever_it_runs() -> None:
    def ids_of(draft_sha256: str) -> dict[str, str]:
        models = FACTS | {"draft-0.8b": msgspec.structs.replace(FACTS["draft-0.8b"], sha256=draft_sha256)}
        plan = identify(lay_out([load_suite("oracle")], 1), SETTINGS, ENGINE, models)
        return {f"{run.order} {run.cell.draft}": run.run_id for run in plan.runs}

    one, other = ids_of("a" * 64), ids_of("b" * 64)
    changed = {key.split()[1] for key in one if one[key] != other[key]}
    charged = {name for name in load_suite("oracle").axes.drafters if name.endswith("-charged")}
    assert changed == {"draft-0.8b", *charged}


def test_pairs_know_every_gamma_that_will_be_asked_of_them() -> None:
    pairs = {str(pair): pair.gammas for pair, _ in plan_of(load_suites(("all",))).by_pair()}
    assert pairs["moe-q4 + draft-0.8b"] == (0, 4, 8, 16)
    assert pairs["dense-2b"] == (0,)


def test_time_limits_grow_with_what_a_run_has_to_do() -> None:
    limits = {run.cell.gamma: run.time_limit_s for run in small_plan().runs if run.cell.purpose != "reference"}
    assert 60 < limits[0] < limits[2] < limits[4]


def test_the_context_holds_the_longest_run_in_whole_steps() -> None:
    tokens = context_tokens(PUBLISHED)
    assert tokens == 1536
    refuse_what_does_not_fit(PUBLISHED, tokens)


def test_a_prompt_longer_than_the_context_is_refused_with_the_context_it_needs() -> None:
    with pytest.raises(UsageError, match=r"prompt natural-1024 .* give --n-ctx 128\d or more"):
        refuse_what_does_not_fit([step for step in PUBLISHED if step.cell.suite == "prompt-sweep"], 1200)


def test_a_suite_that_names_an_unknown_prompt_is_refused_by_file_and_key() -> None:
    axes = Axes(targets=["moe-q4"], prompts=["short", "poem"])
    suite = small_suite("odd", axes=axes, baseline="only")
    with pytest.raises(SuiteError, match=r"^odd\.toml: axes\.prompts\[1\]: there is no prompt 'poem'"):
        lay_out([suite], 1)


def test_the_roles_needed_come_in_order_of_first_use_without_none() -> None:
    assert roles_of(lay_out([small_suite()], 1)) == ["moe-q4", "draft-0.8b", "dense-4b"]


@st.composite
def any_suite(draw: st.DrawFn) -> Suite:
    def some_of(values: tuple[str, ...]) -> list[str]:
        return draw(st.lists(st.sampled_from(values), min_size=1, max_size=3, unique=True))

    baseline = draw(st.sampled_from(["only", "paired", "counted"]))
    speculative = baseline != "only"
    axes = Axes(
        targets=some_of(TARGETS),
        drafts=some_of(DRAFTS) if speculative else [],
        gammas=draw(st.lists(st.integers(1, 16), min_size=1, max_size=3, unique=True)) if speculative else [],
        prompts=some_of(("short", "code", "natural-32", "natural-64")),
    )
    return small_suite("any", baseline=baseline, blocks=draw(st.integers(1, 4)), axes=axes)


@given(any_suite(), st.integers(0, 1000))
def test_any_suite_yields_its_declared_cells_once_and_one_baseline_a_comparison(suite: Suite, seed: int) -> None:
    steps = lay_out([suite], seed)
    cells = [step.cell for step in steps]
    assert len(set(cells)) == len(cells)
    assert counts(steps, "cell") == {"any": suite.n_cells}
    comparisons = comparisons_of(steps)
    assert len(comparisons) == suite.n_comparisons
    assert all(sorted(gammas) == sorted({0, *suite.axes.gammas}) for _, gammas in comparisons)


def test_a_pair_says_which_rollbacks_its_cells_force() -> None:
    (pair,) = [pair for pair, _ in plan_of(load_suites(("rollback",))).by_pair() if pair.target == "moe-q4"]
    assert (pair.gammas, pair.drafted) == ((0,), (4, 8, 16))
    assert pair.forced == tuple((gamma, kind) for gamma in (4, 8, 16) for kind in ("checkpoint", "snapshots"))


def test_a_pair_of_several_suites_has_what_each_of_them_asks() -> None:
    steps = lay_out(load_suites(("moe-sd", "phantom")), 1)
    pairs = {str(pair): pair for pair in pairs_of(steps)}
    assert pairs["moe-q4 + draft-0.8b"].unchecked
    assert not pairs["moe-q4 + draft-2b"].unchecked
    assert list(pairs.values()) == [pair for pair, _ in plan_of(load_suites(("moe-sd", "phantom"))).by_pair()]
