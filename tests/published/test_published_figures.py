"""The committed figures agree with each other wherever the sources print the same thing twice."""

from pathlib import Path

import pytest

from analysis.published import (
    PublishedStudy,
    model_files,
    published_study,
    read_toml,
    rows_frame,
    stride_table,
    tpot_notebook,
)
from runner.errors import DataError


def test_the_study_has_every_row_of_its_three_tables() -> None:
    study = published_study()
    assert (len(study.baselines), len(study.speculative), len(study.draft_comparison)) == (6, 12, 12)
    assert study.runs.n_runs == 306
    assert len(study.findings) == 7


def test_six_configurations_stand_in_both_tables_so_that_eighteen_are_distinct() -> None:
    assert len(published_study().distinct_rows()) == 18


def test_rows_that_stand_in_two_tables_print_the_same_figures() -> None:
    study = published_study()
    twice = {row.configuration: row for row in study.draft_comparison}
    for row in study.speculative:
        other = twice.get(row.configuration, row)
        assert (row.speedup, row.acceptance) == (other.speedup, other.acceptance)


def test_each_printed_speedup_is_the_ratio_of_the_printed_throughputs_within_rounding() -> None:
    study = published_study()
    for row in study.speculative:
        assert row.tokens_per_s is not None
        base = study.baseline(row.target).tokens_per_s
        lowest = (row.tokens_per_s - 0.05) / (base + 0.05) - study.rounding.speedup
        highest = (row.tokens_per_s + 0.05) / (base - 0.05) + study.rounding.speedup
        assert lowest <= row.speedup <= highest, row


def test_the_winner_of_each_pair_of_drafts_is_the_faster_one() -> None:
    frame = rows_frame(published_study().draft_comparison)
    for _, pair in frame.groupby(["target", "gamma"]):
        assert len(pair) == 2
        assert bool(pair.loc[pair["speedup"].idxmax(), "winner"])
        assert pair["winner"].sum() == 1


def test_the_draft_margin_that_the_findings_name_follows_from_the_table() -> None:
    frame = rows_frame(published_study().draft_comparison)
    wide = frame.pivot_table(index=["target", "gamma"], columns="draft", values="speedup")
    margins = (wide["draft-0.8b"] - wide["draft-2b"]).round(2)
    named = next(f for f in published_study().findings if f.id == "smaller-draft-wins").figures
    assert (margins.min(), margins.max()) == (named["difference_low"], named["difference_high"])


def test_bytes_per_token_of_a_dense_tied_model_is_its_whole_file() -> None:
    files = model_files()
    assert files["dense-4b"].bytes_per_token == files["dense-4b"].file_bytes
    assert files["moe-q4"].bytes_per_token < 0.1 * files["moe-q4"].file_bytes


def test_the_notebooks_cycle_is_its_tpot_times_its_acceptance_length() -> None:
    notebook = tpot_notebook()
    cycle_ms = notebook.constants.measured_sd_tpot_ms * notebook.constants.acceptance_length_tokens
    assert cycle_ms == pytest.approx(notebook.stated.measured_cycle_ms, rel=0.002)
    lengths = dict(zip(notebook.acceptance_lengths.gamma, notebook.acceptance_lengths.tokens, strict=True))
    assert lengths[notebook.constants.gamma] == notebook.constants.acceptance_length_tokens


def test_the_stride_table_has_as_many_measurements_as_its_strides_leave() -> None:
    table = stride_table()
    assert len(table.rows) == 21
    for row in table.rows:
        assert row.n_measurements == -(-table.table.n_measurements_all // row.stride)
        assert row.n_measurements >= len(set(row.batch_sizes)) == len(row.batch_sizes)


def test_an_unknown_role_is_a_clear_error() -> None:
    with pytest.raises(DataError, match="no baseline of 'moe-q2'"):
        published_study().baseline("moe-q2")


@pytest.mark.parametrize("content", ["no toml [", "[source]\ntitle = 3\n", "[source]\ntitle = 'x'\nextra = 1\n"])
def test_a_damaged_file_is_one_clear_line(tmp_path: Path, content: str) -> None:
    file = tmp_path / "study306.toml"
    file.write_text(content)
    with pytest.raises(DataError, match=r"study306\.toml: not the published figures") as caught:
        read_toml(file, PublishedStudy)
    assert "\n" not in str(caught.value).strip()
