"""Tiny models of each kind, and models that are closed after the test."""

from pathlib import Path

import pytest

from runner.synthetic import tiny_model
from tests.synthetic.speaker import Speaker


@pytest.fixture
def speak():
    """Opens models and closes them at the end of the test."""
    opened: list[Speaker] = []

    def open_one(path: Path, **options: int) -> Speaker:
        opened.append(Speaker(path, **options))
        return opened[-1]

    yield open_one
    for speaker in opened:
        speaker.close()


@pytest.fixture(scope="session", params=("qwen35", "qwen35moe", "llama"))
def tiny(request, tmp_path_factory) -> Path:
    """A tiny model of each architecture in turn."""
    return tiny_model(request.param, tmp_path_factory.mktemp("tiny") / f"{request.param}.gguf", seed=1, noise=0.5)
