"""No damaged file makes a reader crash, hang or warn: it is read, or refused in one line with file and line."""

from __future__ import annotations

import faulthandler
import sys
from collections.abc import Iterator

import pytest

from tests.fuzz.readers import readers
from tests.fuzz.trial import Reader, Trial

N_SEEDS = 120
HANG_S = 300


@pytest.fixture(autouse=True)
def no_hang() -> Iterator[None]:
    """A reader that hangs ends the tests with its traceback; nothing is asserted about time."""
    faulthandler.dump_traceback_later(HANG_S, exit=True, file=sys.__stderr__)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.mark.parametrize("reader", readers(), ids=lambda reader: reader.name)
def test_a_damaged_file_is_read_or_refused_in_one_line(reader: Reader, tmp_path) -> None:
    trial = Trial(reader, tmp_path)
    for seed in range(N_SEEDS):
        trial.run(seed)
    assert trial.tally.read + trial.tally.refused == N_SEEDS


@pytest.mark.parametrize("reader", readers(), ids=lambda reader: reader.name)
def test_the_whole_file_is_read_without_a_remark(reader: Reader, tmp_path) -> None:
    reader.prepare(tmp_path)
    assert list(reader.read(tmp_path / reader.file)) == []
