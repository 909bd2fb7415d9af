"""A suite file is refused for anything that is not understood, and the published matrix is what it was."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import StudyError, SuiteError, UsageError
from runner.models.registry import registry
from suites.loader import SUITES_DIR, adjusted, all_names, load_suite, load_suites, suite_names
from suites.roles import BUILT_IN, DRAFTS, TARGETS

GOOD = (SUITES_DIR / "moe-sd.toml").read_text()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Copies of the shipped suites that a test may spoil."""
    for path in SUITES_DIR.glob("*.toml"):
        shutil.copy(path, tmp_path)
    return tmp_path


def spoilt(folder: Path, old: str, new: str) -> str:
    """The message that loading moe-sd raises once `old` is replaced by `new` in its file."""
    assert old in GOOD, "the test spoils nothing"
    (folder / "moe-sd.toml").write_text(GOOD.replace(old, new))
    with pytest.raises(SuiteError) as caught:
        load_suite("moe-sd", folder)
    message = str(caught.value)
    assert message.startswith("moe-sd.toml")
    assert "\n" not in message
    return message


def test_the_published_matrix_has_306_cells() -> None:
    cells = {suite.name: suite.n_cells for suite in load_suites(("all",))}
    assert cells == {"moe-baseline": 18, "moe-sd": 144, "dense-baseline": 36, "dense-sd": 72, "prompt-sweep": 36}
    assert sum(cells.values()) == 306


def test_every_published_suite_generates_256_tokens_in_three_blocks() -> None:
    assert {(suite.n_predict_tokens, suite.blocks) for suite in load_suites(("all",))} == {(256, 3)}


def test_roles_of_suites_are_the_roles_that_models_can_be_found_for() -> None:
    assert {*TARGETS, *DRAFTS} - set(BUILT_IN) == set(registry().roles)


def test_all_stands_for_the_declared_order_and_each_suite_comes_once() -> None:
    names = [suite.name for suite in load_suites(("dense-sd", "all", "moe-sd"))]
    assert names == ["dense-sd", "moe-baseline", "moe-sd", "dense-baseline", "prompt-sweep"]


def test_a_suite_outside_all_is_listed_after_those_in_it(folder: Path) -> None:
    (folder / "another.toml").write_text(GOOD)
    others = ["another", "oracle", "phantom", "rollback", "rollback-plain", "verify-cost"]
    assert suite_names(folder) == [*all_names(folder), *others]


@pytest.mark.parametrize("name", ["nothing", "../moe-sd", "/etc/passwd", "", "all.toml", "MOE-SD"])
def test_an_unknown_suite_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(UsageError, match="known suites: moe-baseline, moe-sd"):
        load_suite(name)


def test_an_unknown_key_is_named(folder: Path) -> None:
    assert "`colour`" in spoilt(folder, "blocks = 3", "blocks = 3\ncolour = 1")


def test_an_unknown_axis_is_named_with_its_table(folder: Path) -> None:
    message = spoilt(folder, "gammas =", "gamas =")
    assert "`gamas`" in message
    assert "$.axes" in message


def test_an_unknown_role_is_named_with_the_known_ones(folder: Path) -> None:
    message = spoilt(folder, '"moe-q8"', '"moe-q9"')
    assert "axes.targets names the unknown role 'moe-q9'" in message
    assert "dense-9b" in message


def test_a_draft_is_no_target(folder: Path) -> None:
    assert "axes.targets names the unknown role 'draft-2b'" in spoilt(folder, '"moe-q8"', '"draft-2b"')


def test_gamma_zero_is_refused_because_the_baseline_is_declared_elsewhere(folder: Path) -> None:
    assert "$.axes.gammas[0]" in spoilt(folder, "[4, 8, 16]", "[0, 8, 16]")


@pytest.mark.parametrize("gammas", ["[65]", "[-1]", "[4.5]", '["4"]', "4", "[true]"])
def test_a_gamma_out_of_range_is_refused(folder: Path, gammas: str) -> None:
    assert "gammas" in spoilt(folder, "[4, 8, 16]", gammas)


def test_a_gamma_that_the_text_cannot_hold_is_refused(folder: Path) -> None:
    message = spoilt(folder, "n_predict_tokens = 256", "n_predict_tokens = 16")
    assert "axes.gammas[2] = 16" in message
    assert "n_predict_tokens = 16" in message


@pytest.mark.parametrize("blocks", ["0", "-3", "1001", "2.5", "'3'", "99999999999999999999999"])
def test_a_number_of_blocks_out_of_range_is_refused(folder: Path, blocks: str) -> None:
    assert "blocks" in spoilt(folder, "blocks = 3", f"blocks = {blocks}")


def test_a_missing_key_is_named(folder: Path) -> None:
    assert "`baseline`" in spoilt(folder, 'baseline = "paired"\n', "")


def test_a_kind_of_suite_that_is_not_known_is_refused(folder: Path) -> None:
    assert "kind" in spoilt(folder, '"matrix"', '"soak"')


def test_a_value_named_twice_on_an_axis_is_refused(folder: Path) -> None:
    assert "axes.gammas names 8 twice" in spoilt(folder, "[4, 8, 16]", "[8, 8, 16]")


def test_an_empty_axis_is_refused(folder: Path) -> None:
    assert "$.axes.prompts" in spoilt(folder, '["short", "code", "reasoning", "chinese"]', "[]")


def test_a_pure_baseline_suite_takes_no_drafts(folder: Path) -> None:
    assert "drafts nothing; remove drafts, gammas" in spoilt(folder, 'baseline = "paired"', 'baseline = "only"')


def test_a_speculative_suite_needs_a_draft(folder: Path) -> None:
    message = spoilt(folder, 'drafts = ["draft-0.8b", "draft-2b"]\n', "")
    assert "needs axes.drafts and axes.gammas" in message


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[[[", b"a = " + b"[" * 3000, b"#" * 200_000, b"x = 1e999999"])
def test_a_file_that_is_no_suite_is_refused(folder: Path, content: bytes) -> None:
    (folder / "moe-sd.toml").write_bytes(content)
    with pytest.raises(SuiteError, match=r"^moe-sd\.toml"):
        load_suite("moe-sd", folder)


def test_all_may_only_name_suites_beside_it(folder: Path) -> None:
    (folder / "all.toml").write_text('suites = ["../moe-sd"]')
    with pytest.raises(SuiteError, match=r"all\.toml: suites names '\.\./moe-sd'"):
        load_suites(("all",), folder)


def test_a_folder_without_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match=r"all\.toml: cannot be read"):
        suite_names(tmp_path)


def test_another_number_of_blocks_changes_the_cells_and_nothing_else() -> None:
    suite = adjusted(load_suite("moe-sd"), blocks=6)
    assert suite.n_cells == 2 * 144
    assert suite.sha256 == load_suite("moe-sd").sha256


def test_generating_fewer_tokens_than_a_gamma_drafts_is_refused() -> None:
    with pytest.raises(SuiteError, match=r"axes\.gammas\[2\] = 16 can never be drafted within"):
        adjusted(load_suite("moe-sd"), n_predict_tokens=12)


@given(st.data())
def test_a_damaged_suite_file_is_loaded_or_refused_but_never_crashes(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    damaged = bytearray(GOOD.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        where = data.draw(st.integers(0, len(damaged) - 1))
        damaged[where : where + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    folder = tmp_path_factory.getbasetemp() / "damaged"
    folder.mkdir(exist_ok=True)
    (folder / "all.toml").write_text('suites = ["moe-sd"]')
    (folder / "moe-sd.toml").write_bytes(bytes(damaged))
    assert outcome_of_loading(folder) in {"loaded", "refused by name"}


def outcome_of_loading(folder: Path) -> str:
    try:
        return "loaded" if load_suite("moe-sd", folder).n_cells > 0 else "loaded without cells"
    except StudyError as error:
        return "refused by name" if str(error).startswith("moe-sd.toml: ") else f"refused with {error}"


def test_the_controlled_experiments_count_every_drafter_and_rollback() -> None:
    counts = {name: load_suite(name).n_cells for name in ("oracle", "phantom", "rollback", "verify-cost")}
    assert counts == {
        "oracle": 2 * 2 * 2 * 12 * 3,
        "phantom": 4 * 2 * 2 * 2 * 3,
        "rollback": 4 * 3 * 3 * 2,
        "verify-cost": 6 * 2 * 4,
    }


def test_an_unknown_drafter_is_named_with_the_known_ones(folder: Path) -> None:
    message = spoilt(folder, "gammas = [4", 'drafters = ["crystal-ball"]\ngammas = [4')
    assert "axes.drafters names the unknown drafter 'crystal-ball'; known: model, ngram" in message


def test_a_drafter_that_needs_no_model_needs_no_draft(folder: Path) -> None:
    suite = load_suite("verify-cost", folder)
    assert suite.axes.drafts == []
    assert suite.axes.drafters == ["sweep"]


def test_an_unknown_rollback_is_refused(folder: Path) -> None:
    assert "axes.rollbacks" in spoilt(folder, "gammas = [4", 'rollbacks = ["prayer"]\ngammas = [4')
