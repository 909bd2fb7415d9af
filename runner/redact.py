"""Takes out of a text what names the machine's owner, so that a study can be published as it lies.

>>> private = Private(home="/home/ada", user="ada", host="ada-laptop")
>>> redact("cannot open /home/ada/models/qwen.gguf on ada-laptop", private)
'cannot open <path>/qwen.gguf on <host>'
"""

from __future__ import annotations

import getpass
import platform
import re
from collections.abc import Iterable
from pathlib import Path

import msgspec

_SHORTEST_NAME = 3
_NOBODY = frozenset({"admin", "host", "localhost", "mac", "root", "runner", "user"})
"""Names that say nothing about anyone; replacing them would only spoil messages."""

_TOKEN = re.compile(r"\b(hf_|sk-|gh[pousr]_|github_pat_)[A-Za-z0-9_-]{8,}")
_ADDRESS = re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b")
_NAME = r"[^/\\\s'\"=:,;<>|]"
_PATH = re.compile(rf"(?<![\w./~<>-])(?:~|[A-Za-z]:)?(?:[/\\]{_NAME}+)+[/\\]({_NAME}*)|~[/\\]({_NAME}+)")


class Private(msgspec.Struct, frozen=True):
    """What must not be written: the owner's home folder, user name and host name."""

    home: str
    user: str
    host: str


def of_this_machine() -> Private:
    """The private names of this process's machine and user; empty where the system does not tell."""
    try:
        user, home = getpass.getuser(), str(Path.home())
    except (OSError, KeyError, RuntimeError):
        user, home = "", ""
    return Private(home=home, user=user, host=platform.node())


def redact(text: str, private: Private) -> str:
    """The text without absolute paths (their last part stays), names, network addresses and access tokens."""
    if len(private.home) > 1:
        text = re.sub(rf"{re.escape(private.home)}(?![A-Za-z0-9_-])", "~", text)
    text = _PATH.sub(lambda match: f"<path>/{match[1] or match[2] or ''}", text)
    text = _TOKEN.sub("<token>", text)
    text = _ADDRESS.sub("<address>", text)
    for host in (private.host, private.host.split(".")[0]):
        text = _without_name(text, host, "<host>")
    return _without_name(text, private.user, "<user>")


def redact_all(texts: Iterable[str], private: Private) -> list[str]:
    """Each text redacted."""
    return [redact(text, private) for text in texts]


def _without_name(text: str, name: str, instead: str) -> str:
    if len(name) < _SHORTEST_NAME or name.lower() in _NOBODY:
        return text
    return re.sub(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])", instead, text, flags=re.IGNORECASE)
