"""Chinese for every English sentence of a page, by one catalogue of sentences with holes.

What the analysis says is English, with numbers and names in it. The catalogue (`zh.toml`) holds such sentences
with holes, `"{a} of {b} rows" = "{b} 行中的 {a} 行"`; what a hole caught is itself looked up, so sentences nest.

>>> Chinese({"{a} of {b} rows": "{b} 行中的 {a} 行"}).of("3 of 18 rows")
'18 行中的 3 行'
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

CATALOGUE = Path(__file__).parent / "zh.toml"
_HOLE = re.compile(r"\{(\w+)\}")
_MAX_CHARACTERS = 4000
"""Longer text is a log or worse, never a sentence of ours."""
_MOST_PER_OWN_CHARACTER = 12
"""A pattern of few own words matches short text only: else "{a} to {b}" would swallow any sentence."""


class Chinese:
    """Translations by sentence. `of` returns None where the catalogue has none."""

    def __init__(self, sentences: Mapping[str, str]) -> None:
        self._plain = {english: chinese for english, chinese in sentences.items() if not _HOLE.search(english)}
        patterns = [(english, chinese) for english, chinese in sentences.items() if _HOLE.search(english)]
        # The pattern that says most is asked first, so that a general one never hides a special one.
        patterns.sort(key=lambda pair: -len(_HOLE.sub("", pair[0])))
        self._patterns = [
            (
                english.partition("{")[0],
                _MOST_PER_OWN_CHARACTER * len(_HOLE.sub("", english)),
                _compiled(english),
                chinese,
            )
            for english, chinese in patterns
        ]
        self._known: dict[str, str | None] = {}

    def of(self, text: str) -> str | None:
        """The Chinese for `text`, or None."""
        if text not in self._known:
            self._known[text] = self._plain.get(text) or self._by_pattern(text)
        return self._known[text]

    def or_same(self, text: str) -> str:
        """The Chinese for `text`, or `text`: names, numbers and units are the same in both."""
        return self.of(text) or text

    def _by_pattern(self, text: str) -> str | None:
        if len(text) > _MAX_CHARACTERS:
            return None
        for start, most, pattern, chinese in self._patterns:
            if text.startswith(start) and len(text) <= most and (found := pattern.fullmatch(text)):
                caught = {name: self.or_same(value) for name, value in found.groupdict().items()}
                return _HOLE.sub(lambda hole: caught[hole[1]], chinese)  # noqa: B023 - used at once
        return None


@cache
def chinese() -> Chinese:
    """The shipped catalogue."""
    return Chinese(sentences())


def sentences() -> dict[str, str]:
    """English sentence to Chinese sentence, all sections of the catalogue together."""
    sections = tomllib.loads(CATALOGUE.read_text(encoding="utf-8"))
    return {english: text for section in sections.values() for english, text in section.items()}


def _compiled(english: str) -> re.Pattern[str]:
    parts = _HOLE.split(english)
    literals, names = parts[::2], parts[1::2]
    holes = [f"(?P<{name}>.+?)" for name in names]
    pattern = re.escape(literals[0])
    for hole, literal in zip(holes, literals[1:], strict=True):
        pattern += hole + re.escape(literal)
    return re.compile(pattern, re.DOTALL)
