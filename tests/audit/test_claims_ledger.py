"""Each published finding gets the verdict that figures force: those of the tables, of a study of known truth."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.claims import TESTS, Claim, universal
from analysis.claims_published import published_claims
from analysis.claims_study import study_claims
from analysis.load import load_study
from analysis.published import published_study
from analysis.stats import Estimate
from tests.audit.other_drafters import with_other_drafters
from tests.simulated import T1_MS, Config, but, honest_study, write_study

BASE = Config(n_predict_tokens=64)


def by_id(claims: tuple[Claim, ...]) -> dict[str, Claim]:
    return {claim.id: claim for claim in claims}


def judged(tmp_path: Path, config: Config) -> dict[str, Claim]:
    return by_id(study_claims(load_study(honest_study(tmp_path / "study", config))))


def point(claim: Claim) -> float:
    return claim.number.point if isinstance(claim.number, Estimate) else float(claim.number or 0)


def test_every_finding_of_the_source_is_judged_once_in_its_order(tmp_path: Path) -> None:
    named = [finding.id for finding in published_study().findings]
    assert [claim.id for claim in published_claims()] == named == list(TESTS)
    assert list(judged(tmp_path, BASE)) == named


def test_the_tables_refute_amortization_by_arithmetic_and_say_which_figures_did() -> None:
    claim = by_id(published_claims())["sd-helps-moe"]
    assert claim.verdict == "refuted"
    assert len(claim.where) == 12
    for figure in ("τ = 1 + αγ", "S = 1.30", "τ = 1.032", "6 of 6"):
        assert figure in claim.reason
    assert point(claim) == pytest.approx(20.04 / 136, rel=0.01)


@pytest.mark.parametrize(
    ("claim", "verdict", "number"),
    [
        ("footprint-scaling", "refuted", 1.26 / 2.03),
        ("smaller-draft-wins", "undecided", 1.30 / 1.16),
        ("larger-gamma-wins", "refuted", 1.032 / 1.104),
        ("dense-4b-isolates-footprint", "refuted", 1.751 / 4.5),
        ("verify-16-costs-1.5x", "undecided", 0.851),
        ("all-weights-read", "refuted", 55.3 * 20.6 / 800),
    ],
)
def test_the_tables_decide_by_this_number(claim: str, verdict: str, number: float) -> None:
    found = by_id(published_claims())[claim]
    assert found.verdict == verdict
    assert point(found) == pytest.approx(number, rel=0.005)
    assert found.where


def test_an_honest_study_refutes_what_its_truth_refutes(tmp_path: Path) -> None:
    """The larger draft is more accurate and γ 16 costs more than it brings, in all cells of this machine."""
    claims = judged(tmp_path, BASE)
    assert {name: claim.verdict for name, claim in claims.items()} == {
        "sd-helps-moe": "refuted", "footprint-scaling": "refuted", "smaller-draft-wins": "refuted",
        "larger-gamma-wins": "refuted", "dense-4b-isolates-footprint": "refuted",
        "verify-16-costs-1.5x": "refuted", "all-weights-read": "refuted",
    }  # fmt: skip
    for claim in claims.values():
        assert isinstance(claim.number, Estimate)
        assert claim.number.low <= claim.number.point <= claim.number.high
        assert claim.where


def test_a_machine_on_which_the_claims_hold_supports_them(tmp_path: Path) -> None:
    """Cheap small drafts, equal acceptance, v(17)/v(5) = 1.5, and a gain that grows with parameters."""
    totals = {"moe-q4": 3.0, "moe-q8": 3.0, "dense-4b": 1.0, "dense-9b": 1.5}
    config = but(
        BASE,
        acceptance=lambda *_: 0.97,
        t1_ms={**T1_MS, "draft-0.8b": 0.05, "draft-2b": 3.0, **{role: 20.0 * n for role, n in totals.items()}},
        verify_ratio=lambda target, n: 1 + (n - 1) / 20 if n > 1 else 1.0,
        rollback_ms=0.0,
    )
    claims = judged(tmp_path, config)
    assert claims["smaller-draft-wins"].verdict == "supported"
    assert claims["larger-gamma-wins"].verdict == "supported"
    assert claims["verify-16-costs-1.5x"].verdict == "supported"
    assert point(claims["verify-16-costs-1.5x"]) == pytest.approx(1.5, rel=0.05)
    assert claims["sd-helps-moe"].verdict == "refuted"


def test_a_pass_over_many_tokens_that_is_cheaper_than_one_would_support_amortization(tmp_path: Path) -> None:
    """The only machine on which amortization alone speeds up: one that does not exist."""
    config = but(BASE, verify_ratio=lambda target, n: 1.0 if n == 1 else 0.2,
                 t1_ms={**T1_MS, "draft-0.8b": 0.01, "draft-2b": 0.01}, rollback_ms=0.0)  # fmt: skip
    assert judged(tmp_path, config)["sd-helps-moe"].verdict == "supported"


def test_reading_every_expert_would_support_that_all_weights_are_read(tmp_path: Path) -> None:
    """Time per token in proportion to the bytes of the file, for dense and mixture alike."""
    sizes = {"moe-q4": 21.2, "moe-q8": 36.9, "dense-0.8b": 0.8, "dense-2b": 2.0, "dense-4b": 4.4, "dense-9b": 8.5}
    config = but(BASE, t1_ms={**T1_MS, **{role: 3 * size for role, size in sizes.items()}})
    assert judged(tmp_path, config)["all-weights-read"].verdict == "supported"


@pytest.mark.parametrize("suite", ["dense-sd", "moe-baseline"])
def test_a_study_without_the_cells_that_test_a_claim_leaves_it_undecided(tmp_path: Path, suite: str) -> None:
    claims = judged(tmp_path, but(BASE, suites=(suite,)))
    assert claims["sd-helps-moe"] == Claim(
        "sd-helps-moe", "undecided", None, "The study holds no pair of configurations that tests it.", ()
    )
    assert claims["dense-4b-isolates-footprint"].verdict == "undecided"


def test_other_drafters_and_rollbacks_of_a_study_do_not_bear_on_the_published_claims(tmp_path: Path) -> None:
    alone = judged(tmp_path / "alone", but(BASE, blocks=2))
    manifest, records = with_other_drafters(but(BASE, blocks=2))
    beside = by_id(study_claims(load_study(write_study(tmp_path / "beside", manifest, records))))
    assert {name: claim.number for name, claim in beside.items()} == {
        name: claim.number for name, claim in alone.items()
    }


def estimate(low: float, high: float) -> Estimate:
    return Estimate((low + high) / 2, low, high, 4, 6)


@pytest.mark.parametrize(
    ("cases", "verdict"),
    [
        ([], "undecided"),
        ([(1.1, 1.2), (1.3, 1.5)], "supported"),
        ([(1.1, 1.2), (0.9, 1.1)], "undecided"),
        ([(1.1, 1.2), (0.8, 0.9)], "refuted"),
        ([(0.9, 1.1), (0.8, 0.9)], "refuted"),
    ],
)
def test_a_universal_claim_needs_every_case_and_falls_with_one(
    cases: list[tuple[float, float]], verdict: str
) -> None:
    assert universal([estimate(*case) for case in cases])[0] == verdict
