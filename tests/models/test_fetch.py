"""Fetching survives what happens to downloads of many gigabytes, and leaves no file that is not the Hub's."""

import errno
import hashlib
import shutil
from collections import namedtuple
from pathlib import Path

import filelock
import pytest
from huggingface_hub import constants, file_download

from runner.errors import ModelError
from runner.models import fetch as fetching
from runner.models import places
from runner.models.family import find_files
from runner.models.fetch import fetch, order_for, refuse_without_space
from runner.models.hub import choose_files
from runner.models.registry import registry
from tests.models.hub_stub import HubStub

ROLE = "draft-0.8b"
REPOSITORY = "unsloth/Qwen3.5-0.8B-GGUF"
NAME = "Qwen3.5-0.8B-UD-Q8_K_XL.gguf"
CONTENT = bytes(range(256)) * 400


@pytest.fixture
def hub(monkeypatch):
    with HubStub() as stub:
        others = {"mmproj-BF16.gguf": b"vision", "Qwen3.5-0.8B-Q8_0.gguf": b"q8"}
        stub.repositories[REPOSITORY] = {NAME: CONTENT, **others}
        monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 4096)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
        monkeypatch.setattr(file_download.time, "sleep", lambda seconds: None)
        yield stub


def partials():
    return list(Path(constants.HF_HUB_CACHE).rglob("*.partial"))


def fetched(hub, *roles):
    return fetch(order_for(roles or [ROLE], hub.endpoint), hub.endpoint)


def test_a_file_is_fetched_into_the_hub_cache_and_found_there(hub):
    path = fetched(hub)[ROLE]
    assert path.read_bytes() == CONTENT
    assert path.resolve().name == hashlib.sha256(CONTENT).hexdigest()
    assert find_files([ROLE], places.places(None))[ROLE].path == path
    assert partials() == []


def test_what_is_here_whole_is_not_fetched_again(hub):
    fetched(hub)
    order = order_for([ROLE], hub.endpoint)
    assert order.open_bytes == 0
    fetched(hub)
    assert len(hub.ranges()) == 1


def test_a_broken_connection_is_resumed_where_it_broke(hub):
    hub.break_after = [40_000, None]
    assert fetched(hub)[ROLE].read_bytes() == CONTENT
    first, second = hub.ranges()
    assert first is None
    assert second.startswith("bytes=36864-")


def test_a_fetch_that_was_given_up_is_resumed_by_the_next_one(hub, monkeypatch):
    hub.break_after = [40_000] + [0] * 20
    with pytest.raises(ModelError, match=r"the connection failed .* it goes on where it was"):
        fetched(hub)
    kept = partials()[0].stat().st_size
    assert kept > 30_000
    assert order_for([ROLE], hub.endpoint).open_bytes == len(CONTENT) - kept
    hub.break_after = []
    assert fetched(hub)[ROLE].read_bytes() == CONTENT
    assert hub.ranges()[-1] == f"bytes={kept}-"


def test_a_server_that_ignores_ranges_is_read_from_the_start(hub):
    hub.break_after, hub.ignore_range = [40_000, None], True
    assert fetched(hub)[ROLE].read_bytes() == CONTENT


def test_a_wrong_checksum_leaves_nothing_behind(hub):
    hub.corrupt = True
    with pytest.raises(ModelError, match="the checksum does not fit, so it was thrown away"):
        fetched(hub)
    assert partials() == []
    assert not find_files([ROLE], places.places(None))
    hub.corrupt = False
    assert fetched(hub)[ROLE].read_bytes() == CONTENT


def test_a_partial_file_that_is_too_long_is_started_anew(hub):
    hub.break_after = [40_000] + [0] * 20
    with pytest.raises(ModelError):
        fetched(hub)
    partials()[0].write_bytes(b"x" * (len(CONTENT) + 5))
    hub.break_after = []
    assert fetched(hub)[ROLE].read_bytes() == CONTENT


def test_too_little_space_is_told_before_anything_is_fetched(hub, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, 10**9))
    with pytest.raises(ModelError, match=r"1\.0 GB free, 1\.1 GB needed; free some, set HF_HOME"):
        refuse_without_space(order_for([ROLE], hub.endpoint))
    assert hub.ranges() == []


def test_a_disk_that_fills_up_meanwhile_keeps_what_came(hub, monkeypatch):
    def fill_up(url, stream, **options):
        stream.write(CONTENT[:1000])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(fetching, "http_get", fill_up)
    with pytest.raises(ModelError, match="the disk is full; free some space and run the same command again"):
        fetched(hub)
    assert partials()[0].stat().st_size == 1000


def test_a_cache_that_is_not_ours_to_write_is_named(hub, monkeypatch, tmp_path):
    (tmp_path / "locked").write_text("a file where a folder should be")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "locked" / "hub"))
    with pytest.raises(ModelError, match=r"locked.* cannot be written; set HF_HOME to a folder of yours"):
        fetch(order_for([ROLE], hub.endpoint), hub.endpoint)


def test_missing_permission_is_told_as_such(hub, monkeypatch):
    def refuse(self, *args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    order = order_for([ROLE], hub.endpoint)
    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(ModelError, match=r"blobs cannot be written; set HF_HOME"):
        fetch(order, hub.endpoint)


def test_another_fetch_of_the_same_file_is_waited_for_by_its_user(hub):
    order = order_for([ROLE], hub.endpoint)
    lock = fetching._lock(order.unique[0])
    lock.parent.mkdir(parents=True)
    with filelock.FileLock(lock), pytest.raises(ModelError, match="another process is fetching it"):
        fetch(order, hub.endpoint)


@pytest.mark.parametrize(
    ("status", "message"),
    [
        ((403, "GatedRepo"), r"wants its terms accepted first; .* log in with `hf auth login`"),
        ((404, "RepoNotFound"), "knows no such repository or shows it only to some"),
        ((401, ""), "the Hub answered 401; .* HF_TOKEN"),
        ((500, ""), "the Hub answered 500; try again later"),
    ],
)
def test_what_the_hub_refuses_says_what_to_do(hub, status, message):
    hub.status[REPOSITORY] = status
    with pytest.raises(ModelError, match=message) as caught:
        order_for([ROLE], hub.endpoint)
    assert "\n" not in str(caught.value)


def test_without_a_network_the_way_without_it_is_told():
    with pytest.raises(ModelError, match=r"the connection failed .* --models-dir"):
        order_for([ROLE], "http://127.0.0.1:9")


def test_offline_mode_is_respected_and_named(hub, monkeypatch):
    from huggingface_hub.utils import _http

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(_http, "_GLOBAL_CLIENT", None)
    with pytest.raises(ModelError, match=r"while the Hub is switched off; unset HF_HUB_OFFLINE"):
        order_for([ROLE], hub.endpoint)


def test_a_repository_without_a_fitting_file_says_what_was_looked_for(hub):
    hub.repositories[REPOSITORY] = {"Qwen3.5-0.8B-IQ2_XS.gguf": b"x"}
    with pytest.raises(ModelError, match=r"offers none of Qwen3\.5-0\.8B-UD-Q8_K_XL, .* --role draft-0\.8b=PATH"):
        order_for([ROLE], hub.endpoint)


def test_roles_that_share_a_file_fetch_it_once(hub):
    name = "Qwen3.5-2B-UD-Q8_K_XL.gguf"
    hub.repositories["unsloth/Qwen3.5-2B-GGUF"] = {name: CONTENT}
    order = order_for(["dense-2b", "draft-2b"], hub.endpoint)
    assert order.total_bytes == len(CONTENT)
    paths = fetch(order, hub.endpoint)
    assert paths["dense-2b"] == paths["draft-2b"]
    assert len(hub.ranges()) == 1


def test_all_parts_of_a_split_model_belong_to_the_order(hub):
    parts = {f"BF16/Qwen3.5-9B-BF16-{n:05d}-of-00002.gguf": bytes([n]) * 99 for n in (1, 2)}
    hub.repositories["unsloth/Qwen3.5-9B-GGUF"] = {**parts, "Qwen3.5-9B-Q8_0.gguf": b"other"}
    order = order_for(["dense-9b"], hub.endpoint)
    assert [file.name for file in order.files["dense-9b"]] == list(parts)
    first = fetch(order, hub.endpoint)["dense-9b"]
    assert sorted(path.name for path in first.parent.iterdir()) == [name.split("/")[1] for name in parts]


def test_the_registrys_order_decides_which_offered_file_is_taken(hub):
    wanted = registry().entry(ROLE).files
    offered = order_for([ROLE], hub.endpoint).files[ROLE]
    assert choose_files(wanted, offered)[0].name == NAME
    assert choose_files(wanted[1:], offered) == []
