"""Downloads models into the Hub cache, where llama.cpp and others find them too.

huggingface_hub resumes only within one process and checks no checksum. A model of 37 GB deserves both, so its
bytes go through `http_get` into a partial file that stays when something breaks, and take their place in the
cache only when their SHA-256 is the one the Hub announced. The cache's layout is left to huggingface_hub.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import filelock
from huggingface_hub import constants, hf_hub_download, hf_hub_url
from huggingface_hub.file_download import http_get, repo_folder_name
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # documented, not re-exported

from runner.errors import ModelError
from runner.models.hub import HubFile, choose_files, hub_errors, offered_files
from runner.models.registry import registry
from runner.paths import cache_dir

RESERVE_BYTES = 2**30
"""Left free: a system without any disk space measures nothing well."""


class Order(NamedTuple):
    """What has to be downloaded for some roles: whole files, some of which may be here in part."""

    files: dict[str, list[HubFile]]
    """Role -> the parts of its file."""

    @property
    def unique(self) -> list[HubFile]:
        """Every file once: roles may share one."""
        return list(dict.fromkeys(file for parts in self.files.values() for file in parts))

    @property
    def total_bytes(self) -> int:
        """Size of all files."""
        return sum(file.size_bytes for file in self.unique)

    @property
    def open_bytes(self) -> int:
        """What is not here yet."""
        return sum(file.size_bytes - _present_bytes(file) for file in self.unique)


def order_for(roles: Iterable[str], endpoint: str | None = None) -> Order:
    """Ask the Hub which files fill `roles`. Raises ModelError for a role that no offered file fills."""
    offers: dict[str, list[HubFile]] = {}
    files: dict[str, list[HubFile]] = {}
    for role in roles:
        repository = registry().model_of(role).repository
        if repository not in offers:
            offers[repository] = offered_files(repository, endpoint)
        files[role] = choose_files(registry().entry(role).files, offers[repository])
        if not files[role]:
            names = ", ".join(file.name for file in registry().entry(role).files)
            raise ModelError(
                f"{repository}: offers none of {names}; get one elsewhere and name it with --role {role}=PATH"
            )
    return Order(files)


def refuse_without_space(order: Order) -> None:
    """Raise ModelError when the cache's disk cannot hold what is still to come."""
    folder = Path(constants.HF_HUB_CACHE)
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    needed = order.open_bytes + RESERVE_BYTES
    if free < needed:
        raise ModelError(
            f"{folder}: {free / 1e9:.1f} GB free, {needed / 1e9:.1f} GB needed; free some, "
            f"set HF_HOME to a larger disk, or name fewer roles"
        )


def fetch(order: Order, endpoint: str | None = None) -> Mapping[str, Path]:
    """Download everything in `order`; returns the first part of each role's file.

    Files that are here whole cost nothing; broken ones go on where they were. Raises ModelError.
    """
    placed = {file: _fetch_file(file, endpoint) for file in order.unique}
    return {role: placed[parts[0]] for role, parts in order.files.items()}


def _fetch_file(file: HubFile, endpoint: str | None) -> Path:
    what = f"{file.repository}/{file.name}"
    blob = _blob(file)
    with hub_errors(what):
        for folder in (blob.parent, _lock(file).parent):
            folder.mkdir(parents=True, exist_ok=True)
        try:
            with filelock.FileLock(_lock(file), timeout=0):
                if not blob.exists():
                    _complete(file, endpoint)
                    _take_place(file, blob)
        except filelock.Timeout:
            raise ModelError(f"{what}: another process is fetching it; wait for that one") from None
        linked = hf_hub_download(
            file.repository,
            file.name,
            revision=file.commit,
            cache_dir=constants.HF_HUB_CACHE,
            endpoint=endpoint,
        )
    return Path(linked)


def _complete(file: HubFile, endpoint: str | None) -> None:
    url = hf_hub_url(file.repository, file.name, revision=file.commit, endpoint=endpoint)
    headers = build_hf_headers() | {"Accept-Encoding": "identity"}
    with _partial(file).open("ab") as stream:
        if stream.tell() > file.size_bytes:
            stream.seek(0)
            stream.truncate()
        http_get(
            url,
            stream,
            resume_size=stream.tell(),
            headers=headers,
            expected_size=file.size_bytes,
            displayed_filename=file.name,
        )


def _take_place(file: HubFile, blob: Path) -> None:
    partial = _partial(file)
    with partial.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != file.sha256:
        partial.unlink()
        raise ModelError(
            f"{file.repository}/{file.name}: the checksum does not fit, so it was thrown away; fetch it again, "
            f"and if that repeats, check what stands between you and the Hub (HF_ENDPOINT, proxies)"
        )
    partial.replace(blob)


def _present_bytes(file: HubFile) -> int:
    if _blob(file).exists():
        return file.size_bytes
    partial = _partial(file)
    return min(partial.stat().st_size, file.size_bytes) if partial.exists() else 0


def _blob(file: HubFile) -> Path:
    folder = repo_folder_name(repo_id=file.repository, repo_type="model")
    return Path(constants.HF_HUB_CACHE) / folder / "blobs" / file.sha256


def _partial(file: HubFile) -> Path:
    return _blob(file).with_name(f"{file.sha256}.specstudy.partial")


def _lock(file: HubFile) -> Path:
    return cache_dir() / "locks" / f"{file.sha256}.lock"
