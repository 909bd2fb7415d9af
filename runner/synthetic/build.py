"""Builds the missing members of the family: one process at a time, each file whole or not at all."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from runner.errors import ModelError, UsageError
from runner.paths import CACHE_VARIABLE
from runner.synthetic.cache import family_dir, is_intact, member_path, publish
from runner.synthetic.family import EXTRA_ROLES, MEMBERS, ROLES, member_of
from runner.synthetic.gguf_file import parameters, write_gguf
from runner.synthetic.quantise import quantise
from runner.synthetic.shapes import Member
from runner.synthetic.vocabulary import vocabulary

Progress = Callable[[str], None]

_BYTES_PER_WEIGHT = {"Q8_0": 1.08, "Q4_K_M": 0.63}
_BYTES_PER_UNQUANTISED_WEIGHT = 2.0
_SPARE_BYTES = 32 * 2**20


def build_family(*, roles: Sequence[str] = ROLES, on_progress: Progress | None = None) -> dict[str, Path]:
    """GGUF path of each role, after building what is missing or damaged (about ten seconds for all).

    Safe to call from several processes at once. Raises UsageError for an unknown role, ModelError when the cache
    folder cannot be written or the disk is too full, EngineError when llama.cpp cannot quantise.
    """
    _refuse_unknown(roles)
    folder, say = family_dir(), on_progress or _silent
    wanted = {member_of(role).name for role in roles}
    members = [member for member in MEMBERS.values() if member.name in wanted]
    if _missing(members, folder):
        with _explained(folder), _locked(folder, say):
            _build(_missing(members, folder), folder, say)
    return {role: member_path(folder, member_of(role)) for role in roles}


def _silent(_message: str) -> None:
    pass


def _refuse_unknown(roles: Iterable[str]) -> None:
    known = (*ROLES, *EXTRA_ROLES)
    unknown = [role for role in roles if role not in known]
    if unknown:
        raise UsageError(f"the synthetic family has no role {', '.join(unknown)}; choose from {', '.join(known)}")


def _missing(members: Iterable[Member], folder: Path) -> list[Member]:
    return [member for member in members if not is_intact(member_path(folder, member))]


def _build(members: Sequence[Member], folder: Path, say: Progress) -> None:
    _remove_leftovers(folder)
    if members:
        _refuse_full_disk(members, folder)
    for _, group in itertools.groupby(members, key=lambda member: member.weights):
        _build_from_one_source(list(group), folder, say)


def _build_from_one_source(members: Sequence[Member], folder: Path, say: Progress) -> None:
    """Write the unquantised model once and quantise it for each of the members."""
    first = members[0]
    with tempfile.TemporaryDirectory(dir=folder, prefix=".building-") as work:
        source = Path(work, "unquantised.gguf")
        say(f"synthetic family: writing {first.weights}, {parameters(first.shape) / 1e6:.0f} M weights")
        name = f"specstudy synthetic {first.weights}"
        write_gguf(source, first.shape, vocabulary(), name=name, seed=first.seed, noise=first.noise)
        for member in members:
            say(f"synthetic family: quantising {member.name} to {member.quantisation}")
            target = Path(work, f"{member.name}.gguf")
            quantise(source, target, member.quantisation)
            publish(target, member_path(folder, member))


def _remove_leftovers(folder: Path) -> None:
    """Remove what a killed build left behind; the lock is held, so nobody else is building."""
    for leftover in folder.glob(".building-*"):
        shutil.rmtree(leftover, ignore_errors=True)


def needed_bytes(members: Iterable[Member]) -> int:
    """Disk space for the members' files and, for a while, the largest unquantised one."""
    sizes = [(parameters(member.shape), _BYTES_PER_WEIGHT[member.quantisation]) for member in members]
    files = sum(weights * size for weights, size in sizes)
    return int(files + max(weights for weights, _ in sizes) * _BYTES_PER_UNQUANTISED_WEIGHT) + _SPARE_BYTES


def _refuse_full_disk(members: Sequence[Member], folder: Path) -> None:
    needed, free = needed_bytes(members), shutil.disk_usage(folder).free
    if free < needed:
        raise ModelError(
            f"{folder}: the synthetic family needs {needed / 1e6:.0f} MB, only {free / 1e6:.0f} MB are free. "
            f"Free some space, or set {CACHE_VARIABLE} to a folder on another disk."
        )


@contextmanager
def _locked(folder: Path, say: Progress) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.with_name(folder.name + ".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say("synthetic family: waiting for another process that is building it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Turn what the operating system refuses into one error that says what to do."""
    try:
        yield
    except OSError as error:
        raise ModelError(
            f"{folder}: cannot build the synthetic family there ({error.strerror or error}). "
            f"Set {CACHE_VARIABLE} to a folder that can be written."
        ) from error
