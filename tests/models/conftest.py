"""Hollow GGUFs of the real models, written once, and a machine on which nothing of its owner is found."""

import pytest
from huggingface_hub import constants

from runner.models.places import MODELS_VARIABLE
from runner.paths import CACHE_VARIABLE
from tests.models.real_shapes import write_hollow


@pytest.fixture(scope="session")
def hollow(tmp_path_factory):
    """A hollow GGUF by model and type; the same one for the same request."""
    folder = tmp_path_factory.mktemp("hollow")

    def write(model, quantisation="Q8_0", **options):
        path = folder / f"{model}-{quantisation}-{'-'.join(sorted(options))}.gguf"
        return path if path.exists() else write_hollow(path, model, quantisation, **options)

    return write


@pytest.fixture(autouse=True)
def empty_machine(tmp_path, monkeypatch):
    """Home, caches and variables that hold no model."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "own-cache"))
    for name in (MODELS_VARIABLE, "LLAMA_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(home / "hub"))
    return home
