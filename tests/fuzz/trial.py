"""One damaged file given to one reader: it is read, or refused so that a user can act; all else is a defect."""

from __future__ import annotations

import random
import re
import shutil
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from runner.errors import StudyError
from tests.fuzz.mutations import Mutator


@dataclass(frozen=True)
class Reader:
    """Something of ours that reads a file which others wrote, or which a crash or an editor damaged."""

    name: str
    file: str
    """Path of the damaged file within a folder of its own."""
    prepare: Callable[[Path], object]
    """Writes that folder, whole."""
    read: Callable[[Path], Iterable[str]]
    """Reads the file at a path; yields what was said about parts of it that could not be used."""
    mutators: tuple[Mutator, ...]
    errors: tuple[type[StudyError], ...]
    by_line: bool = False
    """Damage can be told by its line. `about_all` are the beginnings of reasons that concern no single line."""
    about_all: str = "(?!)"
    names: str = ""
    """What an error must name where that is not the file."""


@dataclass
class Tally:
    """What became of the damaged files of one reader."""

    read: int = 0
    refused: int = 0
    slowest_s: float = 0.0
    total_s: float = 0.0

    def __str__(self) -> str:
        slowest = f"slowest {1000 * self.slowest_s:.0f} ms, {self.total_s:.0f} s in all"
        return f"{self.read:6} read, {self.refused:6} refused, {slowest}"


class Trial:
    """A folder with one whole file, which is damaged anew for every seed."""

    def __init__(self, reader: Reader, folder: Path) -> None:
        self._reader = reader
        self._pristine, self._work = folder / "pristine", folder / "work"
        self._pristine.mkdir(parents=True)
        reader.prepare(self._pristine)
        self._whole = (self._pristine / reader.file).read_bytes()
        self.tally = Tally()

    def run(self, seed: int) -> None:
        """Damage the file and read it. Raises AssertionError, or whatever the reader lets through."""
        reader, rng = self._reader, random.Random(f"{self._reader.name}/{seed}")
        shutil.rmtree(self._work, ignore_errors=True)
        shutil.copytree(self._pristine, self._work)
        path = self._work / reader.file
        path.write_bytes(rng.choice(reader.mutators)(self._whole, rng))
        started = time.monotonic()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            refusal = self._refusal(path)
        took_s = time.monotonic() - started
        self.tally.slowest_s = max(self.tally.slowest_s, took_s)
        self.tally.total_s += took_s
        self.tally.refused += refusal
        self.tally.read += not refusal

    def _refusal(self, path: Path) -> bool:
        try:
            for remark in self._reader.read(path):
                self._check(remark)
        except self._reader.errors as error:
            self._check(str(error))
            return True
        return False

    def _check(self, message: str) -> None:
        reader = self._reader
        name = reader.names or Path(reader.file).name
        assert name in message, f"does not name {name}: {message}"
        assert message.isprintable(), f"more than one line, or characters that a terminal obeys: {message!r}"
        assert len(message) < 1000, f"nobody reads {len(message)} characters: {message[:200]}"
        if reader.by_line and not re.search(reader.about_all, message):
            assert re.search(rf"{re.escape(name)}:\d+: ", message), f"does not name the line: {message}"
