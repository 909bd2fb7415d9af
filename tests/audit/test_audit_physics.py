"""The bounds as laws: whatever an honest machine does lies inside them, whatever breaks them lies outside."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from analysis.audit import physics, signatures
from analysis.audit.conditions import largest_step, single_run_noise
from analysis.audit.evidence import Evidence, PlainRow, Row, Span
from analysis.audit.outputs import repeated_share

BOUNDS = (physics.tau_bound, physics.cycle_time, physics.draft_budget, physics.speedup_recomputes)
ms = st.floats(0.5, 200)


def honest_row(
    *, t1_ms: float, draft_ms: float, gamma: int, alpha: float, v: float, other: float = 0.0, draft: str = "d"
) -> Row:
    """A configuration as S = τ/(v+d+o) makes it."""
    tau = 1 + alpha * gamma
    per_token = (v * t1_ms + gamma * draft_ms + other) / tau
    return Row(
        where=("row",), target="t", draft=draft, gamma=gamma, drafted=Span.exact(gamma), t1_ms=Span.exact(t1_ms),
        ms_per_token=Span.exact(per_token), speedup=Span.exact(t1_ms / per_token), tau=Span.exact(tau),
        alpha=Span.exact(alpha), draft_pass_ms=Span.exact(draft_ms * 0.999),
    )  # fmt: skip


def speaks(rule: object, *rows: Row) -> bool:
    return bool(list(rule(Evidence(name="x", rows=rows, plain=()))))  # type: ignore[operator]


@given(t1_ms=ms, draft_ms=ms, gamma=st.integers(1, 64), alpha=st.floats(0, 1), v=st.floats(1.001, 20), other=ms)
def test_no_honest_machine_breaks_a_bound(
    t1_ms: float, draft_ms: float, gamma: int, alpha: float, v: float, other: float
) -> None:
    row = honest_row(t1_ms=t1_ms, draft_ms=draft_ms, gamma=gamma, alpha=alpha, v=v, other=other)
    assert not any(speaks(rule, row) for rule in BOUNDS)


@given(t1_ms=ms, draft_ms=ms, gamma=st.integers(1, 64), alpha=st.floats(0, 1), over=st.floats(1.01, 10))
def test_whoever_claims_more_than_the_tokens_of_a_cycle_is_caught(
    t1_ms: float, draft_ms: float, gamma: int, alpha: float, over: float
) -> None:
    """Such a claim breaks the cycle's time as well, and leaves the draft no time at all."""
    row = honest_row(t1_ms=t1_ms, draft_ms=draft_ms, gamma=gamma, alpha=alpha, v=1.0, other=0.0)
    fast = t1_ms / (row.tau.value * over)
    claimed = replace(row, ms_per_token=Span.exact(fast), speedup=Span.exact(t1_ms / fast))
    assert all(speaks(rule, claimed) for rule in (physics.tau_bound, physics.cycle_time, physics.draft_budget))


@given(t1_ms=ms, gamma=st.integers(2, 64), room=st.floats(0.02, 0.5))
def test_figures_are_read_as_kindly_as_their_room_allows(t1_ms: float, gamma: int, room: float) -> None:
    """A speedup that lies above the bound by less than its rounding is not an error."""
    row = honest_row(t1_ms=t1_ms, draft_ms=0.1, gamma=gamma, alpha=0.0, v=1.0, other=0.0)
    close = replace(row, speedup=Span.within(1 + room / 2, room))
    assert not speaks(physics.tau_bound, close)


@given(
    t1_ms=ms, small=ms, larger=st.floats(1.2, 5), gamma=st.integers(2, 64), growth=st.floats(0, 0.5),
)  # fmt: skip
def test_the_phantom_cost_structure_is_recognised_from_any_two_drafts(
    t1_ms: float, small: float, larger: float, gamma: int, growth: float
) -> None:
    verify_ms = t1_ms * (1 + growth * gamma)
    rows = []
    for draft, pass_ms in (("small", small), ("large", small * larger)):
        row = honest_row(t1_ms=t1_ms, draft_ms=pass_ms, gamma=gamma, alpha=0.0, v=1.0, other=0.0, draft=draft)
        per_token = pass_ms + verify_ms / (gamma + 1)
        times = {"ms_per_token": Span.exact(per_token), "speedup": Span.exact(t1_ms / per_token)}
        rows.append(replace(row, **times, draft_pass_ms=Span.exact(pass_ms)))
    found = list(signatures.phantom_signature(Evidence(name="x", rows=tuple(rows), plain=())))
    assert len(found) == 1
    assert math.isclose(found[0].evidence["verify_ms_first_draft"], verify_ms, rel_tol=0.05)


@given(t1_ms=ms, gamma=st.integers(1, 64), alpha=st.floats(0, 1), v=st.floats(1.001, 5))
def test_honest_rows_of_two_drafts_leave_no_phantom_signature(
    t1_ms: float, gamma: int, alpha: float, v: float
) -> None:
    rows = [
        honest_row(t1_ms=t1_ms, draft_ms=t1_ms * share, gamma=gamma, alpha=alpha, v=v, draft=str(share))
        for share in (0.2, 0.3)
    ]
    assert not speaks(signatures.phantom_signature, *rows)


@given(
    accepted=st.lists(st.floats(0, 1), min_size=2, max_size=2),
    gammas=st.sampled_from([(4, 8), (8, 16), (1, 64)]),
)
def test_accepted_tokens_per_cycle_may_grow_or_stay_but_not_fall(
    accepted: list[float], gammas: tuple[int, int]
) -> None:
    rows = [
        honest_row(t1_ms=10, draft_ms=1, gamma=gamma, alpha=per_cycle / gamma, v=1, other=0)
        for gamma, per_cycle in zip(gammas, accepted, strict=True)
    ]
    assume(abs(accepted[0] - accepted[1]) > 1e-9 or accepted[0] == accepted[1])
    assert speaks(signatures.acceptance_falls, *rows) == (accepted[1] < accepted[0])


def test_a_saturated_draft_whose_acceptance_falls_as_one_over_gamma_is_honest() -> None:
    rows = [honest_row(t1_ms=10, draft_ms=1, gamma=gamma, alpha=0.5 / gamma, v=1) for gamma in (4, 8, 16)]
    assert not speaks(signatures.acceptance_falls, *rows)


@given(size=st.floats(1e8, 1e11), time=ms, peak=st.floats(1e10, 2e12))
def test_bytes_per_second_above_the_peak_and_only_those_are_caught(size: float, time: float, peak: float) -> None:
    rate = size / time * 1000
    assume(abs(rate / peak - 1) > 1e-6)
    plain = PlainRow(where=("b",), target="t", ms_per_token=Span.exact(time), active_bytes=size)
    found = list(physics.bandwidth(Evidence(name="x", rows=(), plain=(plain,), bandwidth_bytes_per_s=peak)))
    assert bool(found) == (rate > peak)


def test_without_a_known_bandwidth_no_bound_is_put_on_it() -> None:
    plain = PlainRow(where=("b",), target="t", ms_per_token=Span.exact(0.001), active_bytes=1e12)
    assert not list(physics.bandwidth(Evidence(name="x", rows=(), plain=(plain,))))


@given(n=st.integers(12, 60), step=st.floats(0.2, 2.0), where=st.floats(0.3, 0.7))
def test_a_step_in_time_is_found_where_it_is(n: int, step: float, where: float) -> None:
    values = np.where(np.arange(n) < round(n * where), 0.0, step)
    assert math.isclose(largest_step(values), step, rel_tol=1e-6)
    assert math.isclose(largest_step(-values), -step, rel_tol=1e-6)


@given(st.lists(st.floats(-0.1, 0.1), min_size=2, max_size=40))
def test_noise_is_measured_between_neighbours(values: list[float]) -> None:
    series = np.array(values)
    assert math.isclose(single_run_noise([series]) ** 2 * 2, float(np.mean(np.diff(series) ** 2)), abs_tol=1e-12)


@given(st.integers(1, 30), st.integers(1, 20))
def test_the_share_of_repeated_tokens_is_counted(width: int, groups: int) -> None:
    tokens = np.repeat(np.arange(groups, dtype=np.int32), width)
    expected = 0.0 if len(tokens) < 2 else groups * (width - 1) / (len(tokens) - 1)
    assert math.isclose(repeated_share(tokens), expected)


def test_spans_keep_the_kindest_and_the_unkindest_reading() -> None:
    tenth = Span.within(10.0, 0.5)
    assert (tenth.low, tenth.high) == (9.5, 10.5)
    assert tenth.under(100.0) == Span(100 / 10.5, 10.0, 100 / 9.5)
    assert Span.within(0.001, 0.01).under(1.0).high == math.inf
    assert tenth.times(Span.exact(2)) == Span(19.0, 20.0, 21.0)
    assert tenth.overlaps(Span.exact(10.5))
    assert not tenth.overlaps(Span.exact(10.6))
