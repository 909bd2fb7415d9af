"""`models list`, `check` and `fetch` as a user meets them."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner
from huggingface_hub import constants

from runner.cli import cli
from runner.errors import ModelError, UsageError
from runner.models import fetch as fetching
from runner.models.registry import registry
from tests.models.hub_stub import HubStub
from tests.models.tiny_gguf import write_tiny

TWO_B = "Qwen3.5-2B-UD-Q8_K_XL.gguf"


def models(*arguments, **options):
    return CliRunner().invoke(cli, ["models", *map(str, arguments)], **options)


@pytest.fixture
def folder(tmp_path, hollow):
    made = tmp_path / "models"
    made.mkdir()
    os.link(hollow("2b"), made / TWO_B)
    return made


class TestList:
    def test_names_each_role_with_its_file_or_what_to_get(self, folder):
        shown = models("list", "--models-dir", folder)
        assert shown.exit_code == 0
        lines = {line.split()[0]: line for line in shown.stdout.splitlines() if line and not line.startswith(" ")}
        assert str(folder / TWO_B) in lines["draft-2b"]
        assert "2.0 GB" in lines["draft-2b"]
        assert "not here" in lines["moe-q4"]
        assert "Qwen3.5-35B-A3B-Q4_K_M.gguf (22.0 GB)" in lines["moe-q4"]

    def test_says_where_was_looked_and_what_is_not_there(self, folder):
        shown = models("list", "--models-dir", folder).stdout
        assert f"--models-dir     {folder}\n" in shown
        assert ".lmstudio/models  (not there)" in shown

    def test_prints_the_same_for_programs(self, folder):
        told = json.loads(models("list", "--models-dir", folder, "--json").stdout)
        assert list(told["roles"]) == list(registry().roles)
        assert told["roles"]["draft-2b"] == {"path": str(folder / TWO_B), "place": "--models-dir"}
        assert told["roles"]["moe-q4"] is None
        assert told["places"][0] == {"label": "--models-dir", "path": str(folder), "exists": True}


class TestCheck:
    def test_passes_what_is_what_its_name_says(self, folder):
        shown = models("check", "draft-2b", "dense-2b", "--models-dir", folder)
        assert shown.exit_code == 0, shown.output
        assert "ok    all 1 pairs of target and draft share their vocabulary" in shown.stdout
        assert "1.9 B parameters, 1.9 B active, 2.0 GB read per token" in shown.stdout

    def test_fails_for_a_role_without_a_file(self, folder):
        shown = models("check", "draft-2b", "moe-q8", "--models-dir", folder)
        assert shown.exit_code == 1
        assert "fail  moe-q8       no file here; fetch it with `models fetch moe-q8`" in shown.stdout

    def test_fails_for_a_file_that_is_another_model(self, folder, hollow):
        os.link(hollow("0.8b"), folder / "Qwen3.5-4B-Q8_0.gguf")
        shown = models("check", "dense-4b", "--models-dir", folder, "--json")
        assert shown.exit_code == 1
        (report,) = json.loads(shown.stdout)["roles"]
        assert report["severity"] == "fail"
        assert "layers: 24 instead of 32; it is another model" in report["findings"]

    def test_only_warns_of_another_model_that_was_named_by_hand(self, folder, hollow):
        shown = models("check", "dense-4b", "--role", f"dense-4b={hollow('0.8b')}")
        assert shown.exit_code == 0
        assert shown.stdout.startswith("warn  dense-4b")

    def test_fails_for_a_pair_of_other_vocabularies_and_names_the_token(self, tmp_path):
        target = write_tiny(tmp_path / "target.gguf")
        draft = write_tiny(tmp_path / "draft.gguf", tokens=["<s>", "a", "x", "ab", "é", "日"])
        shown = models(
            "check", "dense-4b", "draft-2b", "--role", f"dense-4b={target}", "--role", f"draft-2b={draft}"
        )
        assert shown.exit_code == 1
        assert "fail  draft-2b for dense-4b: " in shown.stdout
        assert "first difference at token 2: 'x' instead of 'b'" in shown.stdout

    def test_fails_for_a_damaged_file_and_still_reports_the_others(self, folder):
        (folder / "Qwen3.5-9B-BF16.gguf").write_bytes(b"GGUF" + b"\x00" * 50)
        shown = models("check", "dense-9b", "draft-2b", "--models-dir", folder)
        assert shown.exit_code == 1
        assert "fail  dense-9b" in shown.stdout
        assert "ok    draft-2b" in shown.stdout

    def test_tells_an_mtp_block_that_plain_decoding_does_not_run(self, hollow):
        path = hollow("0.8b", mtp_blocks=1)
        shown = models("check", "draft-0.8b", "--role", f"draft-0.8b={path}", "--json")
        (report,) = json.loads(shown.stdout)["roles"]
        assert report["mtp_layers"] == 1
        assert any("MTP block" in finding for finding in report["findings"])

    def test_refuses_unknown_roles_and_malformed_paths(self):
        assert isinstance(models("check", "moe-q5").exception, UsageError)
        assert isinstance(models("check", "--role", "moe-q4").exception, UsageError)


class TestFetch:
    @pytest.fixture
    def hub(self, monkeypatch):
        with HubStub() as stub:
            stub.repositories["unsloth/Qwen3.5-2B-GGUF"] = {TWO_B: b"weights" * 1000}
            stub.repositories["unsloth/Qwen3.5-4B-GGUF"] = {"Qwen3.5-4B-Q8_0.gguf": b"more" * 1000}
            monkeypatch.setattr(constants, "ENDPOINT", stub.endpoint)
            monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", _template(stub.endpoint))
            monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
            yield stub

    def test_asks_before_it_downloads_and_downloads_after_a_yes(self, hub):
        shown = models("fetch", "draft-2b", input="y\n")
        assert shown.exit_code == 0, shown.output
        assert "Download 7.0 kB? [y/N]: y" in shown.stderr
        role, path = shown.stdout.strip().split("\t")
        assert role == "draft-2b"
        assert Path(path).read_bytes() == b"weights" * 1000

    @pytest.mark.parametrize("answer", ["n\n", "\n", ""])
    def test_downloads_nothing_without_a_yes(self, hub, answer):
        shown = models("fetch", "draft-2b", input=answer)
        assert isinstance(shown.exception, UsageError)
        assert hub.ranges() == []

    def test_needs_no_question_with_yes_and_skips_what_is_here(self, hub, folder):
        shown = models("fetch", "draft-2b", "dense-4b", "--models-dir", folder, "--yes")
        assert shown.exit_code == 0, shown.output
        assert "draft-2b     is here (--models-dir)" in shown.stderr
        assert [name for _, name, asked in hub.requests if name.endswith(".gguf")] == ["Qwen3.5-4B-Q8_0.gguf"]

    def test_has_nothing_to_do_when_all_is_here(self, hub, folder):
        shown = models("fetch", "draft-2b", "--models-dir", folder)
        assert (shown.exit_code, shown.stdout, hub.requests) == (0, "", [])

    def test_tells_a_full_disk_before_it_asks(self, hub, monkeypatch):
        monkeypatch.setattr(fetching, "RESERVE_BYTES", 10**18)
        shown = models("fetch", "draft-2b")
        assert isinstance(shown.exception, ModelError)
        assert "Download" not in shown.stderr


def _template(endpoint):
    return endpoint + "/{repo_id}/resolve/{revision}/{filename}"
