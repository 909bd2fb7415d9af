"""Studies and pages that several tests look at, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.report.build import published_page, study_page
from analysis.report.page import rendered
from tests.simulated import Config, honest_study

SMALL = Config(blocks=2, n_predict_tokens=64)
"""All five suites, every figure of the main matrix, and few tokens."""


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return honest_study(tmp_path_factory.mktemp("report") / "small-study", SMALL)


@pytest.fixture(scope="session")
def page(study: Path) -> str:
    return rendered(study_page(study))


@pytest.fixture(scope="session")
def published() -> str:
    return rendered(published_page())
