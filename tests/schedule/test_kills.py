"""A study killed at random instants loses no completed run, doubles none, and ends as one left alone."""

from __future__ import annotations

import random
from pathlib import Path

from tests.kill_study import kill_repeatedly


def test_thirty_kills_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    report = kill_repeatedly(tmp_path, 30, random.Random(9))
    assert report.kills == 30
    assert len(set(report.runs_at_kill)) > 5, "the kills must fall at different places"
