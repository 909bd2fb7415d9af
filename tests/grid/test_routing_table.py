"""`python -m analysis routing`: measured coverage beside N(t)."""

from __future__ import annotations

import json

import pytest

from runner.routing_suite import RoutingExperiment
from suites.experiments import load_experiment
from tests.analysis_cli import analysis
from tests.grid_world import counts_of, plan_of, write_log
from tests.simulated import Config, distinct_experts, honest_study


def routing_study(folder, shares=(0.9, 0.9), targets=("moe-q4", "moe-q8")):
    """One share of uniform coverage for each prompt."""
    experiment = RoutingExperiment(load_experiment("routing"), 1, "qwen3.5")
    tasks, manifest = plan_of(experiment)
    share_of = dict(zip(("code", "reasoning"), shares, strict=True))
    fields = [{"n_experts": 256, "counts": counts_of(share_of[task.subject.prompt])} for task in tasks]
    return write_log(folder, experiment, tasks, manifest, fields)


def rows(folder) -> list[dict]:
    return json.loads(analysis("routing", folder, "--format", "json").out)["tables"][0]["rows"]


def test_every_target_and_number_of_tokens_has_a_row(tmp_path):
    found = rows(routing_study(tmp_path / "study"))
    assert [row["n_tokens"] for row in found] == [1, 2, 3, 5, 9, 17, 33] * 2
    assert {row["target"] for row in found} == {"moe-q4 (8 of 256)", "moe-q8 (8 of 256)"}


def test_the_formula_stands_beside_what_was_measured(tmp_path):
    for row in rows(routing_study(tmp_path / "study")):
        assert row["uniform"] == pytest.approx(distinct_experts(row["n_tokens"]), rel=1e-5)
        expected = 1.0 if row["n_tokens"] == 1 else 0.9
        for source in ("real", "drafted", "shuffled"):
            assert row[f"{source}_ratio"] == pytest.approx(expected, rel=1e-5)


def test_prompts_are_averaged_over_their_windows(tmp_path):
    found = rows(routing_study(tmp_path / "study", shares=(0.8, 1.0)))
    assert found[-1]["real_ratio"] == pytest.approx(0.9, rel=1e-5)
    assert found[-1]["windows"] == 20


def test_a_study_of_something_else_says_which_suite_to_run(tmp_path):
    study = honest_study(tmp_path / "study", Config(suites=("dense-sd",), blocks=1, n_predict_tokens=16))
    said = analysis("routing", study).error_line
    assert "study: holds no routing.jsonl; run `python -m runner suite routing`" in said
