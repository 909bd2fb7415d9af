"""What one row of a table averages, and what it only counts."""

import msgspec
import pytest

from analysis.configurations import configurations
from analysis.load import load_study
from tests.simulated import Config, manifest_of, simulate, write_study

CONFIG = Config(suites=("prompt-sweep",), n_predict_tokens=24)


@pytest.fixture
def with_a_near_tie(tmp_path):
    """The run with the shortest prompt leaves its baseline's text where the two best tokens are close."""
    records = list(simulate(CONFIG))
    for index, record in enumerate(records):
        if record.cell.prompt != "natural-32" or record.cell.block != 1:
            continue
        measured = record.measurement
        tokens, margins = list(measured.tokens), list(measured.margins)
        if record.cell.gamma == 0:
            margins[5] = 0.01
        else:
            tokens[5] += 1
        changed = msgspec.structs.replace(measured, tokens=tokens, margins=margins)
        records[index] = msgspec.structs.replace(record, measurement=changed)
    write_study(tmp_path, manifest_of(CONFIG), records)
    return load_study(tmp_path)


def test_a_part_counts_its_own_runs_and_the_parts_make_the_whole(with_a_near_tie):
    (whole,) = configurations(with_a_near_tie)
    parts = [whole.on({prompt}) for prompt in sorted(set(whole.prompts))]
    for count in ("n_runs", "n_failed", "n_broken", "n_near_ties"):
        assert sum(getattr(part, count) for part in parts) == getattr(whole, count)
    assert [part.n_near_ties for part in parts if set(part.prompts) == {"natural-32"}] == [1]


def test_a_near_tie_is_averaged_and_said(with_a_near_tie):
    (whole,) = configurations(with_a_near_tie)
    assert whole.n_near_ties == 1
    assert len(whole.pairs) == whole.n_runs


def test_runs_of_other_drafters_and_forced_rollbacks_are_no_configuration(tmp_path):
    records = list(simulate(CONFIG))
    records = [
        msgspec.structs.replace(one, cell=msgspec.structs.replace(one.cell, **changes))
        for one in records
        if one.cell.gamma
        for changes in ({"draft": "ngram"}, {"rollback": "checkpoint"})
    ]
    write_study(tmp_path, manifest_of(CONFIG), records)
    assert configurations(load_study(tmp_path)) == ()
