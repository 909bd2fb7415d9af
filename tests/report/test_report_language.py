"""Every sentence in two languages: the catalogue knows what pages say and what the analysis can say."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import analysis
from analysis.report.language import Chinese, chinese, sentences
from tests.report.reading import read

PACKAGE = Path(analysis.__file__).parent
SPEAKERS = (
    *sorted((PACKAGE / "audit").glob("*.py")), *sorted(PACKAGE.glob("claims*.py")), PACKAGE / "causes.py",
    PACKAGE / "compare_figures.py", PACKAGE / "configurations.py", PACKAGE / "energy.py",
    PACKAGE / "reproduction.py",
    PACKAGE / "report" / "answer.py", PACKAGE / "report" / "trust.py", PACKAGE / "report" / "sections.py",
    PACKAGE / "plots" / "catalogue.py", *sorted((PACKAGE / "experiments").glob("*.py")),
)  # fmt: skip
"""Modules whose sentences reach the page."""
SILENT = ("audit/command.py", "audit/sources.py", "audit/logs.py", "audit/from_log.py", "claims_command.py")
"""Modules that speak to the terminal, or about foreign logs, which have no page."""
CHINESE = re.compile(r"[\u4e00-\u9fff]")
FIVE_WORDS = re.compile(r"(?:[a-z]{2,}[,.;:]? ){4,}[a-z]{2,}")


def test_a_hole_catches_and_what_it_caught_is_translated_too() -> None:
    language = Chinese({"best {a} of {b}": "{b} 中最好的{a}", "draft": "草稿"})
    assert language.of("best draft of 3") == "3 中最好的草稿"
    assert language.of("worst of 3") is None
    assert language.or_same("MoE Q4") == "MoE Q4"


def test_the_pattern_that_says_most_wins() -> None:
    language = Chinese({"{a} runs": "{a} 次", "{a} marked runs": "{a} 次带标记"})
    assert language.of("7 marked runs") == "7 次带标记"


def test_a_pattern_of_few_words_does_not_swallow_a_long_sentence() -> None:
    language = Chinese({"{a} to {b}": "{a} 至 {b}"})
    assert language.of("4 to 5") == "4 至 5"
    assert (
        language.of("a sentence that nobody translated, long enough to be one, must not be half Chinese") is None
    )


@given(st.text(max_size=300))
def test_any_text_has_at_most_one_translation_and_never_fails(text: str) -> None:
    assert chinese().or_same(text) == chinese().or_same(text)


def test_translations_keep_every_hole() -> None:
    holes = re.compile(r"\{\w+\}")
    for english, translated in sentences().items():
        assert sorted(holes.findall(translated)) == sorted(holes.findall(english)), english


def test_every_head_and_title_of_a_page_has_its_chinese(page: str, published: str) -> None:
    missing = set()
    for text in (page, published):
        for element in read(text).elements:
            if element.tag in {"th", "summary", "h2", "h3", "figcaption"}:
                words = re.search(r"[a-z]{4,}", element.text) and not re.search(r"[0-9a-f]{16}", element.text)
                if words and not CHINESE.search(element.text):
                    missing.add(element.text)
    assert {text for text in missing if not text.startswith("published ")} == set()


def test_no_sentence_of_a_page_is_english_only(page: str, published: str) -> None:
    missing = set()
    for text in (page, published):
        for element in read(text).elements:
            spoken = element.tag in {
                "p",
                "li",
                "h1",
                "h2",
                "h3",
                "th",
                "td",
                "summary",
                "figcaption",
                "text",
                "a",
            }
            if spoken and FIVE_WORDS.search(element.text) and not CHINESE.search(element.text):
                missing.add(element.text)
    assert missing == set()


@pytest.mark.parametrize(
    "module", [one for one in SPEAKERS if not str(one).endswith(SILENT)], ids=lambda one: one.name
)
def test_whatever_the_analysis_can_say_has_its_chinese(module: Path) -> None:
    missing = [text for text in _spoken(ast.parse(module.read_text(encoding="utf-8"))) if not _known(text)]
    assert missing == []


def _known(text: str) -> bool:
    """A whole sentence of the catalogue, or a piece of one."""
    return chinese().of(text) is not None or any(_as_piece(text).search(english) for english in sentences())


def _as_piece(text: str) -> re.Pattern[str]:
    return re.compile(r".+?".join(re.escape(part) for part in text.strip().split("77")), re.DOTALL)


def _spoken(tree: ast.AST) -> list[str]:
    """Every sentence written in the code but docstrings and errors, holes filled with a number."""
    skipped: set[int] = set()
    for node in ast.walk(tree):
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if docstring or isinstance(node, ast.Raise | ast.JoinedStr):
            skipped.update(id(inner) for inner in ast.walk(node) if inner is not node)
    texts = [_text(node) for node in ast.walk(tree) if id(node) not in skipped]
    return [text for text in texts if text is not None and FIVE_WORDS.search(text)]


def _text(node: ast.AST) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(one.value) if isinstance(one, ast.Constant) else "77" for one in node.values)
    return None
