"""The whole way with nothing replaced: command, worker processes, llama.cpp on tiny models, store, analysis."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from analysis.load import completed, load_study
from runner.cli import cli
from runner.errors import ModelError, StudyError
from runner.synthetic import tiny_foreign_model, tiny_model
from tests.fake_executor import records_in


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A mixture of experts, a draft that knows its table, and a draft of another vocabulary."""
    folder = tmp_path_factory.mktemp("models")
    return {
        "target": tiny_model("qwen35moe", folder / "target.gguf", seed=1, noise=0.3),
        "draft": tiny_model("qwen35", folder / "draft.gguf", seed=2, noise=0.5),
        "foreign": tiny_foreign_model("qwen35", folder / "foreign.gguf", seed=2, noise=0.5),
    }


def measure(folder: Path, target: Path, draft: Path) -> Result:
    return CliRunner().invoke(
        cli,
        [
            "suite", "prompt-sweep", "--repeats", "1", "--n-predict", "12", "--threads", "1",
            "--out", str(folder), "--role", f"moe-q4={target}", "--role", f"draft-0.8b={draft}",
        ],
    )  # fmt: skip


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPECSTUDY_CACHE", str(tmp_path / "cache"))


def test_a_real_study_measures_every_planned_run_and_is_lossless(tmp_path: Path, models: dict[str, Path]) -> None:
    result = measure(tmp_path / "study", models["target"], models["draft"])
    assert result.exit_code == 0, f"{result.output}\n{result.exception!r}"
    records = records_in(tmp_path / "study")
    assert [record.order for record in records] == list(range(len(records)))
    texts: dict[str, set[tuple[int, ...]]] = {}
    for record in records:
        assert record.measurement is not None
        assert len(record.measurement.tokens) == record.cell.n_predict_tokens
        if record.cell.purpose == "cell":
            texts.setdefault(record.cell.prompt, set()).add(tuple(record.measurement.tokens))
    assert len(texts) == 6
    assert all(len(of_prompt) == 1 for of_prompt in texts.values()), "a draft changes the text"
    runs = completed(load_study(tmp_path / "study").runs)
    assert (runs["run_id"] == runs["recomputed_run_id"]).all()
    lengths = runs[runs["suite"] == "prompt-sweep"].groupby("prompt")["n_prompt_tokens"].unique()
    assert {name: list(found) for name, found in lengths.items()} == {
        f"natural-{n}": [n] for n in (32, 64, 128, 256, 512, 1024)
    }


def test_a_draft_of_another_vocabulary_is_refused_before_anything_is_written(
    tmp_path: Path, models: dict[str, Path]
) -> None:
    result = measure(tmp_path / "study", models["target"], models["foreign"])
    assert isinstance(result.exception, ModelError)
    assert "another vocabulary" in str(result.exception)
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_truncated_model_is_refused_in_one_line(tmp_path: Path, models: dict[str, Path], share: float) -> None:
    content = models["target"].read_bytes()
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(content[: int(share * len(content))])
    result = measure(tmp_path / "study", broken, models["draft"])
    assert isinstance(result.exception, StudyError), result.output
    assert result.exception.exit_status == 2
    assert "broken.gguf" in str(result.exception)
    assert "\n" not in str(result.exception)
    assert not (tmp_path / "study").exists()


def test_a_missing_model_is_refused_in_one_line(tmp_path: Path, models: dict[str, Path]) -> None:
    result = measure(tmp_path / "study", tmp_path / "nowhere.gguf", models["draft"])
    assert isinstance(result.exception, ModelError)
    assert "nowhere.gguf" in str(result.exception)
    assert not (tmp_path / "study").exists()
