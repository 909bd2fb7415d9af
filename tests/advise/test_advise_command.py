"""The command line: real tiny models from end to end, and every refusal in one line with exit status 2."""

import json
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from runner.advise import command as module
from runner.advise.request import find_models, read_prompts
from runner.cli import cli
from runner.errors import ModelError, RollbackError, UsageError
from runner.llama import preflight, session
from runner.llama.session import PairSession
from runner.models import check_pair
from runner.record import MachineFacts, MachineState
from runner.synthetic import tiny_foreign_model
from runner.wiring import Wiring


@pytest.fixture
def wiring(tiny):
    """This machine's own parts, but roles that are tiny models."""

    family = SimpleNamespace(
        paths={"dense-4b": tiny("qwen35"), "draft-0.8b": tiny("qwen35", draft=True), "draft-2b": tiny("llama")}
    )

    def unused(*_args, **_kwargs):
        raise AssertionError("advice needs no such part")

    return Wiring(
        resolve_family=lambda name, **_options: family,
        check_pair=check_pair,
        make_executor=unused,
        engine_facts=unused,
        machine_facts=lambda: MachineFacts(system="Test", architecture="test"),
        machine_state=MachineState,
        kept_awake=nullcontext,
        write_report=unused,
        tables=unused,
    )


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SPECSTUDY_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def prompts(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text("What is a river?\n---\n\ndef merge(a, b):\n\n    return a + b\n---\n", encoding="utf-8")
    return path


def run(wiring, *words: str):
    return CliRunner().invoke(cli, ["advise", *words], obj=wiring)


def small(prompts) -> list[str]:
    return [
        "--prompts",
        str(prompts),
        "--n-predict",
        "16",
        "--max-gamma",
        "3",
        "--threads",
        "1",
        "--budget",
        "90",
    ]


def test_advice_on_real_models_predicts_and_verifies_every_kind_of_drafter(wiring, tiny, prompts):
    target, draft = tiny("qwen35"), tiny("qwen35", draft=True)
    result = run(wiring, "--target", str(target), "--draft", str(draft), "--json", *small(prompts))
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    advice = report["advice"]
    assert {each["drafter"] for each in advice["predictions"]} == {"ngram", "qwen35-draft"}
    assert {each["gamma"] for each in advice["predictions"]} == {1, 2, 3}
    assert advice["keeps_snapshots"], "a hybrid target rolls back by snapshots"
    verified = [each["verified"] for each in advice["compared"] if each["verified"]]
    assert verified
    assert all(each["broken_texts"] == 0 for each in verified)
    assert report["memory_bytes"] > 0
    assert report["server_command"][:3] == ["llama-server", "--model", str(target)]
    assert "measuring qwen35-draft" in result.stderr


def test_lookup_alone_needs_no_draft_and_reads_as_text(wiring, tiny, prompts):
    result = run(wiring, "--target", str(tiny("llama")), "--draft", "none", *small(prompts))
    assert result.exit_code == 0, result.output
    assert "llama.cpp's server: llama-server" in result.stdout
    assert "ngram" in result.stdout


def test_a_draft_with_another_vocabulary_is_refused_before_anything_runs(wiring, tiny, prompts, tmp_path):
    foreign = tiny_foreign_model("llama", tmp_path / "foreign.gguf")
    result = run(wiring, "--target", str(tiny("llama")), "--draft", str(foreign), *small(prompts))
    assert isinstance(result.exception, ModelError)
    assert result.exception.exit_status == 2
    assert "another vocabulary" in str(result.exception)


def test_a_target_whose_rollback_cannot_be_proved_is_refused(wiring, prompts, monkeypatch):
    """Real llama.cpp refuses to trim recurrent state; here nothing else is tried, in this very process."""

    def opener(models, settings):
        def open_pair(pair, _limit_s):
            return PairSession(pair, models.paths[pair.target], models.paths[pair.draft], settings)

        return open_pair

    monkeypatch.setattr(module, "process_opener", opener)
    monkeypatch.setattr(preflight, "TARGET", replace(preflight.TARGET, strategies=lambda _model: ("trim",)))
    monkeypatch.setattr(session, "TARGET", preflight.TARGET)
    result = run(wiring, "--target", "dense-4b", *small(prompts))
    assert isinstance(result.exception, RollbackError)
    assert result.exception.exit_status == 2
    message = str(result.exception)
    assert "\n" not in message
    assert "rejected tokens cannot be taken back on this model (trim: llama_memory_seq_rm refused" in message
    assert result.stdout == ""


def test_a_pair_that_no_memory_holds_is_refused_before_it_is_loaded(wiring, tiny, prompts, monkeypatch):
    monkeypatch.setattr(module, "process_opener", lambda models, settings: pytest.fail)
    small_machine = MachineFacts(system="Test", architecture="test", memory_bytes=10**6)
    wiring = replace(wiring, machine_facts=lambda: small_machine)
    result = run(wiring, "--target", str(tiny("llama")), "--draft", "none", *small(prompts))
    assert isinstance(result.exception, UsageError)
    assert "llama-target takes " in str(result.exception)
    assert "of 1.0 MB: leave this pair out" in str(result.exception)


def test_a_missing_file_is_named(wiring, prompts, tmp_path, tiny):
    gone = tmp_path / "gone.gguf"
    result = run(wiring, "--target", str(tiny("llama")), "--draft", str(gone), *small(prompts))
    assert isinstance(result.exception, ModelError)
    assert "gone.gguf" in str(result.exception)


@pytest.mark.parametrize("content", [b"", b"---\n---\n", b"\xff\xfe\xfa"])
def test_a_prompts_file_without_text_is_refused(tmp_path, content):
    path = tmp_path / "prompts.txt"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"prompts\.txt"):
        read_prompts(path)


def test_prompts_are_separated_by_dashes_and_keep_their_blank_lines(prompts):
    first, second = read_prompts(prompts)
    assert (first.id, first.text) == ("mine-1", "What is a river?")
    assert second.text == "def merge(a, b):\n\n    return a + b"


def test_without_a_draft_a_role_gets_the_familys_drafts_and_a_path_gets_none(wiring, tiny):
    options = {"family": "auto", "models_dir": None, "overrides": {}}
    by_role = find_models("dense-4b", (), wiring, **options)
    assert by_role.drafts == ("draft-0.8b", "draft-2b")
    by_path = find_models(str(tiny("llama")), (), wiring, **options)
    assert (by_path.target, by_path.drafts) == ("llama-target", ())


@pytest.mark.parametrize("name", ["ngram", "none", "varied", "sweep", "oracle-0.50"])
def test_a_draft_file_named_like_a_drafter_is_another_thing(wiring, tiny, tmp_path, name):
    copy = tmp_path / f"{name}.gguf"
    copy.write_bytes(tiny("llama").read_bytes())
    models = find_models(str(tiny("llama")), (str(copy),), wiring, family="auto", models_dir=None, overrides={})
    assert models.drafts == (f"{name} ({copy})",)
    assert models.paths[models.drafts[0]] == copy


def test_a_budget_that_is_no_number_is_refused(wiring):
    result = run(wiring, "--budget", "nan")
    assert result.exit_code == 2
    assert "'--budget': nan is no number" in result.stderr


def test_two_files_of_one_name_stay_two_models(wiring, tiny, tmp_path):
    copy = tmp_path / tiny("llama").name
    copy.write_bytes(tiny("llama").read_bytes())
    options = {"family": "auto", "models_dir": None, "overrides": {}}
    models = find_models(str(tiny("llama")), (str(copy),), wiring, **options)
    assert models.paths[models.drafts[0]] == copy
    assert models.target != models.drafts[0]
