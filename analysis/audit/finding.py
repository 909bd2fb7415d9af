"""What a rule says: which figures are concerned, what is wrong with them, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]
"""error: the figure cannot be true or cannot be trusted. warning: true perhaps, but it does not mean what it
seems to. note: worth knowing, nothing is wrong."""

MAX_NAMED = 12


@dataclass(frozen=True)
class Finding:
    """One finding of one rule. `where`: run ids, file lines or published rows; `evidence`: numbers by name."""

    rule: str
    severity: Severity
    where: tuple[str, ...]
    evidence: Mapping[str, float]
    message: str
    remedy: str

    @property
    def counts(self) -> bool:
        """Whether the finding makes the audit end with status 1."""
        return self.severity != "note"


def listed(names: Sequence[object] | Iterable[object], limit: int = MAX_NAMED) -> tuple[str, ...]:
    """The names as text, the first `limit` of them and how many more there are."""
    texts = [str(name) for name in names]
    if len(texts) <= limit:
        return tuple(texts)
    return (*texts[:limit], f"and {len(texts) - limit} more")
