"""Each role finds its file in each place; what is missing, renamed or swapped is told by its own message."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runner.errors import ModelError, UsageError
from runner.models import family as family_module
from runner.models import resolve_family
from runner.models.places import MODELS_VARIABLE, places
from runner.models.registry import parse_registry, registry

CONTENT = {
    "moe-q4": ("35b-a3b", "Q4_K_M"),
    "moe-q8": ("35b-a3b", "Q8_0"),
    "dense-0.8b": ("0.8b", "BF16"),
    "dense-2b": ("2b", "Q8_0"),
    "dense-4b": ("4b", "Q8_0"),
    "dense-9b": ("9b", "BF16"),
    "draft-0.8b": ("0.8b", "Q8_0"),
    "draft-2b": ("2b", "Q8_0"),
}


@pytest.fixture
def put(hollow):
    """Put the first-choice file of a role, or any other content under its name, into a folder."""

    def place(folder, role, content=None, name=None):
        name = name or f"{registry().entry(role).files[0].name}.gguf"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / name
        if not path.exists():
            os.link(hollow(*(content or CONTENT[role])), path)
        return path

    return place


def whole_tree(put, folder):
    return {role: put(folder, role) for role in CONTENT}


PLACES = {
    "Hub cache": "hub/models--unsloth--Qwen3.5-GGUF/snapshots/0123abcd",
    "llama.cpp on a Mac": "Library/Caches/llama.cpp",
    "llama.cpp on Linux": ".cache/llama.cpp",
    "LM Studio": ".lmstudio/models/lmstudio-community/Qwen3.5-GGUF",
    "LM Studio, older": ".cache/lm-studio/models/unsloth/Qwen3.5-GGUF",
}


@pytest.mark.parametrize("place", PLACES)
def test_models_are_found_where_other_tools_left_them(put, empty_machine, place):
    path = put(empty_machine / PLACES[place], "draft-0.8b")
    found = resolve_family("qwen3.5", roles=["draft-0.8b"])
    assert found.paths == {"draft-0.8b": path}
    assert found.name == "qwen3.5"


def test_the_folder_on_the_command_line_wins_over_the_variable_and_that_over_caches(
    put, empty_machine, tmp_path, monkeypatch
):
    cached = put(empty_machine / PLACES["Hub cache"], "draft-2b")
    assert resolve_family("qwen3.5", roles=["draft-2b"]).paths["draft-2b"] == cached
    by_variable = put(tmp_path / "variable", "draft-2b")
    monkeypatch.setenv(MODELS_VARIABLE, f"{tmp_path / 'nothing'}{os.pathsep}{tmp_path / 'variable'}")
    assert resolve_family("qwen3.5", roles=["draft-2b"]).paths["draft-2b"] == by_variable
    by_option = put(tmp_path / "option", "draft-2b")
    found = resolve_family("qwen3.5", roles=["draft-2b"], models_dir=tmp_path / "option")
    assert found.paths["draft-2b"] == by_option


def test_llama_cache_counts_and_its_flat_names_too(put, tmp_path, monkeypatch):
    monkeypatch.setenv("LLAMA_CACHE", str(tmp_path / "flat"))
    name = "unsloth_Qwen3.5-4B-GGUF_Qwen3.5-4B-Q8_0.gguf"
    path = put(tmp_path / "flat", "dense-4b", name=name)
    assert resolve_family("qwen3.5", roles=["dense-4b"]).paths["dense-4b"] == path


def test_within_a_place_the_better_file_of_the_registry_wins(put, tmp_path):
    worse = put(tmp_path, "dense-9b", ("9b", "Q8_0"), "Qwen3.5-9B-Q8_0.gguf")
    assert resolve_family("qwen3.5", roles=["dense-9b"], models_dir=tmp_path).paths["dense-9b"] == worse
    better = put(tmp_path, "dense-9b")
    assert resolve_family("qwen3.5", roles=["dense-9b"], models_dir=tmp_path).paths["dense-9b"] == better


@pytest.mark.parametrize(
    "name",
    [
        "mmproj-Qwen3.5-4B-Q8_0.gguf",
        "Qwen3.5-4B-Q8_0.gguf.part",
        "Foo-Qwen3.5-4B-Q8_0.gguf",
        "Qwen3.5-4B-Q8_0-finetuned.gguf",
        "Qwen3.5-4B-Q8_0-00002-of-00003.gguf",
    ],
)
def test_files_that_only_look_alike_are_left_alone(put, tmp_path, name):
    put(tmp_path, "dense-4b", name=name)
    with pytest.raises(ModelError, match=r"no file for dense-4b \(Qwen3\.5-4B-Q8_0\.gguf\)"):
        resolve_family("qwen3.5", roles=["dense-4b"], models_dir=tmp_path)


def test_a_link_to_a_file_that_is_gone_is_passed_over(put, empty_machine, tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "Qwen3.5-4B-Q8_0.gguf").symlink_to(tmp_path / "gone")
    path = put(empty_machine / PLACES["LM Studio"], "dense-4b")
    found = resolve_family("qwen3.5", roles=["dense-4b"], models_dir=tmp_path / "models")
    assert found.paths["dense-4b"] == path


def test_a_folder_that_is_none_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"--models-dir .*nowhere: no such folder"):
        resolve_family("auto", models_dir=tmp_path / "nowhere")


class TestAuto:
    def test_takes_the_real_family_when_every_role_has_its_file(self, put, empty_machine):
        tree = whole_tree(put, empty_machine / PLACES["LM Studio"])
        found = resolve_family("auto")
        assert (found.name, dict(found.paths)) == ("qwen3.5", tree)
        assert "every role" in found.reason

    def test_says_which_roles_made_it_take_the_built_in_family(self, put, empty_machine, monkeypatch):
        put(empty_machine / PLACES["LM Studio"], "draft-0.8b")
        monkeypatch.setattr(family_module, "_synthetic", lambda roles, given, reason, progress: (roles, reason))
        roles, reason = resolve_family("auto", roles=["draft-0.8b", "moe-q4"])
        assert roles == ("draft-0.8b", "moe-q4")
        assert "1 of 2 roles of qwen3.5 have no file here (moe-q4)" in reason

    def test_says_so_when_nothing_of_the_real_family_is_here(self, monkeypatch):
        monkeypatch.setattr(family_module, "_synthetic", lambda roles, given, reason, progress: reason)
        assert resolve_family("auto") == "auto: no file of qwen3.5 is here"

    def test_takes_the_built_in_family_for_roles_that_only_it_has(self, monkeypatch):
        monkeypatch.setattr(family_module, "_synthetic", lambda roles, given, reason, progress: reason)
        assert resolve_family("auto", roles=["moe-64"]) == "auto: only the built-in family has moe-64"
        with pytest.raises(UsageError, match="role 'moe-64' is not known"):
            resolve_family("qwen3.5", roles=["moe-64"])

    def test_a_given_folder_or_file_means_the_real_family_and_never_falls_back(self, put, tmp_path):
        path = put(tmp_path / "mine", "moe-q4")
        with pytest.raises(ModelError, match="no file for draft-2b"):
            resolve_family("auto", roles=["moe-q4", "draft-2b"], models_dir=tmp_path / "mine")
        with pytest.raises(ModelError, match="no file for draft-2b"):
            resolve_family("auto", roles=["moe-q4", "draft-2b"], overrides={"moe-q4": path})


class TestWrongContent:
    def test_a_swapped_draft_is_told_by_its_parameters(self, put, tmp_path):
        put(tmp_path, "draft-0.8b", ("2b", "Q8_0"))
        with pytest.raises(ModelError, match=r"named like draft-0\.8b, but parameters: 1,881,825,088 instead of"):
            resolve_family("qwen3.5", roles=["draft-0.8b"], models_dir=tmp_path)

    def test_a_wrong_quantisation_is_told_by_both_names(self, put, tmp_path):
        put(tmp_path, "moe-q8", ("35b-a3b", "Q4_K_M"))
        with pytest.raises(ModelError, match="quantised as Q4_K_M instead of Q8_0"):
            resolve_family("qwen3.5", roles=["moe-q8"], models_dir=tmp_path)

    def test_a_dense_model_in_the_mixtures_place_is_told_by_its_architecture(self, put, tmp_path):
        put(tmp_path, "moe-q8", ("9b", "Q8_0"))
        with pytest.raises(ModelError, match="architecture: qwen35 instead of qwen35moe"):
            resolve_family("qwen3.5", roles=["moe-q8"], models_dir=tmp_path)

    def test_another_vocabulary_is_told_by_its_size(self, hollow, tmp_path):
        os.link(hollow("4b", "Q8_0", tokens=["a", "b"]), tmp_path / "Qwen3.5-4B-Q8_0.gguf")
        with pytest.raises(ModelError, match="tokens in the vocabulary: 2 instead of 248,320"):
            resolve_family("qwen3.5", roles=["dense-4b"], models_dir=tmp_path)

    def test_a_truncated_file_is_refused_before_anything_is_measured(self, put, tmp_path):
        path = put(tmp_path, "dense-4b")
        short = tmp_path / "short" / path.name
        short.parent.mkdir()
        with path.open("rb") as whole:
            short.write_bytes(whole.read(2_000_000))
        with pytest.raises(ModelError, match=r"it ends at byte 2000000"):
            resolve_family("qwen3.5", roles=["dense-4b"], models_dir=short.parent)

    def test_a_file_named_by_hand_is_taken_as_meant(self, put, tmp_path):
        other = put(tmp_path, "draft-0.8b", ("2b", "Q8_0"), "anything.gguf")
        found = resolve_family("qwen3.5", roles=["draft-0.8b"], overrides={"draft-0.8b": other})
        assert found.paths == {"draft-0.8b": other}

    def test_a_file_named_by_hand_that_is_missing_says_so(self, tmp_path):
        found = resolve_family("qwen3.5", roles=["moe-q4"], overrides={"moe-q4": tmp_path / "no.gguf"})
        with pytest.raises(ModelError, match=r"no\.gguf: no such file"):
            found.facts  # noqa: B018


def test_unknown_roles_are_refused_with_the_known_ones(tmp_path):
    with pytest.raises(UsageError, match=r"role 'moe-q5' is not known; the roles are moe-q4, moe-q8"):
        resolve_family("qwen3.5", roles=["moe-q5"])
    with pytest.raises(UsageError, match="role 'x' is not known"):
        resolve_family("qwen3.5", roles=["moe-q4"], overrides={"x": tmp_path})


def test_a_file_can_be_given_for_a_role_of_the_built_in_family(tmp_path, monkeypatch):
    built = {"draft-tiny": tmp_path / "tiny.gguf"}
    monkeypatch.setattr("runner.synthetic.build_family", lambda roles, on_progress: {r: built[r] for r in roles})
    given = {"moe-64": tmp_path / "mine.gguf"}
    found = resolve_family("synthetic", roles=["moe-64", "draft-tiny"], overrides=given)
    assert found.paths == given | built


def test_facts_name_every_role_once_and_are_read_when_asked_for(tmp_path, monkeypatch):
    from tests.models.tiny_gguf import write_tiny

    paths = {role: write_tiny(tmp_path / f"{role}.gguf") for role in ("moe-q4", "draft-2b")}
    found = resolve_family("qwen3.5", roles=list(paths), overrides=paths)
    assert {role: fact.role for role, fact in found.facts.items()} == {role: role for role in paths}
    assert found.facts is found.facts


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"HF_HUB_CACHE": "{}/a"}, "{}/a"),
        ({"HUGGINGFACE_HUB_CACHE": "{}/b"}, "{}/b"),
        ({"HF_HOME": "{}/c"}, "{}/c/hub"),
        ({"XDG_CACHE_HOME": "{}/d"}, "{}/d/huggingface/hub"),
        ({"HF_HUB_CACHE": "{}/a", "HF_HOME": "{}/c"}, "{}/a"),
    ],
)
def test_every_variable_of_the_hub_cache_counts_as_huggingface_hub_counts_it(tmp_path, variables, expected):
    theirs = ("HF_", "HUGGINGFACE", "XDG")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(theirs)}
    environ = kept | {name: value.format(tmp_path) for name, value in variables.items()}
    script = "from runner.models.places import places; print(places(None)[0].root)"
    done = subprocess.run([sys.executable, "-c", script], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected.format(tmp_path)


def test_places_come_in_order_and_each_once(tmp_path):
    environ = {MODELS_VARIABLE: str(tmp_path), "LLAMA_CACHE": str(tmp_path / "llama")}
    roots = [place.root for place in places(tmp_path, environ=environ, home=tmp_path)]
    assert roots[0] == tmp_path
    assert len(roots) == len(set(roots))
    assert roots.index(tmp_path / "llama") < roots.index(tmp_path / ".lmstudio" / "models")


class TestRegistry:
    def test_every_role_names_a_model_and_a_file_and_sizes_fit_the_parameters(self):
        for role in registry().roles:
            model = registry().model_of(role)
            for file in registry().entry(role).files:
                bits = 8 * file.bytes / model.parameters
                low, high = {"BF16": (16, 16.2), "Q8_0": (8, 13), "Q4_K_M": (4, 5.5)}[file.quantisation]
                assert low <= bits <= high, (role, file.name)

    def test_a_file_fits_only_roles_of_its_own_model(self):
        for role in registry().roles:
            size = registry().entry(role).model.split("-")[0].upper()
            assert all(f"-{size}-" in file.name for file in registry().entry(role).files)

    @pytest.mark.parametrize(
        ("old", "new", "reason"),
        [
            ("layers = 40", "layers = 'forty'", "Expected `int`"),
            ("layers = 40", "layres = 40", "layres"),
            ('model = "35b-a3b"', 'model = "36b"', "names no declared model"),
            ("[family]", "[family", "cannot be used"),
        ],
    )
    def test_a_broken_registry_says_what_is_wrong(self, tmp_path, old, new, reason):
        text = (Path(__file__).parents[2] / "data" / "models.toml").read_text(encoding="utf-8")
        path = tmp_path / "models.toml"
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        with pytest.raises(ModelError, match=reason):
            parse_registry(path)
