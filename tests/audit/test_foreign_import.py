"""A foreign log is read as what it says or refused in one line with its place; nothing in it is trusted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.foreign import COLUMNS, load_foreign, parse_mapping
from runner.errors import DataError
from tests.audit.foreign_logs import REPEATS, T1_MS, honest_log, phantom_log

HEADER = "target_model,draft_model,draft_len,tokens_per_sec,draft_acceptance_rate\n"


def log_of(tmp_path: Path, text: str | bytes, name: str = "log.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def refusal(path: Path, mapping: dict[str, str] | None = None) -> str:
    with pytest.raises(DataError) as caught:
        load_foreign(path, mapping)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_the_published_studys_columns_are_read_without_any_option(tmp_path: Path) -> None:
    log = load_foreign(phantom_log(tmp_path / "runs.csv"))
    assert log.problems == ()
    assert list(log.runs.columns) == ["file", "line", *COLUMNS]
    assert set(log.runs["target"]) == {name.replace("_", "-") for name in T1_MS}
    assert set(log.runs["draft"]) == {"none", "draft-0.8b", "draft-2b"}
    assert (log.runs.loc[log.runs["gamma"] == 0, "draft"] == "none").all()
    assert log.runs.loc[log.runs["gamma"] > 0, "speedup"].isna().all()
    assert len(log.runs) == (len(T1_MS) + 3 * 2 * 3 * 2) * REPEATS
    assert log.runs["line"].tolist() == list(range(2, len(log.runs) + 2))


def test_time_per_token_follows_from_the_rate_where_only_one_is_given(tmp_path: Path) -> None:
    log = load_foreign(log_of(tmp_path, HEADER + "moe_q4,none,0,50,\n"))
    assert log.runs["ms_per_token"].tolist() == [20.0]
    log = load_foreign(log_of(tmp_path, "target,draft,gamma,ms_per_token\na,none,0,20\n"))
    assert log.runs["tokens_per_s"].tolist() == [50.0]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_any_usual_separator_is_understood_and_a_byte_order_mark_ignored(tmp_path: Path, separator: str) -> None:
    text = "\ufeff" + (HEADER + "moe_q4,none,0,50,\n").replace(",", separator)
    assert load_foreign(log_of(tmp_path, text)).runs["target"].tolist() == ["moe-q4"]


def test_columns_of_other_tools_are_mapped_by_option(tmp_path: Path) -> None:
    path = log_of(tmp_path, "Model,Draft,K,t/s,acc\nllama,none,0,10,\nllama,tiny,4,12,0.5\n")
    options = ["Model=target", "Draft=draft_model", "K=gamma", "t/s=tokens_per_s", "acc=acceptance"]
    mapping = parse_mapping(options)
    runs = load_foreign(path, mapping).runs
    assert runs["gamma"].tolist() == [0.0, 4.0]
    assert runs["acceptance"].tolist()[1] == 0.5


@pytest.mark.parametrize("option", ["target", "=target", "x=", "x=nonsense"])
def test_a_mapping_that_is_not_theirs_equals_ours_is_refused(option: str) -> None:
    with pytest.raises(DataError, match="write their=ours"):
        parse_mapping([option])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "log.csv: holds no run"),
        ("\n\n", "log.csv: holds no run"),
        (HEADER, "log.csv: holds no run"),
        ("a,b\n1,2\n", "log.csv:1: no column for target, draft, gamma, tokens_per_s or ms_per_token"),
        ("target,target\nx,y\n", "log.csv:1: column 'target' stands twice"),
        ("target,target_model,draft,gamma,tokens_per_s\n", "two columns would be 'target'"),
        (HEADER + "moe_q4,none,0,50\n", "log.csv:2: has 4 cells, the header 5"),
        (HEADER + "moe_q4,none,0,50,\nmoe_q4,none,zero,50,\n", "log.csv:3: gamma is 'zero', not a number"),
        (HEADER + "moe_q4,none,0,nan,\n", "log.csv:2: tokens_per_s is 'nan', not a number"),
        (HEADER + 'moe_q4,"none,0,50,\n', "not CSV"),
        (b"\xff\xfe\x00", "not UTF-8"),
        ("{not json", "log.csv:1: not a llama-bench result"),
        ('[{"model_filename": 3}]', "log.csv:1: not a llama-bench result"),
        ("[" * 5000, "log.csv:1: not a llama-bench result"),
    ],
)
def test_what_is_no_log_is_refused_with_its_place(tmp_path: Path, text: str | bytes, said: str) -> None:
    assert said in refusal(log_of(tmp_path, text))


def test_a_mapped_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert "the column 'speed'" in refusal(log_of(tmp_path, HEADER), {"speed": "tokens_per_s"})


def test_a_cell_larger_than_any_figure_is_refused(tmp_path: Path) -> None:
    assert "not CSV" in refusal(log_of(tmp_path, HEADER + "x" * 200_000 + ",none,0,50,\n"))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("moe_q4,d,4,50,1.7", "acceptance is 1.7; a fraction lies between 0 and 1"),
        ("moe_q4,d,4,-50,0.5", "tokens_per_s is -50; a time or a rate is above 0"),
        ("moe_q4,d,4,inf,0.5", "tokens_per_s is inf; no measurement is endless"),
        ("moe_q4,d,4,1e308,0.5", "tokens_per_s is 1e+308; no measurement is endless"),
        ("moe_q4,d,4,1e-320,0.5", "a time or a rate is above 0"),
        ("moe_q4,d,4.5,50,0.5", "gamma is 4.5; a count is a whole number"),
        ("moe_q4,d,-4,50,0.5", "gamma is -4; a count is a whole number"),
        ("moe_q4,d,0,50,0.5", "a draft goes with a gamma above 0"),
        ("moe_q4,none,4,50,0.5", "a draft goes with a gamma above 0"),
        ("moe_q4,d,4,,0.5", "neither a rate nor a time per token"),
    ],
)
def test_an_impossible_figure_is_a_problem_and_its_row_left_out(tmp_path: Path, row: str, said: str) -> None:
    log = load_foreign(log_of(tmp_path, HEADER + "moe_q4,none,0,50,\n" + row + "\n"))
    assert len(log.runs) == 1
    assert any(problem.startswith("log.csv:3: ") and said in problem for problem in log.problems)


BENCH = {
    "build_commit": "abc", "model_filename": "C:\\models\\qwen-Q4_K_M.gguf", "cpu_info": "cpu", "gpu_info": "",
    "n_prompt": 0, "n_gen": 128, "test_time": "2026-01-01T00:00:00Z", "avg_ts": 50.0, "avg_ns": 1,
    "samples_ts": [49.0, 50.0, 51.0], "n_batch": 2048,
}  # fmt: skip


def test_llama_bench_json_and_jsonl_give_one_baseline_a_repetition(tmp_path: Path) -> None:
    prompt_test = {**BENCH, "n_prompt": 512, "n_gen": 0, "samples_ts": [900.0]}
    lines = json.dumps(prompt_test) + "\n" + json.dumps(BENCH) + "\n"
    for name, text in (("bench.json", json.dumps([prompt_test, BENCH])), ("bench.jsonl", lines)):
        runs = load_foreign(log_of(tmp_path, text, name)).runs
        assert runs["tokens_per_s"].tolist() == [49.0, 50.0, 51.0]
        assert set(runs["target"]) == {"qwen-q4-k-m"}
        assert set(runs["gamma"]) == {0.0}
        assert set(runs["chip"]) == {"cpu"}


def test_llama_bench_csv_gives_its_generation_tests(tmp_path: Path) -> None:
    header = "build_commit,model_filename,n_prompt,n_gen,avg_ts,stddev_ts\n"
    text = header + "abc,m.gguf,512,0,900,1\nabc,m.gguf,0,128,50,1\n"
    runs = load_foreign(log_of(tmp_path, text)).runs
    assert runs[["target", "tokens_per_s", "build"]].to_numpy().tolist() == [["m.gguf", 50.0, "abc"]]


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused_and_never_crash(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes
) -> None:
    for name, start in (("raw.csv", b""), ("rows.csv", HEADER.encode()), ("bench.json", b'[{"model_filename":')):
        path = tmp_path_factory.getbasetemp() / name
        path.write_bytes(start + noise)
        try:
            log = load_foreign(path)
        except DataError as error:
            assert name in str(error)  # noqa: PT017
        else:
            assert len(log.runs) + len(log.problems) > 0


def test_an_honest_log_has_no_problem(tmp_path: Path) -> None:
    assert load_foreign(honest_log(tmp_path / "runs.csv")).problems == ()
