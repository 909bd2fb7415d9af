"""Row by row: reproduced, not reproduced, or not comparable, and why."""

from __future__ import annotations

import msgspec
import pytest

from analysis.compare_figures import agreement, figure_rows
from analysis.compare_studies import compare_studies
from analysis.configurations import configurations
from analysis.figures_of import log_figures, published_figures, study_figures
from analysis.foreign import load_foreign
from analysis.load import load_study
from analysis.published import published_study
from analysis.reproduction import comparison, same
from analysis.stats import ratios
from tests.simulated import ENGINE, MACHINE, T1_MS, Config, but, honest_study, manifest_of, simulate, write_study

SMALL = Config(suites=("dense-sd", "dense-baseline"), n_predict_tokens=48)


def rows_of(comparison):
    return next(table.rows for table in comparison.document.tables if table.name == "comparison")


def compare_published(study):
    found = configurations(study)
    return comparison("both", figure_rows(published_figures(), study_figures(study, found, ())), ())


def study_of(path, config=SMALL, **manifest):
    changed = msgspec.structs.replace(manifest_of(config), **manifest)
    return load_study(write_study(path, changed, simulate(config)))


def on_the_published_chip(path, config=SMALL):
    machine = msgspec.structs.replace(MACHINE, chip=published_study().hardware.chip)
    return study_of(path, config, machine=machine)


def outcomes(comparison, **where):
    return {
        (row["target"], row.get("gamma", 0), row["figure"]): row["outcome"]
        for row in rows_of(comparison)
        if all(row.get(key) == value for key, value in where.items())
    }


def test_published_rates_reproduce_on_the_published_chip(tmp_path):
    comparison = compare_published(on_the_published_chip(tmp_path / "m2"))
    assert outcomes(comparison, figure="tok/s") == {
        ("Dense 0.8B", 0, "tok/s"): "reproduced",
        ("Dense 2B", 0, "tok/s"): "reproduced",
        ("Dense 4B", 0, "tok/s"): "reproduced",
        ("Dense 9B", 0, "tok/s"): "reproduced",
        ("MoE Q4", 0, "tok/s"): "not comparable",
        ("MoE Q8", 0, "tok/s"): "not comparable",
    }


def test_another_chip_compares_ratios_only(tmp_path):
    comparison = compare_published(study_of(tmp_path / "other"))
    rows = rows_of(comparison)
    assert all(row["outcome"] == "not comparable" for row in rows if row["figure"] == "tok/s")
    assert any("only ratios compare" in row["reason"] for row in rows)
    assert any(row["outcome"] == "not reproduced" for row in rows if row["figure"] == "speedup")


def test_the_published_speedups_at_their_acceptance_do_not_reproduce(tmp_path):
    comparison = compare_published(study_of(tmp_path / "honest"))
    dense = next(
        r
        for r in rows_of(comparison)
        if (r["target"], r.get("gamma"), r["figure"]) == ("Dense 9B", 16, "speedup")
    )
    assert (dense["outcome"], dense["left"]) == ("not reproduced", "2.03")
    assert not comparison.reproduced


def test_a_configuration_that_was_not_run_is_not_comparable(tmp_path):
    comparison = compare_published(study_of(tmp_path / "dense"))
    missing = [row for row in rows_of(comparison) if row["target"] == "MoE Q4" and row["figure"] == "speedup"]
    assert len(missing) == 6
    assert {row["reason"] for row in missing} == {"there is no such run here"}


def test_models_of_another_size_are_never_held_against_the_published_ones(tmp_path):
    small = [
        msgspec.structs.replace(facts, parameters=facts.parameters // 150) for facts in manifest_of(SMALL).models
    ]
    comparison = compare_published(study_of(tmp_path / "tiny", models=small))
    assert {row["outcome"] for row in rows_of(comparison)} == {"not comparable"}
    assert any("other model" in row["reason"] for row in rows_of(comparison))
    assert comparison.reproduced


def test_every_published_row_is_answered(tmp_path):
    rows = rows_of(compare_published(study_of(tmp_path / "all")))
    assert len(rows) == 6 + 2 * 18
    assert all(row["reason"] for row in rows)


def test_a_study_reproduces_itself(tmp_path):
    study = study_of(tmp_path / "same")
    comparison = compare_studies(study, study)
    assert comparison.reproduced
    assert {row["outcome"] for row in rows_of(comparison)} == {"reproduced"}
    assert [table.name for table in comparison.document.tables] == ["comparison"]


def test_a_repeat_with_other_noise_reproduces(tmp_path):
    config = but(SMALL, n_predict_tokens=256, blocks=6)
    left, right = study_of(tmp_path / "first", config), study_of(tmp_path / "second", but(config, seed=2))
    assert compare_studies(left, right).reproduced


def test_a_slower_draft_does_not_reproduce(tmp_path):
    slower = but(SMALL, n_predict_tokens=256, t1_ms={**T1_MS, "draft-0.8b": 14.0})
    comparison = compare_studies(
        study_of(tmp_path / "a", but(SMALL, n_predict_tokens=256)), study_of(tmp_path / "b", slower)
    )
    found = outcomes(comparison, figure="speedup")
    assert not comparison.reproduced
    assert found["Dense 4B", 16, "speedup"] == "not reproduced"
    assert set(outcomes(comparison, figure="tok/s").values()) == {"reproduced"}


def test_only_what_differs_is_printed(tmp_path):
    engine = msgspec.structs.replace(ENGINE, version="sim-2")
    comparison = compare_studies(study_of(tmp_path / "old"), study_of(tmp_path / "new", engine=engine))
    (differences, _) = comparison.document.tables
    assert differences.rows == ({"field": "engine.version", "left": "sim-1", "right": "sim-2"},)
    assert [column.head for column in differences.columns] == ["Field", "old", "new"]


def test_another_file_in_a_role_is_named(tmp_path):
    models = [
        msgspec.structs.replace(facts, sha256="0" * 64) if facts.role == "dense-9b" else facts
        for facts in manifest_of(SMALL).models
    ]
    comparison = compare_studies(study_of(tmp_path / "old"), study_of(tmp_path / "new", models=models))
    assert outcomes(comparison)["Dense 9B", 4, "speedup"] == "not comparable"
    assert any(row["reason"] == "another file plays dense-9b" for row in rows_of(comparison))


def test_what_only_one_study_has_is_listed(tmp_path):
    left, right = study_of(tmp_path / "both"), study_of(tmp_path / "less", but(SMALL, gammas=(4,)))
    reasons = {
        (row.get("gamma"), row["reason"])
        for row in rows_of(compare_studies(left, right))
        if row["figure"] == "speedup"
    }
    assert (8, "only in both") in reasons


def test_studies_without_a_common_prompt_do_not_compare(tmp_path):
    left = load_study(honest_study(tmp_path / "talk", but(SMALL, prompts=("short",))))
    right = load_study(honest_study(tmp_path / "code", but(SMALL, prompts=("code",))))
    rows = [row for row in rows_of(compare_studies(left, right)) if row["figure"] == "speedup"]
    assert {row["reason"] for row in rows} == {"no usable prompt in common"}


def test_the_notes_open_with_the_count_of_outcomes(tmp_path):
    study = study_of(tmp_path / "same")
    assert compare_studies(study, study).document.notes[0] == "10 reproduced, 0 not reproduced, 0 not comparable."


CLOSE = ["a", "a", "b", "b"]


@pytest.mark.parametrize(
    ("logs", "outcome"),
    [
        ([0.0, 0.01, -0.01, 0.0], "reproduced"),
        ([0.03, 0.03, 0.04, 0.03], "reproduced"),
        ([0.10, 0.11, 0.12, 0.10], "not reproduced"),
        ([-0.10, -0.11, -0.12, -0.10], "not reproduced"),
        ([1.0, -1.0, 0.9, -0.9], "not comparable"),
    ],
)
def test_two_measurements_agree_unless_decidedly_beyond_the_tolerance(logs, outcome):
    assert same(ratios(logs, CLOSE)).outcome == outcome


def test_a_printed_figure_agrees_when_the_interval_and_its_room_hold_it():
    estimate = ratios([0.10, 0.11, 0.12, 0.10], CLOSE)
    assert agreement(1.15, estimate, room=0.05).outcome == "reproduced"
    assert agreement(1.25, estimate, room=0.05).reason.startswith("lower here")
    assert agreement(0.9, estimate, room=0.05).reason.startswith("higher here")


def test_a_figure_that_is_missing_or_too_uncertain_decides_nothing():
    vague = ratios([1.0, -1.0, 0.9, -0.9], CLOSE)
    assert agreement(1.15, None, room=0.05).outcome == "not comparable"
    assert agreement(None, 1.15, room=0.05).outcome == "not comparable"
    assert agreement(1.15, float("nan"), room=0.05).outcome == "not comparable"
    assert agreement(1.15, vague, room=0.05).reason.startswith("the interval is too wide")


LOG = """target_model,draft_model,draft_len,prompt_key,repeat,tokens_per_sec,draft_acceptance_rate,chip
dense_9b,none,0,code,1,33.4,,Apple M2 Ultra
dense_9b,draft_0.8b,16,code,1,67.7,0.004,Apple M2 Ultra
dense_4b,none,0,code,1,67.2,,Apple M2 Ultra
dense_4b,draft_0.8b,4,code,1,58.0,0.45,Apple M2 Ultra
"""


def test_a_run_log_is_held_against_the_published_rows_and_against_a_study(tmp_path):
    (tmp_path / "log.csv").write_text(LOG)
    log = log_figures(load_foreign(tmp_path / "log.csv"))
    to_published = comparison("x", figure_rows(published_figures(), log), ())
    found = outcomes(to_published)
    assert found["Dense 9B", 16, "speedup"] == "reproduced"
    assert found["Dense 9B", 0, "tok/s"] == "reproduced"
    assert found["Dense 4B", 4, "speedup"] == "not reproduced"
    assert found["MoE Q4", 4, "speedup"] == "not comparable"
    study = study_of(tmp_path / "study")
    against = outcomes(comparison("x", figure_rows(log, study_figures(study, configurations(study), ())), ()))
    assert against["Dense 9B", 16, "speedup"] == "not reproduced"
    assert against["Dense 4B", 4, "speedup"] == "reproduced"
    assert against["Dense 9B", 0, "tok/s"] == "not comparable"
    assert len(against) == 2 + 2 * 2


def test_a_log_says_that_its_models_are_taken_on_trust(tmp_path):
    (tmp_path / "log.csv").write_text(LOG)
    assert "by role only" in log_figures(load_foreign(tmp_path / "log.csv")).notes[-1]
