"""llama-bench's output as rows of a foreign log: JSON (an array), JSONL (an object a line) and CSV.

llama-bench knows no draft model, so every row is a baseline. Its generation tests have n_gen > 0 and n_prompt 0;
prompt tests and mixed ones time something else and are left out. Field names: llama.cpp, tools/llama-bench.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath, PureWindowsPath
from typing import TypeVar

import msgspec

from runner.errors import DataError
from runner.parsing import MalformedError, parse_json
from runner.record import NO_DRAFT

_T = TypeVar("_T")

_CSV_NAMES = {
    "model_filename": "target", "avg_ts": "tokens_per_s", "n_gen": "n_predict_tokens",
    "n_prompt": "n_prompt_tokens", "build_commit": "build", "gpu_info": "chip", "test_time": "timestamp",
}  # fmt: skip


class BenchTest(msgspec.Struct, frozen=True):
    """The fields that we read of one llama-bench object; others are ignored."""

    model_filename: str
    n_prompt: int
    n_gen: int
    avg_ts: float
    build_commit: str = ""
    cpu_info: str = ""
    gpu_info: str = ""
    test_time: str = ""
    samples_ts: tuple[float, ...] = ()


def is_bench_header(header: list[str]) -> bool:
    """Whether a CSV header is llama-bench's."""
    return {"build_commit", "model_filename", "avg_ts"} <= set(header)


def bench_csv_names() -> dict[str, str]:
    """Our name for each column of llama-bench's CSV that we read."""
    return dict(_CSV_NAMES)


def is_generation(row: Mapping[str, object]) -> bool:
    """Whether a CSV row in our names timed plain generation, and neither a prompt nor a mixture."""
    return row.get("n_predict_tokens") not in ("0", "") and row.get("n_prompt_tokens") in ("0", "")


def bench_rows(text: str, name: str) -> Iterator[tuple[int, Mapping[str, object]]]:
    """One row a repetition of each generation test, with the line of its object (JSON: its place in the array).

    Raises DataError when the text is not llama-bench's.
    """
    for place, test in _tests(text, name):
        if test.n_gen > 0 and test.n_prompt == 0:
            for repeat, rate in enumerate(test.samples_ts or (test.avg_ts,)):
                yield place, _row(test, repeat, rate)


def _tests(text: str, name: str) -> Iterator[tuple[int, BenchTest]]:
    if text.lstrip().startswith("["):
        yield from enumerate(_decode(text, list[BenchTest], f"{name}:1"), start=1)
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, _decode(line, BenchTest, f"{name}:{number}")


def _decode(text: str, kind: type[_T], where: str) -> _T:
    try:
        return parse_json(text, kind)
    except MalformedError as error:
        raise DataError(f"{where}: not a llama-bench result ({error})") from None


def _row(test: BenchTest, repeat: int, rate: float) -> dict[str, object]:
    stem = PurePosixPath(PureWindowsPath(test.model_filename).as_posix()).stem
    return {
        "run": f"{stem} tg{test.n_gen} {repeat}", "timestamp": test.test_time, "build": test.build_commit,
        "chip": test.gpu_info or test.cpu_info, "target": stem, "draft": NO_DRAFT, "gamma": 0,
        "n_prompt_tokens": 0, "n_predict_tokens": test.n_gen, "repeat": repeat, "prompt": "llama-bench",
        "tokens_per_s": rate,
    }  # fmt: skip
