"""What is known of each role's file: where it was found, what it is, and whether it is what the role expects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from runner.errors import ModelError
from runner.gguf_facts import GgufCard, read_card
from runner.models.expect import Finding, unexpected
from runner.models.pair import check_pair
from runner.models.registry import registry

Severity = Literal["ok", "warn", "fail"]
ORDER: tuple[Severity, ...] = ("ok", "warn", "fail")

GIVEN = "--role"
BUILT_IN = "built in"


class RoleFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that is to fill a role, and where it was found."""

    role: str
    path: Path
    place: str


class RoleReport(msgspec.Struct, frozen=True, kw_only=True):
    """One role's file as its metadata tells it. Counts are of the text model without MTP block."""

    role: str
    severity: Severity
    place: str
    file: str
    findings: list[str]
    size_bytes: int | None = None
    architecture: str | None = None
    quantisation: str | None = None
    hybrid: bool | None = None
    layers: int | None = None
    experts: int | None = None
    experts_used: int | None = None
    parameters: int | None = None
    active_parameters: int | None = None
    bytes_per_token: int | None = None
    mtp_layers: int | None = None
    vocab_sha256: str | None = None


class PairReport(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a draft numbers its tokens as a target does."""

    target: str
    draft: str
    severity: Severity
    finding: str


def report_role(file: RoleFile) -> RoleReport:
    """Inspect one role's file; a file that cannot be read is a failed report, not an error."""
    try:
        card = read_card(file.path)
    except ModelError as error:
        return RoleReport(
            role=file.role, severity="fail", place=file.place, file=file.path.name, findings=[str(error)]
        )
    findings = _findings(file, card)
    severities: list[Severity] = [finding.severity for finding in findings]
    worst: Severity = max(severities, key=ORDER.index, default="ok")
    return RoleReport(
        role=file.role,
        severity=worst,
        place=file.place,
        file=file.path.name,
        findings=[finding.text for finding in findings],
        size_bytes=card.size_bytes,
        architecture=card.architecture,
        quantisation=card.quantisation,
        hybrid=card.hybrid,
        layers=card.n_layers,
        experts=card.n_experts,
        experts_used=card.n_experts_used,
        parameters=card.weights.parameters,
        active_parameters=card.weights.active_parameters,
        bytes_per_token=card.weights.bytes_per_token,
        mtp_layers=card.n_mtp_layers,
        vocab_sha256=card.vocab_sha256,
    )


def report_pairs(files: Iterable[RoleFile], reports: Iterable[RoleReport]) -> list[PairReport]:
    """Every draft against every target; roles whose file cannot be read are left out."""
    hashes = {report.role: report.vocab_sha256 for report in reports if report.vocab_sha256 is not None}
    paths = {file.role: file.path for file in files if file.role in hashes}
    drafts = [role for role in paths if role.startswith("draft-")]
    return [
        _report_pair(target, draft, paths, hashes) for target in paths if target not in drafts for draft in drafts
    ]


def _report_pair(
    target: str, draft: str, paths: Mapping[str, Path], hashes: Mapping[str, str | None]
) -> PairReport:
    if hashes[target] == hashes[draft]:
        return PairReport(target=target, draft=draft, severity="ok", finding="the same vocabulary")
    try:
        check_pair(paths[target], paths[draft])
    except ModelError as error:
        return PairReport(target=target, draft=draft, severity="fail", finding=str(error))
    return PairReport(target=target, draft=draft, severity="ok", finding="the same vocabulary")


def _findings(file: RoleFile, card: GgufCard) -> list[Finding]:
    """A file given by hand may be meant to be another model, so what differs only warns."""
    if file.place == BUILT_IN or file.role not in registry().role:
        return []
    found = unexpected(card, registry().entry(file.role), registry().model_of(file.role))
    return [Finding("warn", finding.text) for finding in found] if file.place == GIVEN else found
