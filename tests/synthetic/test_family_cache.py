"""The family in its cache: built once, checked always, whole or not at all."""

import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from runner.errors import ModelError, UsageError
from runner.synthetic import build, build_family, cache, family_dir

ROLES = ("draft-0.8b", "dense-0.8b")
ALONE = """
import sys
from runner.synthetic import build_family
print(build_family(roles=["draft-2b"], on_progress=lambda text: print(text, file=sys.stderr))["draft-2b"])
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("SPECSTUDY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def built(roles=ROLES) -> tuple[dict[str, Path], list[str]]:
    """Paths by role, and what was said while building."""
    said: list[str] = []
    return build_family(roles=roles, on_progress=said.append), said


def test_roles_of_one_member_get_the_same_file():
    paths, _ = built()
    assert set(paths) == set(ROLES)
    assert paths["draft-0.8b"] == paths["dense-0.8b"] == family_dir() / "0.8b.gguf"


def test_building_says_what_it_does_and_a_second_call_has_nothing_to_do():
    paths, said = built()
    date = paths["draft-0.8b"].stat().st_mtime_ns
    assert said == [
        "synthetic family: writing 0.8b, 5 M weights",
        "synthetic family: quantising 0.8b to Q8_0",
    ]
    assert built() == (paths, [])
    assert paths["draft-0.8b"].stat().st_mtime_ns == date


@pytest.mark.parametrize("damage", ["one byte", "cut short", "gone", "no checksum", "checksum of nothing"])
def test_a_damaged_file_is_rebuilt_byte_for_byte(damage):
    path = built()[0]["draft-0.8b"]
    checksum = path.with_name(path.name + ".sha256")
    good = path.read_bytes()
    match damage:
        case "one byte":
            path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        case "cut short":
            path.write_bytes(good[:-4096])
        case "gone":
            path.unlink()
        case "no checksum":
            checksum.unlink()
        case "checksum of nothing":
            checksum.write_text("")
    _, said = built()
    assert said
    assert path.read_bytes() == good
    assert built()[1] == []


def test_the_checksum_file_is_what_sha256sum_reads(own_cache):
    path = built()[0]["draft-0.8b"]
    digest, name = path.with_name("0.8b.gguf.sha256").read_text().split()
    assert name == "0.8b.gguf"
    assert len(digest) == 64


def test_nothing_but_the_files_and_their_checksums_stays_in_the_folder():
    built()
    leftover = family_dir() / ".building-killed"
    leftover.mkdir()
    (leftover / "unquantised.gguf").write_bytes(b"half a model")
    (family_dir() / "0.8b.gguf").unlink()
    built()
    assert sorted(path.name for path in family_dir().iterdir()) == ["0.8b.gguf", "0.8b.gguf.sha256"]


def test_another_recipe_or_another_llama_cpp_has_another_folder(monkeypatch):
    before = family_dir()
    monkeypatch.setattr(cache, "RECIPE", cache.RECIPE + 1)
    other_recipe = family_dir()
    monkeypatch.setattr(cache, "version", lambda _: "0.0.1")
    assert len({before, other_recipe, family_dir()}) == 3


def test_two_processes_at_once_build_one_file_and_both_find_it():
    processes = [
        subprocess.Popen([sys.executable, "-c", ALONE], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    answers = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], answers
    paths = {stdout.strip() for stdout, _ in answers}
    assert paths == {str(family_dir() / "2b.gguf")}
    assert sum(stderr.count("writing 2b") for _, stderr in answers) == 1
    assert built(["draft-2b"])[1] == []


def test_an_unknown_role_is_refused_with_the_roles_there_are():
    with pytest.raises(UsageError, match=r"no role dense-70b; choose from moe-q4, .*draft-tiny$"):
        build_family(roles=["dense-70b", "draft-0.8b"])
    assert not family_dir().exists()


def test_a_full_disk_is_refused_before_anything_is_written(monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**12, 10**12 - 10**6, 10**6))
    with pytest.raises(ModelError, match=r"needs \d+ MB, only 1 MB are free.*SPECSTUDY_CACHE"):
        build_family(roles=ROLES)
    assert list(family_dir().iterdir()) == []


def test_a_cache_folder_that_cannot_be_made_is_one_clear_error(own_cache):
    own_cache.write_text("a file where the folder should be")
    with pytest.raises(ModelError, match=r"cannot build the synthetic family there .*SPECSTUDY_CACHE"):
        build_family(roles=ROLES)


def test_a_build_that_fails_leaves_no_file_behind(monkeypatch):
    def fail(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(build, "quantise", fail)
    with pytest.raises(ModelError, match=r"No space left on device"):
        build_family(roles=ROLES)
    assert list(family_dir().iterdir()) == []


def test_the_whole_family_is_promised_to_fit_a_gigabyte():
    members = [build.member_of(role) for role in build.ROLES]
    unique = {member.name: member for member in members}.values()
    assert build.needed_bytes(unique) < 1e9
