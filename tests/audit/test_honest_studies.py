"""Honest studies that look odd must audit clean: a rule that cries at them would be switched off."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.audit.finding import Finding
from analysis.audit.from_study import study_evidence
from analysis.audit.rules import judge
from analysis.load import load_study
from runner.record import Cycles, RunRecord
from tests.audit.faults import TWO_DRAFTS, failed, never_drafting
from tests.audit.other_drafters import with_other_drafters
from tests.simulated import (
    T1_MS,
    Config,
    but,
    honest_study,
    manifest_of,
    simulate,
    with_measurement,
    write_study,
)

BASE = Config(suites=("dense-baseline", "dense-sd", "moe-sd"), n_predict_tokens=48, blocks=2)

UNUSUAL = {
    "nearly everything accepted": but(BASE, acceptance=lambda *_: 0.995),
    "everything accepted": but(BASE, acceptance=lambda *_: 1.0),
    "nothing accepted": but(BASE, acceptance=lambda *_: 0.0),
    "gamma 1 only": but(BASE, gammas=(1,)),
    "very long drafts": but(BASE, gammas=(4, 64)),
    "strongly slower with speculation": but(BASE, verify_ratio=lambda _, n: float(n)),
    "verification as cheap as one token": but(BASE, verify_ratio=lambda _, n: 1.0),
    "very noisy machine": but(BASE, noise=0.3),
    "one block": but(BASE, blocks=1),
    "very noisy and one block": but(BASE, noise=0.3, blocks=1),
    "many blocks": but(BASE, suites=("dense-sd",), blocks=12),
    "acceptance differs greatly between prompts": but(
        BASE, acceptance=lambda target, draft, prompt, position: {"code": 0.95, "chinese": 0.1}.get(prompt, 0.6)
    ),
    "acceptance collapses late in a draft": but(
        BASE, acceptance=lambda target, draft, prompt, position: 0.8 if position <= 4 else 0.05
    ),
    "short answers": but(BASE, n_predict_tokens=5),
    "one token": but(BASE, n_predict_tokens=1),
    "slow rollback": but(BASE, rollback_ms=40.0),
    "slow Python": but(BASE, python_ms=25.0),
    "the published matrix with references": Config(n_predict_tokens=64, reference_every=7),
}


def audit(path: Path) -> tuple[Finding, ...]:
    return judge(study_evidence(load_study(path)))


def complaints(path: Path) -> list[str]:
    return [f"{finding.rule}: {finding.message}" for finding in audit(path) if finding.counts]


@pytest.mark.parametrize("name", UNUSUAL)
def test_an_unusual_but_honest_study_audits_clean(name: str, tmp_path: Path) -> None:
    assert complaints(honest_study(tmp_path / "study", UNUSUAL[name])) == []


def test_near_ties_are_noted_and_nothing_more(tmp_path: Path) -> None:
    """The baseline's two best tokens lie 0.01 logits apart where the speculative run takes the other one."""
    config = but(BASE, suites=("dense-sd",))
    records = []
    for record in simulate(config):
        measurement = record.measurement
        if record.cell.gamma == 0:
            margins = [*measurement.margins[:9], 0.01, *measurement.margins[10:]]
            records.append(with_measurement(record, margins=margins))
        else:
            tokens = [*measurement.tokens[:9], *(token + 1 for token in measurement.tokens[9:])]
            records.append(with_measurement(record, tokens=tokens))
    study = write_study(tmp_path / "study", manifest_of(config), records)
    assert complaints(study) == []
    assert [finding.rule for finding in audit(study)] == ["near-ties"]


def test_a_study_that_was_interrupted_and_resumed_after_a_failure_is_clean(tmp_path: Path) -> None:
    """One run failed, the study stopped inside a comparison, and both were made good later."""
    records = simulate(BASE)
    broken = failed(records[10])
    again = msgspec.structs.replace(records[10], attempt=2)
    order = [*records[:10], broken, *records[11:120], again, *records[120:]]
    study = write_study(tmp_path / "study", manifest_of(BASE), order)
    assert complaints(study) == []
    assert [finding.rule for finding in audit(study)] == ["superseded-attempts"]


def test_drafts_that_stop_early_are_clean(tmp_path: Path) -> None:
    """A drafter that proposes fewer than γ tokens, and sometimes none, when it is not sure."""
    config = but(BASE, suites=("dense-sd",))

    def hesitant(record: RunRecord) -> RunRecord:
        cycles = record.measurement.cycles
        counts = zip(cycles.drafted, cycles.accepted, strict=True)
        drafted = [min(d, a + 1) if i % 5 else a for i, (d, a) in enumerate(counts)]
        draft_ns = [round(n * T1_MS[record.cell.draft] * 1e6) for n in drafted]
        wall = record.measurement.decode_wall_ns + sum(draft_ns) - sum(cycles.draft_ns)
        return with_measurement(
            record, cycles=msgspec.structs.replace(cycles, drafted=drafted, draft_ns=draft_ns),
            decode_wall_ns=wall, llama_ns=record.measurement.llama_ns + sum(draft_ns) - sum(cycles.draft_ns),
            target_output_rows=sum(drafted) + len(drafted), draft_output_rows=sum(drafted),
        )  # fmt: skip

    records = [hesitant(record) if record.cell.gamma else record for record in simulate(config)]
    assert complaints(write_study(tmp_path / "study", manifest_of(config), records)) == []


def test_drafters_without_a_model_and_rollbacks_asked_for_are_clean(tmp_path: Path) -> None:
    manifest, records = with_other_drafters(but(BASE, suites=("dense-baseline", "dense-sd")))
    assert complaints(write_study(tmp_path / "study", manifest, records)) == []


def test_prompt_lookup_that_found_nothing_to_propose_is_clean(tmp_path: Path) -> None:
    """A text that repeats nothing gives it nothing to go on; a draft model has no such excuse."""
    manifest, records = with_other_drafters(but(BASE, suites=("dense-sd",)))
    silent = [idle_lookup(one) if one.cell.draft == "ngram" else one for one in records]
    assert complaints(write_study(tmp_path / "study", manifest, silent)) == []


def idle_lookup(record: RunRecord) -> RunRecord:
    idle = never_drafting(record)
    n_tokens = record.cell.n_predict_tokens
    return with_measurement(idle, target_output_rows=n_tokens, draft_output_rows=None)


def test_each_drafter_and_rollback_has_rows_of_its_own(tmp_path: Path) -> None:
    """An oracle and a draft model at the same γ are never averaged."""
    manifest, records = with_other_drafters(but(BASE, suites=("dense-sd",)))
    rows = study_evidence(load_study(write_study(tmp_path / "study", manifest, records))).rows
    assert len(rows) == 2 * 3 * 4 * 6
    assert len({row.label for row in rows}) == len(rows)
    assert {row.n_runs for row in rows} == {BASE.blocks}


def test_one_prefill_that_was_faster_than_others_on_a_noisy_machine_is_clean(tmp_path: Path) -> None:
    """Seen on a loaded machine: one prefill in a fifth of the usual time, as the others had been disturbed."""
    records = simulate(but(BASE, noise=0.4))
    records[5] = with_measurement(records[5], prefill_target_ns=records[5].measurement.prefill_target_ns // 5)
    study = write_study(tmp_path / "study", manifest_of(BASE), records)
    assert complaints(study) == []


def test_an_oracle_that_was_luckier_in_its_few_short_cycles_is_clean(tmp_path: Path) -> None:
    """Seen in a study of 16 tokens: a mean of few cycles says nothing about acceptance at another γ."""
    config = but(BASE, n_predict_tokens=16, acceptance=lambda *_: 0.5)
    assert complaints(honest_study(tmp_path / "study", config)) == []


def test_a_text_that_repeats_itself_in_the_baseline_too_is_clean(tmp_path: Path) -> None:
    config = but(BASE, suites=("dense-sd",))
    records = [with_measurement(one, tokens=[7] * one.cell.n_predict_tokens) for one in simulate(config)]
    assert complaints(write_study(tmp_path / "study", manifest_of(config), records)) == []


def test_tiny_models_that_live_in_a_cache_may_exceed_the_memorys_bandwidth(tmp_path: Path) -> None:
    config = but(BASE, suites=("dense-sd",), t1_ms={role: ms / 1000 for role, ms in T1_MS.items()}, python_ms=0.0,
                 sample_ms=0.0, rollback_ms=0.0)  # fmt: skip
    manifest = manifest_of(config)
    small = [msgspec.structs.replace(one, bytes_per_token=one.bytes_per_token // 100) for one in manifest.models]
    study = write_study(tmp_path / "study", msgspec.structs.replace(manifest, models=small), simulate(config))
    assert complaints(study) == []


def test_runs_marked_as_wrong_on_purpose_leave_the_study_clean_and_are_noted(tmp_path: Path) -> None:
    records = simulate(TWO_DRAFTS)
    marked = [msgspec.structs.replace(one, mark="phantom") if one.cell.gamma == 16 else one for one in records]
    study = write_study(tmp_path / "study", manifest_of(TWO_DRAFTS), marked)
    assert complaints(study) == []
    assert [finding.rule for finding in audit(study)] == ["marked-runs"]


@settings(max_examples=20)
@given(
    acceptance=st.floats(0, 1), slope=st.floats(0, 1.0), noise=st.floats(0, 0.1), seed=st.integers(0, 10**6),
    scale=st.floats(0.5, 20), blocks=st.integers(1, 3),
)  # fmt: skip
def test_whatever_is_true_of_an_honest_study_it_audits_clean(
    tmp_path_factory: pytest.TempPathFactory, acceptance: float, slope: float, noise: float, seed: int,
    scale: float, blocks: int,
) -> None:  # fmt: skip
    config = dataclasses.replace(
        BASE, suites=("dense-baseline", "dense-sd"), n_predict_tokens=40, blocks=blocks, seed=seed, noise=noise,
        prompts=("short", "code"), acceptance=lambda *_: acceptance,
        verify_ratio=lambda _, n: 1 + slope * (n - 1), t1_ms={role: ms * scale for role, ms in T1_MS.items()},
    )  # fmt: skip
    assert complaints(honest_study(tmp_path_factory.mktemp("study"), config)) == []


def test_a_run_of_one_token_has_no_drafts_and_no_complaint() -> None:
    record = next(one for one in simulate(but(BASE, n_predict_tokens=1)) if one.cell.gamma)
    assert record.measurement.cycles == Cycles(
        drafted=[0], accepted=[0], draft_ns=[0], verify_ns=record.measurement.cycles.verify_ns, rollback_ns=[0],
        sample_ns=record.measurement.cycles.sample_ns,
    )  # fmt: skip
