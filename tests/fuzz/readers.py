"""Every reader of files that this project did not write itself a moment ago."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from unittest import mock

import msgspec

from analysis.audit.from_log import log_evidence
from analysis.audit.report import findings_document
from analysis.audit.rules import judge
from analysis.experiments.routing import routing_document
from analysis.foreign import load_foreign
from analysis.foreign_summary import foreign_baseline_rows, foreign_rows
from analysis.load import load_study
from analysis.moesd.facts import bounds, read_facts
from analysis.moesd.grid import grid_of, read_grid
from analysis.moesd.source import load_source
from analysis.published import ModelFiles, PublishedStudy, StrideTable, TpotNotebook, read_toml
from analysis.render import render
from analysis.report.runs import packed_records
from runner.advise.request import read_prompts
from runner.errors import DataError, ModelError, StoreError, StudyError, SuiteError, UsageError, WorkerError
from runner.experiment import Experiment, Task
from runner.gguf_digest import file_sha256
from runner.gguf_facts import read_card
from runner.machine.chips import parse_chips
from runner.messages import Done, Refused
from runner.models.registry import parse_registry
from runner.paths import CACHE_VARIABLE, data_dir
from runner.routing_suite import RoutingExperiment
from runner.study import Study
from runner.worker_client import as_error, parse_reply
from suites.experiments import load_experiment
from suites.loader import SUITES_DIR, load_suite, load_suites
from tests.audit.foreign_logs import TALK, honest, rows, write
from tests.fuzz.mutations import binary, checked_line, json_line, json_value, text
from tests.fuzz.trial import Reader
from tests.grid_world import counts_of, grid_experiment, measurement_of, plan_of, write_log
from tests.models.tiny_gguf import write_tiny
from tests.moesd.truth import FACTS, true_grid
from tests.simulated import Config, manifest_of, simulate, write_study

_SMALL = Config(suites=("moe-sd",), n_predict_tokens=6, prompts=("short",), blocks=1, gammas=(4,))
_FEW = slice(0, 3)
_BENCH = {
    "build_commit": "abc", "model_filename": "qwen-Q4_K_M.gguf", "cpu_info": "cpu", "gpu_info": "", "n_prompt": 0,
    "n_gen": 128, "test_time": "2026-01-01T00:00:00Z", "avg_ts": 50.0, "avg_ns": 1,
    "samples_ts": [49.0, 50.0, 51.0],
}  # fmt: skip


def readers() -> tuple[Reader, ...]:
    """All of them."""
    return (*_suites(), *_studies(), *_experiments(), *_logs(), *_figures(), *_models(), *_others())


def _suites() -> Iterator[Reader]:
    for name, read in (
        ("moe-sd", lambda path: load_suite(path.stem, path.parent)),
        ("all", lambda path: load_suites(("all",), path.parent)),
        ("moesd-grid", lambda path: load_experiment(path.stem, path.parent)),
        ("routing", lambda path: load_experiment(path.stem, path.parent)),
    ):
        write = partial(_write_suites, name)
        yield Reader(f"suite {name}", f"{name}.toml", write, _silent(read), (text,), (SuiteError,))


def _write_suites(name: str, folder: Path) -> None:
    """The suite of that name beside a short `all`: all of the shipped ones would be read for every file."""
    shutil.copy(SUITES_DIR / "dense-sd.toml", folder)
    (folder / "all.toml").write_text('suites = ["dense-sd"]\n')
    if name != "all":
        shutil.copy(SUITES_DIR / f"{name}.toml", folder)


def _studies() -> Iterator[Reader]:
    records = simulate(_SMALL)
    runs = [record.run_id for record in records]

    def write(folder: Path) -> None:
        write_study(folder / "study", manifest_of(_SMALL), records)

    def resume(path: Path) -> None:
        with Study(path.parent, manifest_of(_SMALL), runs):
            pass

    by_line = {"by_line": True}
    log, manifest = "study/runs.jsonl", "study/manifest.json"
    yield Reader(
        "run log, continued", log, write, _silent(resume), (text, checked_line), (StoreError,), **by_line
    )
    yield Reader(
        "manifest, continued", manifest, write, _silent(resume), (text, json_value), (StoreError,), names="study"
    )
    yield Reader("run log, analysed", log, write, _analysed, (text, checked_line), (DataError,), **by_line)
    yield Reader("manifest, analysed", manifest, write, _analysed, (text, json_value), (DataError,))


def _analysed(path: Path) -> Iterator[str]:
    study = load_study(path.parent)
    yield from (note.message for note in study.notes)
    packed_records(study, path.parent)


def _experiments() -> Iterator[Reader]:
    grid, routing = grid_experiment(), RoutingExperiment(load_experiment("routing"), 1, "qwen3.5")
    measured = lambda task: {"measurement": measurement_of(task.subject)}  # noqa: E731
    counted = lambda task: {"n_experts": 256, "counts": counts_of(0.9)[:7]}  # noqa: E731
    for experiment, fields, show in (
        (grid, measured, lambda path: load_source(str(path.parent), None, None).notes),
        (routing, counted, lambda path: routing_document(path.parent).notes),
    ):
        write, resume = _experiment_at(experiment, fields)
        name, log = experiment.name, experiment.log.name
        shown, whole = _passed_over(show), "holds no measured point|manifest.json"
        yield Reader(
            f"{name} log, continued",
            f"study/{log}",
            write,
            resume,
            (text, checked_line),
            (StoreError,),
            by_line=True,
        )
        yield Reader(
            f"{name} log, analysed",
            f"study/{log}",
            write,
            shown,
            (text, checked_line),
            (DataError,),
            by_line=True,
            about_all=whole,
        )
        yield Reader(
            f"{name} manifest, analysed", "study/manifest.json", write, shown, (text, json_value), (DataError,)
        )


def _experiment_at(experiment: Experiment, fields: Callable[[Task], dict[str, object]]) -> tuple:
    tasks, manifest = plan_of(experiment)

    def write(folder: Path) -> None:
        write_log(folder / "study", experiment, tasks[_FEW], manifest, [*map(fields, tasks[_FEW])])

    def resume(path: Path) -> None:
        with Study(path.parent, manifest, [task.run_id for task in tasks], experiment.log):
            pass

    return write, _silent(resume)


def _passed_over(show: Callable[[Path], Iterable[str]]) -> Callable[[Path], Iterator[str]]:
    """What its notes say about lines that were left out."""

    def read(path: Path) -> Iterator[str]:
        yield from (note for note in show(path) if note.startswith("A line was passed over"))

    return read


def _logs() -> Iterator[Reader]:
    bench = [_BENCH, {**_BENCH, "n_prompt": 512, "n_gen": 0}]
    header = "build_commit,model_filename,n_prompt,n_gen,avg_ts,stddev_ts\n"
    contents = {
        "log.csv": None,
        "bench.csv": f"{header}abc,m.gguf,512,0,900,1\nabc,m.gguf,0,128,50,1\n".encode(),
        "bench.jsonl": b"\n".join(json.dumps(test).encode() for test in bench) + b"\n",
        "bench.json": json.dumps(bench).encode(),
    }
    mutators = {".csv": (text,), ".jsonl": (text, json_line), ".json": (text, json_value)}
    for file, content in contents.items():
        write = _file(file, content) if content else lambda folder: _short_log(folder / "log.csv")
        yield Reader(
            f"foreign {file}",
            file,
            write,
            _audited,
            mutators[Path(file).suffix],
            (DataError,),
            by_line=True,
            about_all="holds no run",
        )


def _short_log(path: Path) -> None:
    """Two baselines and two runs of one configuration."""
    kept = {("moe_q4", "none", 0, 0), ("moe_q4", "draft_2b", 4, 0)}
    key = ("target_model", "draft_model", "draft_len", "repeat")
    write(path, [row for row in rows(honest, TALK) if tuple(row[name] for name in key) in kept])


def _audited(path: Path) -> Iterator[str]:
    log = load_foreign(path)
    yield from log.problems
    foreign_rows(log)
    foreign_baseline_rows(log)
    evidence = log_evidence(log)
    render(findings_document(evidence, judge(evidence)), "md")


def _figures() -> Iterator[Reader]:
    published = data_dir() / "published"
    kinds = {
        "study306": PublishedStudy, "model_files": ModelFiles, "tpot": TpotNotebook, "moesd_stride": StrideTable
    }  # fmt: skip
    for name, kind in kinds.items():
        content = (published / f"{name}.toml").read_bytes()
        read = _silent(partial(read_toml, kind=kind))
        yield Reader(
            f"published {name}", f"{name}.toml", _file(f"{name}.toml", content), read, (text,), (DataError,)
        )
    facts = (published / "moesd_fig4.toml").read_bytes()
    yield Reader(
        "facts in TOML", "facts.toml", _file("facts.toml", facts), _silent(_bounded), (text,), (DataError,)
    )
    facts = msgspec.json.encode(FACTS)
    yield Reader(
        "facts in JSON",
        "facts.json",
        _file("facts.json", facts),
        _silent(_bounded),
        (text, json_value),
        (DataError,),
    )
    yield Reader(
        "moesd points", "points.csv", lambda folder: true_grid().frame.to_csv(folder / "points.csv", index=False),
        _silent(partial(read_grid, facts=FACTS)), (text,), (DataError,), by_line=True,
        about_all="missing column|no rows",
    )  # fmt: skip


def _bounded(path: Path) -> None:
    facts = read_facts(path)
    bounds(facts, 0.25)
    grid_of(true_grid().frame.drop(columns="speedup").assign(speedup=1.5), facts, path.name)


def _models() -> Iterator[Reader]:
    yield Reader(
        "GGUF",
        "m.gguf",
        lambda folder: write_tiny(folder / "m.gguf"),
        _silent(read_card),
        (binary,),
        (ModelError,),
    )
    for name, parse, error in (("models", parse_registry, ModelError), ("chips", parse_chips, DataError)):
        file = f"{name}.toml"
        content = (data_dir() / file).read_bytes()
        yield Reader(f"registry of {name}", file, _file(file, content), _silent(parse), (text,), (error,))


def _others() -> Iterator[Reader]:
    prompts = "One prompt.\nOf two lines.\n---\n日本語\n".encode()
    yield Reader("prompts", "p.txt", _file("p.txt", prompts), _silent(read_prompts), (text,), (UsageError,))
    yield Reader("digest table", "sha256.json", _digest_table, _digested, (text, json_value), ())
    done = msgspec.json.encode(Done(measurement=simulate(_SMALL)[0].measurement))
    refused = msgspec.json.encode(Refused(kind="EngineError", message="refused", code=-3))
    for name, reply in (("done", done), ("refused", refused)):
        yield Reader(
            f"reply {name}", "reply", _file("reply", reply), _answered, (text, json_value), (WorkerError,),
            names="the measuring process",
        )  # fmt: skip


def _digest_table(folder: Path) -> None:
    model = folder / "model.bin"
    model.write_bytes(b"weights")
    status = model.stat()
    read_later = folder.parent.resolve() / "work" / model.name
    key = f"{read_later}:{status.st_size}:{status.st_mtime_ns}"
    table = {key: hashlib.sha256(b"weights").hexdigest(), "other": "0" * 64}
    (folder / "sha256.json").write_bytes(msgspec.json.encode(table))


def _digested(path: Path) -> Iterable[str]:
    with mock.patch.dict(os.environ, {CACHE_VARIABLE: str(path.parent)}):
        assert len(bytes.fromhex(file_sha256(path.with_name("model.bin")))) == 32
    return ()


def _answered(path: Path) -> Iterable[str]:
    reply = parse_reply(path.read_bytes())
    if isinstance(reply, Refused):
        assert isinstance(as_error(reply), StudyError)
    return ()


def _file(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(content)


def _silent(read: Callable[[Path], object]) -> Callable[[Path], Iterable[str]]:
    """A reader that reads all or nothing."""

    def nothing_passed_over(path: Path) -> Iterable[str]:
        read(path)
        return ()

    return nothing_passed_over
