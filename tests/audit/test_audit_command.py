"""`python -m analysis audit` and `claims`: exit statuses, formats, and one clear line for what cannot be read."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from analysis.cli import cli
from runner.errors import StudyError
from tests.audit.faults import FAULTS, SMALL, TWO_DRAFTS, phantom, spoiled
from tests.audit.foreign_logs import COLUMNS, TALK, honest, honest_log, phantom_log, rows, write
from tests.simulated import honest_study, manifest_of, simulate, write_study


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def refused(*arguments: object) -> str:
    result = run(*arguments)
    assert isinstance(result.exception, StudyError), result.output
    assert result.exception.exit_status == 2
    assert result.stdout == ""
    message = str(result.exception)
    assert "\n" not in message
    return message


def test_the_published_figures_end_with_findings() -> None:
    result = run("audit", "published")
    assert result.exit_code == 1
    assert "24 printed rows, 18 of them distinct" in result.output


def test_an_honest_study_and_an_honest_log_end_clean(tmp_path: Path) -> None:
    for source in (honest_study(tmp_path / "study", SMALL), honest_log(tmp_path / "runs.csv")):
        result = run("audit", source)
        assert result.exit_code == 0
        assert "Nothing speaks against these figures" in result.output


def test_a_spoiled_study_and_a_phantom_log_end_with_findings(tmp_path: Path) -> None:
    manifest, records = spoiled(FAULTS[0])
    study = write_study(tmp_path / "study", manifest, records)
    for source in (study, phantom_log(tmp_path / "runs.csv")):
        assert run("audit", source).exit_code == 1


def test_notes_alone_do_not_change_the_exit_status(tmp_path: Path) -> None:
    marked = msgspec.structs.replace
    records = [marked(one, mark="phantom") if one.cell.gamma == 4 else one for one in simulate(SMALL)]
    result = run("audit", write_study(tmp_path / "study", manifest_of(SMALL), records))
    assert result.exit_code == 0
    assert "marked-runs" in result.output


def test_marked_runs_are_judged_when_asked_for(tmp_path: Path) -> None:
    records = [
        msgspec.structs.replace(phantom(one), mark="phantom") if one.cell.gamma == 8 else one
        for one in simulate(TWO_DRAFTS)
    ]
    study = write_study(tmp_path / "study", manifest_of(TWO_DRAFTS), records)
    assert run("audit", study).exit_code == 0
    result = run("audit", "--marked", study, "--format", "json")
    assert result.exit_code == 1
    rules = {row["rule"] for row in table(json.loads(result.output), "rules")}
    assert {"phantom-signature", "cycle-time", "draft-budget"} <= rules


def table(document: dict[str, list[dict[str, object]]], name: str) -> list[dict[str, object]]:
    return next(one["rows"] for one in document["tables"] if one["name"] == name)  # type: ignore[return-value]


def test_json_holds_every_finding_with_its_numbers() -> None:
    document = json.loads(run("audit", "published", "--format", "json").output)
    findings, evidence = table(document, "findings"), table(document, "evidence")
    assert len(findings) == sum(int(str(row["findings"])) for row in table(document, "rules"))
    assert {row["number"] for row in findings} == {row["number"] for row in evidence}


def test_csv_runs_no_formula_that_a_foreign_log_smuggles_in(tmp_path: Path) -> None:
    formula = {"target_model": "=HYPERLINK(1)"}
    content = [{**row, **formula} if row["draft_len"] else row for row in rows(honest, TALK)]
    result = run("audit", write(tmp_path / "runs.csv", content), "--format", "csv")
    assert result.exit_code == 1
    cells = [cell for row in csv.reader(io.StringIO(result.output)) for cell in row]
    assert any("hyperlink" in cell for cell in cells)
    assert not any(cell.startswith(("=", "+", "@")) for cell in cells)


def test_a_log_of_another_tool_is_read_with_mapped_columns(tmp_path: Path) -> None:
    content = [{("model" if key == "target_model" else key): value for key, value in row.items()}
               for row in rows(honest, TALK)]  # fmt: skip
    columns = ["model" if name == "target_model" else name for name in COLUMNS]
    log = write(tmp_path / "runs.csv", content, columns)
    assert "no column for target" in refused("audit", log)
    assert run("audit", log, "--map", "model=target").exit_code == 0


@pytest.mark.parametrize("command", ["audit", "claims"])
def test_what_is_not_there_is_one_line(command: str, tmp_path: Path) -> None:
    assert "nowhere" in refused(command, tmp_path / "nowhere")
    assert "manifest.json" in refused(command, tmp_path)


def test_options_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    assert "--map names columns of a run log" in refused("audit", "published", "--map", "a=target")
    assert "--marked looks into a study" in refused("audit", "published", "--marked")
    assert "use one of them" in refused("audit", "published", "--marked", "--map", "a=target")
    assert "holds no marked run" in refused("audit", "--marked", honest_study(tmp_path / "study", SMALL))


def test_a_torn_manifest_is_one_line(tmp_path: Path) -> None:
    study = honest_study(tmp_path / "study", SMALL)
    (study / "manifest.json").write_text('{"schema_version":')
    assert "not a manifest" in refused("audit", study)


@pytest.mark.parametrize("form", ["md", "csv", "json"])
def test_claims_are_told_in_every_format(form: str, tmp_path: Path) -> None:
    for source in ("published", honest_study(tmp_path / "study", TWO_DRAFTS)):
        result = run("claims", source, "--format", form)
        assert result.exit_code == 0
        assert "sd-helps-moe" in result.output
