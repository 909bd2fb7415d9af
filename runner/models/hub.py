"""What the Hub offers, and its failures told as one line with the remedy."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from huggingface_hub import HfApi, constants
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)

from runner.errors import ModelError
from runner.models.registry import ExpectedFile

NETWORK_ERRORS: tuple[type[BaseException], ...] = (OSError, *HfHubHTTPError.__bases__)
"""The bases are the HTTP client's own error, whichever client this huggingface_hub uses."""

_NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR)


class HubFile(NamedTuple):
    """One file of a repository, fixed to a commit. The Hub names large files by their SHA-256."""

    repository: str
    commit: str
    name: str
    size_bytes: int
    sha256: str


def offered_files(repository: str, endpoint: str | None = None) -> list[HubFile]:
    """All large files of a repository at its newest commit. Raises ModelError when it cannot be asked."""
    with hub_errors(repository):
        info = HfApi(endpoint=endpoint or constants.ENDPOINT).model_info(repository, files_metadata=True)
    return [
        HubFile(repository, info.sha or "", sibling.rfilename, sibling.lfs.size, sibling.lfs.sha256)
        for sibling in info.siblings or []
        if sibling.lfs is not None
    ]


def choose_files(wanted: list[ExpectedFile], offered: list[HubFile]) -> list[HubFile]:
    """All parts of the best wanted file that is offered; empty when none is."""
    for expected in wanted:
        first = next((file for file in offered if expected.matches(_base(file.name))), None)
        if first is not None:
            stem = first.name.split("-00001-of-")[0].removesuffix(".gguf")
            return [file for file in offered if file.name == first.name or file.name.startswith(f"{stem}-0")]
    return []


@contextmanager
def hub_errors(what: str) -> Iterator[None]:
    """Turn whatever the Hub, the network and the disk raise into one ModelError about `what`."""
    try:
        yield
    except GatedRepoError:
        remedy = f"accept its terms at {constants.ENDPOINT} and log in with `hf auth login` or HF_TOKEN"
        raise ModelError(f"{what}: its owner wants its terms accepted first; {remedy}") from None
    except RepositoryNotFoundError:
        remedy = "check data/models.toml, or log in with `hf auth login` or HF_TOKEN"
        raise ModelError(f"{what}: the Hub knows no such repository or shows it only to some; {remedy}") from None
    except OfflineModeIsEnabled:
        remedy = "unset HF_HUB_OFFLINE, or copy the files here and name their folder with --models-dir"
        raise ModelError(f"{what}: cannot be fetched while the Hub is switched off; {remedy}") from None
    except NETWORK_ERRORS as error:
        raise ModelError(f"{what}: {_told(error)}") from None


def _told(error: BaseException) -> str:
    number = getattr(error, "errno", None)
    if number in {errno.ENOSPC, errno.EDQUOT}:
        return "the disk is full; free some space and run the same command again, it goes on where it was"
    if number in _NOT_ALLOWED:
        where = getattr(error, "filename", None) or "the cache"
        return f"{where} cannot be written; set HF_HOME to a folder of yours"
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status is not None:
        return f"the Hub answered {status}; try again later, or check HF_ENDPOINT and HF_TOKEN"
    return (
        f"the connection failed ({type(error).__name__}); run the same command again, it goes on where it was; "
        f"without a connection, copy the files here and name their folder with --models-dir"
    )


def _base(name: str) -> str:
    return name.rsplit("/", 1)[-1]
