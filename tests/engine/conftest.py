"""Tiny real models, built once a session, and settings with one thread."""

from pathlib import Path

import pytest

from runner.executor import PlannedRun
from runner.record import Cell, Settings
from runner.synthetic import tiny_model

# Small batches: from 64 rows on, llama.cpp's CPU flash attention takes a kernel that rounds to f16.
SETTINGS = Settings(
    n_ctx_tokens=512,
    n_batch_tokens=32,
    n_ubatch_tokens=32,
    n_threads=1,
    n_gpu_layers=-1,
    flash_attention="auto",
    kv_type="f16",
    seed=1,
)
KINDS = ("qwen35", "qwen35moe", "llama")
DRAFT_OF = {"qwen35": "qwen35", "qwen35moe": "qwen35", "llama": "llama"}


@pytest.fixture(scope="session")
def settings() -> Settings:
    return SETTINGS


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """Path of the tiny target of an architecture; `draft=True` for its smaller-agreement companion."""
    folder = tmp_path_factory.mktemp("tiny")
    built: dict[tuple[str, bool], Path] = {}

    def build(architecture: str, *, draft: bool = False) -> Path:
        key = (architecture, draft)
        if key not in built:
            name = f"{architecture}-{'draft' if draft else 'target'}.gguf"
            seed, noise = (2, 0.8) if draft else (1, 0.5)
            built[key] = tiny_model(architecture, folder / name, seed=seed, noise=noise)
        return built[key]

    return build


@pytest.fixture(scope="session", params=KINDS)
def kind(request) -> str:
    return request.param


@pytest.fixture(scope="session")
def pair(tiny, kind):
    return tiny(kind), tiny(DRAFT_OF[kind], draft=True)


def planned_run(
    gamma: int,
    *,
    text: str,
    n_tokens: int | None = None,
    n_predict: int = 24,
    draft: str = "draft",
    rollback=None,
    time_limit_s: float = 60.0,
) -> PlannedRun:
    """A planned run of target `target` with pair draft `draft`, as the plan would make it."""
    cell = Cell(
        suite="test",
        target="target",
        draft=draft if gamma else "none",
        pair_draft="draft",
        gamma=gamma,
        prompt="probe",
        prompt_sha256="0" * 64,
        n_predict_tokens=n_predict,
        block=0,
        rollback=rollback,
    )
    return PlannedRun(
        order=0,
        run_id="0" * 16,
        cell=cell,
        prompt_text=text,
        prompt_tokens_wanted=n_tokens,
        time_limit_s=time_limit_s,
    )


@pytest.fixture(scope="session")
def plan_one():
    return planned_run
