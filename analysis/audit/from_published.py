"""Evidence from seed 003's tables. All room is rounding: half a unit of the last printed digit."""

from __future__ import annotations

from analysis.audit.evidence import Evidence, PlainRow, Row, Span
from analysis.published import ModelFile, PublishedStudy, SpeculativeRow, model_files, published_study

MS_PER_S = 1000.0


def published_evidence() -> Evidence:
    """18 configurations from the 24 SD rows of two tables, and the six baselines."""
    study, files = published_study(), model_files()
    return Evidence(
        name="published",
        rows=tuple(_row(study, files, row) for row in study.distinct_rows()),
        plain=tuple(_plain(study, files, row.role) for row in study.baselines),
        bandwidth_bytes_per_s=study.hardware.bandwidth_bytes_per_s,
    )


def _row(study: PublishedStudy, files: dict[str, ModelFile], row: SpeculativeRow) -> Row:
    alpha = Span.within(row.acceptance, study.rounding.acceptance)
    speedup = Span.within(row.speedup, study.rounding.speedup)
    t1_ms = baseline_ms(study, row.target)
    draft = files[row.draft]
    return Row(
        where=_where(study, row), target=row.target, draft=row.draft, gamma=row.gamma,
        drafted=Span.exact(row.gamma), t1_ms=t1_ms, ms_per_token=_ms_per_token(study, row, t1_ms),
        speedup=speedup,
        tau=Span(1 + alpha.low * row.gamma, 1 + alpha.value * row.gamma, 1 + alpha.high * row.gamma), alpha=alpha,
        draft_pass_ms=draft_pass_ms(study, draft), target_bytes=files[row.target].bytes_per_token,
        draft_bytes=draft.bytes_per_token,
    )  # fmt: skip


def _where(study: PublishedStudy, row: SpeculativeRow) -> tuple[str, ...]:
    tables = (("sd table", study.speculative), ("draft comparison", study.draft_comparison))
    return tuple(
        f"published {name}: {row.target} + {row.draft}, γ {row.gamma}"
        for name, rows in tables
        if any(other.configuration == row.configuration for other in rows)
    )


def baseline_ms(study: PublishedStudy, role: str) -> Span:
    """t₁ of `role` in ms per token."""
    return Span.within(study.baseline(role).tokens_per_s, study.rounding.tokens_per_s).under(MS_PER_S)


def draft_pass_ms(study: PublishedStudy, draft: ModelFile) -> Span:
    """T_D from the draft's own baseline.

    That was measured on another, larger file of the same model; the low end grants the draft all that its smaller
    file could save if decoding were nothing but reading.
    """
    assert draft.baseline_role is not None
    assert draft.baseline_file_bytes is not None
    own = baseline_ms(study, draft.baseline_role)
    return Span(own.low * min(1.0, draft.file_bytes / draft.baseline_file_bytes), own.value, own.high)


def _ms_per_token(study: PublishedStudy, row: SpeculativeRow, t1_ms: Span) -> Span:
    if row.tokens_per_s is not None:
        return Span.within(row.tokens_per_s, study.rounding.tokens_per_s).under(MS_PER_S)
    speedup = Span.within(row.speedup, study.rounding.speedup)
    return Span(t1_ms.low / speedup.high, t1_ms.value / speedup.value, t1_ms.high / speedup.low)


def _plain(study: PublishedStudy, files: dict[str, ModelFile], role: str) -> PlainRow:
    file = files.get(role)
    return PlainRow(
        where=(f"published baseline: {role}",), target=role, ms_per_token=baseline_ms(study, role),
        active_bytes=file.bytes_per_token if file else None,
        claimed_bytes=file.file_bytes if file and file.active_parameters < 0.5 * file.parameters else None,
    )  # fmt: skip
