"""A tiny mixture of experts and a tiny plain-attention draft, built once a session."""

import pytest

from runner.record import Settings
from runner.synthetic import tiny_model

SETTINGS = Settings(
    n_ctx_tokens=256, n_batch_tokens=48, n_ubatch_tokens=48, n_threads=1, n_gpu_layers=0,
    flash_attention="auto", kv_type="f16", seed=1,
)  # fmt: skip


@pytest.fixture(scope="session")
def settings() -> Settings:
    return SETTINGS


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("grid-models")
    return {
        "target": tiny_model("qwen35moe", folder / "target.gguf", seed=1, noise=0.5),
        "draft": tiny_model("llama", folder / "draft.gguf", seed=2, noise=0.4),
        "hybrid": tiny_model("qwen35", folder / "hybrid.gguf", seed=2, noise=0.8),
    }
