"""What damaged files once did to a reader, each as small as it can be."""

from __future__ import annotations

import base64
import gzip
import json

import msgspec
import pytest

from analysis.experiment_log import read_experiment
from analysis.experiments.routing import routing_document
from analysis.foreign import load_foreign
from analysis.load import load_study
from analysis.moesd.grid import read_grid
from analysis.report.runs import packed_records
from runner.errors import DataError, EngineError, ModelError, SuiteError, WorkerError
from runner.gguf_digest import file_sha256
from runner.gguf_facts import read_card
from runner.grid_record import GRID_LOG, GridRecord
from runner.lines import encode_line
from runner.messages import Refused
from runner.parsing import MalformedError, parse_json, parse_toml, printable
from runner.paths import CACHE_VARIABLE
from runner.worker_client import as_error, parse_reply
from suites.loader import refuse_doubles
from tests.fuzz.readers import readers
from tests.models.tiny_gguf import write_tiny
from tests.moesd.truth import FACTS
from tests.simulated import Config, manifest_of, simulate, write_study

GRID_HEADER = "K,gamma,B,speedup\n"
LOG_HEADER = "target,draft,gamma,tokens_per_s\n"


@pytest.mark.parametrize("parse", [parse_json, parse_toml])
@pytest.mark.parametrize(
    "content",
    [b"\xff", b"a = " + b"[" * 100_000, b"[" * 100_000, b'{"a": ' + b"9" * 5000, b"a = " + b"9" * 5000, b"\0"],
)
def test_whatever_a_parser_raises_is_one_reason(parse, content: bytes) -> None:
    with pytest.raises(MalformedError) as caught:
        parse(content, dict[str, int])
    assert str(caught.value).isprintable()


def test_a_name_in_a_file_cannot_break_the_line_nor_colour_the_terminal() -> None:
    assert printable("a\nb\x1b[31m\u2028c") == "a b [31m c"
    assert len(printable("x" * 10_000)) == 300


def test_values_named_ten_thousand_times_are_refused_at_once() -> None:
    with pytest.raises(SuiteError, match="names 9999 twice"):
        refuse_doubles([*range(20_000), 9999], "suite.toml: gammas")


def test_a_superfluous_cell_does_not_shift_the_columns(tmp_path) -> None:
    file = tmp_path / "points.csv"
    file.write_text(GRID_HEADER + "1,2,3,1.5,9\n")
    with pytest.raises(DataError, match=r"points\.csv:2: has 5 cells, the header 4"):
        read_grid(file, FACTS)


def test_a_point_is_refused_at_its_line_and_not_at_its_row(tmp_path) -> None:
    file = tmp_path / "points.csv"
    file.write_text(GRID_HEADER + "\n1,2,3,1.5\n\n1,2,4,fast\n")
    with pytest.raises(DataError, match=r"points\.csv:5: speedup fast is not a finite number"):
        read_grid(file, FACTS)


@pytest.mark.parametrize("character", ["\u2028", "\x0b", "\x1c", "\x85"])
def test_only_a_line_feed_ends_a_line_of_a_log(tmp_path, character: str) -> None:
    file = tmp_path / "log.csv"
    file.write_text(f"{LOG_HEADER}a{character}b,none,0,50\nc,none,0,x\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"log\.csv:3: tokens_per_s"):
        load_foreign(file)


def test_a_carriage_return_before_a_record_leaves_the_page_its_own(tmp_path) -> None:
    config = Config(suites=("moe-sd",), n_predict_tokens=6, prompts=("short",), blocks=1, gammas=(4,))
    records = simulate(config)
    folder = write_study(tmp_path / "study", manifest_of(config), records)
    log = folder / "runs.jsonl"
    log.write_bytes(b"\r" + log.read_bytes())
    packed, _ = packed_records(load_study(folder), folder)
    stored = gzip.decompress(base64.b64decode(packed)).split(b"\n")
    assert [json.loads(record)["run_id"] for record in stored] == [record.run_id for record in records]


def grid_log_with(folder, change) -> tuple[str, ...]:
    """What is noted about a grid log whose second record is changed."""
    next(reader for reader in readers() if reader.name == "moesd-grid log, analysed").prepare(folder)
    log = folder / "study" / GRID_LOG
    lines = log.read_bytes().splitlines(keepends=True)
    record = json.loads(lines[1])["run"]
    change(record)
    lines[1] = encode_line(msgspec.Raw(json.dumps(record).encode()))
    log.write_bytes(b"".join(lines))
    return read_experiment(log.parent, GRID_LOG, GridRecord).notes


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda record: record.pop("measurement"), "holds no measurement"),
        (lambda record: record["measurement"].update(cycle_ns=[0]), "Expected `int` >= 1"),
        (lambda record: record["measurement"].update(target_1_ns=[]), "of length >= 1"),
        (lambda record: record["measurement"].update(n_cycles=0), "Expected `int` >= 1"),
        (lambda record: record["measurement"].update(draft_ns=[10**400]), "draft_ns"),
    ],
)
def test_a_point_that_no_clock_can_have_measured_is_passed_over_by_its_line(tmp_path, change, said: str) -> None:
    passed_over = grid_log_with(tmp_path, change)[0]
    assert f"{GRID_LOG}:2: " in passed_over
    assert said in passed_over


@pytest.mark.parametrize("used", [0, 257])
def test_more_experts_used_than_counted_are_refused_by_both_files(tmp_path, used: int) -> None:
    next(reader for reader in readers() if reader.name == "routing log, analysed").prepare(tmp_path)
    manifest = tmp_path / "study" / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b'"n_experts_used":8', b'"n_experts_used":%d' % used))
    with pytest.raises(DataError, match=rf"routing\.jsonl:1: .* manifest\.json says that a token uses {used}"):
        routing_document(tmp_path / "study")


def test_an_answer_that_is_no_text_is_nonsense() -> None:
    for answer in (b'{"type": "Loaded\xff"}', b"[" * 100_000):
        with pytest.raises(WorkerError, match="answered nonsense"):
            parse_reply(answer)


@pytest.mark.parametrize("kind", ["annotations", "__name__", "no such error"])
def test_a_refusal_of_an_unknown_kind_is_the_engines(kind: str) -> None:
    assert type(as_error(Refused(kind=kind, message="refused"))) is EngineError


def test_an_offset_that_wraps_around_is_refused_without_a_warning(tmp_path) -> None:
    path = write_tiny(tmp_path / "m.gguf")
    whole = bytearray(path.read_bytes())
    name = b"blk.0.attn_q.weight"
    # Behind the name: number of dimensions, two dimensions, type, offset.
    offset = whole.index(name) + len(name) + 4 + 2 * 8 + 4
    whole[offset : offset + 8] = b"\xff" * 8
    path.write_bytes(whole)
    with pytest.raises(ModelError, match=r"m\.gguf: not a usable GGUF"):
        read_card(path)


def test_an_architecture_of_control_characters_cannot_break_the_message(tmp_path) -> None:
    path = write_tiny(tmp_path / "m.gguf")
    path.write_bytes(path.read_bytes().replace(b"llama", b"l\na\x1ba", 1))
    with pytest.raises(ModelError) as caught:
        read_card(path)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("table", [b"[" * 100_000, b'{"a": "not a digest"}', b"\xff"])
def test_a_damaged_table_of_digests_costs_nothing_but_time(tmp_path, monkeypatch, table: bytes) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    (tmp_path / "sha256.json").write_bytes(table)
    model = tmp_path / "model.bin"
    model.write_bytes(b"weights")
    assert file_sha256(model) == file_sha256(model)
    assert len(bytes.fromhex(file_sha256(model))) == 32
