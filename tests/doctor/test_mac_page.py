"""docs/mac.md says what the code does: every check, every place, every figure."""

import re
from pathlib import Path

import pytest

from runner.compose import Wish
from runner.doctor import examine as examining
from runner.doctor.examine import examine
from runner.doctor.work import work_of
from runner.executor import Pair
from runner.gguf_facts import read_card
from runner.memory_need import need_of
from runner.models.places import MODELS_VARIABLE, places
from runner.models.registry import registry
from tests.doctor.test_single_checks import SETTINGS
from tests.doctor.world import MAC, METAL_BUILD, Executor, family_of_tiny_files, mac_source, wiring_of
from tests.models.real_shapes import write_hollow

PAGE = (Path(__file__).parents[2] / "docs" / "mac.md").read_text(encoding="utf-8")


def test_every_check_of_the_doctor_has_its_place_on_the_page(tmp_path, monkeypatch):
    monkeypatch.setattr(examining, "other_load", list)
    executor = Executor(layers={"MTL0": 25})
    wiring = wiring_of(family_of_tiny_files(tmp_path), executor, machine=MAC, engine=METAL_BUILD)
    wish = Wish(names=("all",))
    told = {line.check for line in examine(wish, work_of(wish, wiring), wiring, mac_source())}
    words = {name.strip() for row in re.findall(r"^\| ([^|]+) \|", PAGE, re.MULTILINE) for name in row.split(",")}
    assert told - words - {"power mode"} == set()
    assert "mode" in words


def test_every_place_that_is_looked_in_is_on_the_page(tmp_path):
    environ = {MODELS_VARIABLE: "/m", "LLAMA_CACHE": "/l"}
    for place in places(tmp_path, environ=environ, home=Path("/home")):
        assert place.label.removesuffix(" cache") in PAGE
        relative = str(place.root).removeprefix("/home/")
        assert place.label in {"--models-dir", MODELS_VARIABLE, "LLAMA_CACHE", "Hub cache"} or relative in PAGE


def test_the_size_of_everything_is_the_registrys():
    sizes = {file.name: file.bytes for role in registry().roles for file in registry().entry(role).files[:1]}
    stated = float(re.search(r"Everything needs about\s+(\d+) GB", PAGE)[1])
    assert sum(sizes.values()) / 1e9 == pytest.approx(stated, abs=0.5)


def test_the_memory_of_the_largest_pair_is_what_the_doctor_reckons(tmp_path):
    cards = {
        role: read_card(write_hollow(tmp_path / f"{role}.gguf", model))
        for role, model in (("moe-q8", "35b-a3b"), ("draft-2b", "2b"))
    }
    need = need_of(Pair(target="moe-q8", draft="draft-2b", gammas=(0, 4, 8, 16)), cards, SETTINGS)
    stated = float(re.search(r"The MoE Q8 pair needs about (\d+) GB", PAGE)[1])
    assert need.total_bytes / 1e9 == pytest.approx(stated, abs=1)
    assert need.compute_bytes > need.recurrent_bytes > need.kv_bytes
