"""The same document as Markdown, CSV and JSON: no value is lost, and no cell can break out of its table."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.render import Column, Document, Table, caveats_of, neutral, number, render
from analysis.stats import ratios

COLUMNS = (Column("model", "Model"), Column("tok_s", "tok/s", "speed"), Column("speedup", "Speedup", "ratio"))


def document(*rows, notes=()):
    return Document("demo", (Table("speeds", "Speeds", COLUMNS, rows, ("read with care",)),), notes)


DECIDED = ratios([0.20, 0.21, 0.22, 0.2], ["a", "a", "b", "b"])
OPEN = ratios([0.05, -0.04, 0.03, -0.01], ["a", "a", "b", "b"])


def test_markdown_shows_the_interval_and_marks_what_is_undecided():
    text = render(document({"model": "A", "speedup": DECIDED}, {"model": "B", "speedup": OPEN}), "md")
    assert "| A | – | 1.23× [1.22, 1.24] |" in text
    assert "| B | – | ~ 1.01× [" in text
    assert "blocks)" in text


def test_a_caveat_of_many_cells_is_said_once():
    tables = document({"speedup": DECIDED}, {"speedup": OPEN}).tables
    assert caveats_of(tables) == ("As few as 2 block(s): intervals are rough below 6; use --repeats 6.",)
    assert render(document({"speedup": DECIDED}, {"speedup": OPEN}), "md").count("intervals are rough") == 1


def test_of_several_caveats_of_a_kind_the_worst_is_said():
    one = ratios([0.1, 0.2], ["a", "b"])
    assert caveats_of(document({"speedup": DECIDED}, {"speedup": one}).tables)[0].startswith("As few as 1 block")


def test_notes_of_the_table_and_of_the_document_are_both_rendered():
    text = render(document(notes=("one run failed",)), "md")
    assert "read with care" in text
    assert "- one run failed" in text


def test_csv_spreads_an_estimate_over_columns_that_a_program_can_read():
    text = render(document({"model": "A", "tok_s": 55.30004, "speedup": OPEN}), "csv")
    (row,) = csv.DictReader(io.StringIO(text))
    assert (row["table"], row["model"], row["tok_s"]) == ("speeds", "A", "55.3")
    assert float(row["speedup_low"]) < 1 < float(row["speedup_high"])
    assert row["speedup_undecided"] == "true"


def test_json_holds_the_same_values_and_no_nan():
    text = render(document({"model": "A", "tok_s": float("nan"), "speedup": DECIDED}), "json")
    (table,) = json.loads(text)["tables"]
    assert table["rows"][0]["tok_s"] is None
    assert table["rows"][0]["speedup"] == pytest.approx(DECIDED.point, rel=1e-5)
    assert table["rows"][0]["speedup_undecided"] is False


def test_an_empty_table_keeps_its_head():
    assert render(document(), "csv") == "table,model,tok_s,speedup\n"
    assert "| Model | tok/s | Speedup |" in render(document(), "md")


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "-cmd|'/C calc'!A0", "@SUM(A1)", "\t=1", "-"])
def test_text_that_a_spreadsheet_would_run_is_neutralised(text):
    assert neutral(text) == f"'{text}"


@pytest.mark.parametrize(("value", "shown"), [("-1.5", "-1.5"), (-1.5, "-1.5"), (True, "true"), (None, "")])
def test_numbers_stay_numbers(value, shown):
    assert neutral(value) == shown


@given(st.text())
def test_no_text_makes_a_spreadsheet_formula_or_breaks_a_markdown_row(text):
    assert neutral(text)[:1] not in {"=", "@", "\t", "\r"}
    lines = render(document({"model": text}), "md").splitlines()
    row = lines[lines.index("| --- | ---: | ---: |") + 1]
    assert row.replace("\\|", "").count("|") == 4


@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), min_size=1))
def test_any_text_survives_csv_and_json(text):
    rows = list(csv.DictReader(io.StringIO(render(document({"model": text}), "csv"))))
    assert rows[0]["model"].removeprefix("'") == text.removeprefix("'")
    assert json.loads(render(document({"model": text}), "json"))["tables"][0]["rows"][0]["model"] == text


def test_a_tie_rounds_the_same_way_on_every_processor():
    below, above = 0.6125 - 1e-15, 0.6125 + 1e-15
    assert number(below, "share") == number(above, "share")


@pytest.mark.parametrize("form", ["md", "csv", "json"])
def test_the_same_document_gives_the_same_bytes(form):
    assert render(document({"speedup": OPEN}), form) == render(document({"speedup": OPEN}), form)
