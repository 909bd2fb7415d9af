"""From the words of the command line to a question, its files and its settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from runner.drafter_names import drafter_spec
from runner.errors import UsageError
from runner.prompts import KINDS, Prompt, load_prompt
from runner.record import NO_DRAFT
from runner.wiring import FamilyName, Wiring

DEFAULT_DRAFTS = ("draft-0.8b", "draft-2b")
SEPARATOR = "---"
CONTEXT_STEP = 256


class Models(msgspec.Struct, frozen=True, kw_only=True):
    """Which file plays what; names are roles, or the file's own name where a path was given."""

    target: str
    drafts: tuple[str, ...]
    paths: Mapping[str, Path]


def is_path(word: str) -> bool:
    """Whether a word means a file rather than a role."""
    return word.lower().endswith(".gguf") or "/" in word or "\\" in word


def find_models(
    target: str,
    drafts: Sequence[str],
    wiring: Wiring,
    *,
    family: FamilyName,
    models_dir: Path | None,
    overrides: Mapping[str, Path],
) -> Models:
    """The files of target and drafts, their vocabularies compared.

    Without drafts a role gets the family's own, a path gets none (n-gram lookup is always tried); `none` asks for
    that. Raises ModelError for a missing file or another vocabulary, UsageError for an unknown role.
    """
    if not drafts:
        drafts = () if is_path(target) else DEFAULT_DRAFTS
    wanted = [word for word in dict.fromkeys(drafts) if word != NO_DRAFT]
    roles = [word for word in (target, *wanted) if not is_path(word)]
    paths = dict(_role_paths(wiring, family, models_dir, overrides, roles))
    names = {}
    for word in (target, *wanted):
        names[word] = _name(word, paths)
        paths.setdefault(names[word], Path(word).expanduser())
    for draft in wanted:
        wiring.check_pair(paths[names[target]], paths[names[draft]])
    return Models(target=names[target], drafts=tuple(names[draft] for draft in wanted), paths=paths)


def _role_paths(
    wiring: Wiring,
    family: FamilyName,
    models_dir: Path | None,
    overrides: Mapping[str, Path],
    roles: list[str],
) -> Mapping[str, Path]:
    if not roles:
        return {}
    return wiring.resolve_family(family, models_dir=models_dir, overrides=overrides, roles=roles).paths


def _name(word: str, taken: Mapping[str, Path]) -> str:
    if not is_path(word):
        return word
    name = Path(word).stem
    is_drafter = name == NO_DRAFT or drafter_spec(name) is not None
    return f"{name} ({word})" if name in taken or is_drafter else name


def read_prompts(path: Path | None) -> tuple[Prompt, ...]:
    """The prompts of a text file, separated by lines of three dashes; without a file the four built-in kinds.

    Raises UsageError when the file cannot be read or holds no text.
    """
    if path is None:
        return tuple(load_prompt(kind) for kind in KINDS)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: prompts cannot be read ({error}); give a UTF-8 text file") from None
    texts: list[list[str]] = [[]]
    for line in lines:
        if line.strip() == SEPARATOR:
            texts.append([])
        else:
            texts[-1].append(line)
    prompts = [text for text in ("\n".join(each).strip() for each in texts) if text]
    if not prompts:
        raise UsageError(
            f"{path}: holds no prompt; put some text in it, prompts separated by lines of {SEPARATOR}"
        )
    return tuple(
        Prompt(id=f"{path.stem}-{number}", text=text, wanted_tokens=None)
        for number, text in enumerate(prompts, start=1)
    )


def context_tokens(prompts: Sequence[Prompt], n_predict_tokens: int, longest: int) -> int:
    """A context that holds the longest prompt, what is generated, and one rejected draft beyond it."""
    needed = max(prompt.at_most_tokens for prompt in prompts) + n_predict_tokens + longest + 1
    return -(-needed // CONTEXT_STEP) * CONTEXT_STEP
