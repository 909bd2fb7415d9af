"""The figures that others published, as typed values and frames. Source files: `data/published/*.toml`.

>>> study = published_study()
>>> len(study.baselines), len(study.speculative), len(study.draft_comparison)
(6, 12, 12)
>>> round(study.baseline("moe-q4").ms_per_token, 2)
18.08
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TypeVar

import msgspec
import pandas as pd

from runner.errors import DataError
from runner.parsing import MalformedError, parse_toml
from runner.paths import data_dir

MS_PER_S = 1000.0


class _Struct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Source(_Struct, frozen=True):
    """Where figures come from. `seed` is the number of the seed document, where there is one."""

    title: str
    seed: str | None = None
    author: str | None = None
    year: int | None = None
    date: str | None = None
    url: str | None = None
    note: str | None = None


class Hardware(_Struct, frozen=True):
    """The published study's machine."""

    chip: str
    memory_bytes: int
    memory_kind: str
    bandwidth_bytes_per_s: float
    gpu_cores: int
    cpu_cores: int
    performance_cores: int
    efficiency_cores: int
    framework: str


class RunCounts(_Struct, frozen=True):
    """How much the published study ran."""

    n_runs: int
    n_suites: int
    duration_minutes: float
    duration_is_approximate: bool
    target_quantisations: tuple[str, ...]
    draft_quantisation: str


class Rounding(_Struct, frozen=True):
    """Half a unit of the last printed digit, per kind of figure."""

    tokens_per_s: float
    speedup: float
    acceptance: float


class BaselineRow(_Struct, frozen=True):
    """One row of the baseline table."""

    role: str
    label: str
    active_parameters: float
    total_parameters: float
    tokens_per_s: float
    starred: bool = False

    @property
    def ms_per_token(self) -> float:
        """t₁ as the printed throughput implies it."""
        return MS_PER_S / self.tokens_per_s


class SpeculativeRow(_Struct, frozen=True):
    """One row of the SD table or of the draft comparison; the latter prints no throughput.

    `acceptance` is a fraction (accepted / drafted).
    """

    target: str
    draft: str
    gamma: int
    speedup: float
    acceptance: float
    tokens_per_s: float | None = None
    starred: bool = False
    winner: bool = False

    @property
    def configuration(self) -> tuple[str, str, int]:
        """What the row is about: rows of two tables that share it are the same measurement."""
        return (self.target, self.draft, self.gamma)


class PublishedFinding(_Struct, frozen=True):
    """A conclusion of the published study, with the figures it names."""

    id: str
    statement: str
    figures: dict[str, float]


class PublishedStudy(_Struct, frozen=True):
    """Seed 003 whole."""

    source: Source
    hardware: Hardware
    runs: RunCounts
    rounding: Rounding
    baselines: tuple[BaselineRow, ...]
    speculative: tuple[SpeculativeRow, ...]
    draft_comparison: tuple[SpeculativeRow, ...]
    findings: tuple[PublishedFinding, ...]

    def baseline(self, role: str) -> BaselineRow:
        """The baseline of `role`. Raises DataError when the study has none."""
        for row in self.baselines:
            if row.role == role:
                return row
        known = ", ".join(row.role for row in self.baselines)
        raise DataError(f"published study: no baseline of {role!r}; it has {known}")

    def distinct_rows(self) -> tuple[SpeculativeRow, ...]:
        """SD rows of both tables without repeats; where both print a configuration, the row with a throughput."""
        rows = {row.configuration: row for row in (*self.draft_comparison, *self.speculative)}
        return tuple(rows.values())


class ModelFile(_Struct, frozen=True):
    """One GGUF of the published study.

    `baseline_*`: the other file on which this draft's own speed was measured.
    """

    role: str
    quantisation: str
    file_bytes: float
    parameters: int
    active_parameters: int
    baseline_role: str | None = None
    baseline_file_bytes: float | None = None

    @property
    def bytes_per_token(self) -> float:
        """Estimated weight bytes that decoding one token must read."""
        return self.file_bytes * self.active_parameters / self.parameters


class ModelFiles(_Struct, frozen=True):
    """The published study's GGUFs."""

    source: Source
    files: tuple[ModelFile, ...]


class TpotModels(_Struct, frozen=True):
    """What the notebook measured."""

    target: str
    draft: str


class TpotConstants(_Struct, frozen=True):
    """The notebook's inputs. TPOT: time per output token."""

    draft_tpot_ms: float
    target_tpot_ms: float
    gamma: int
    acceptance_length_tokens: float
    measured_sd_tpot_ms: float


class AcceptanceLengths(_Struct, frozen=True):
    """τ for each γ, same order."""

    gamma: tuple[int, ...]
    tokens: tuple[float, ...]


class TpotStated(_Struct, frozen=True):
    """What the notebook's text says."""

    measured_cycle_ms: float
    draft_tpot_as_main_model_ms: float
    draft_tpot_as_draft_ms: float
    drafter_speedup_from_cuda_graphs: float
    tpot_gain_from_cuda_graphs_low: float
    tpot_gain_from_cuda_graphs_high: float
    best_gamma_now: int
    best_gamma_with_less_overhead: int
    best_gamma_expected_low: int
    best_gamma_expected_high: int


class TpotNotebook(_Struct, frozen=True):
    """Seed 001 whole."""

    source: Source
    models: TpotModels
    constants: TpotConstants
    acceptance_lengths: AcceptanceLengths
    stated: TpotStated


class StrideRow(_Struct, frozen=True):
    """One row of MoESD's Table 1: the fit on every `stride`-th measurement and its mean squared error."""

    n_measurements: int
    stride: int
    mse: float
    figure: int
    batch_sizes: tuple[int, ...]


class _StrideFacts(_Struct, frozen=True):
    n_measurements_all: int
    n_parameters: int
    badly_fitted: tuple[int, ...]


class StrideTable(_Struct, frozen=True):
    """Seed 000's Table 1 whole."""

    source: Source
    table: _StrideFacts
    rows: tuple[StrideRow, ...]


_T = TypeVar("_T")


@cache
def published_study() -> PublishedStudy:
    """Seed 003's figures. Raises DataError when the shipped file is damaged."""
    return _load("study306.toml", PublishedStudy)


@cache
def model_files() -> dict[str, ModelFile]:
    """The published study's GGUFs by role."""
    return {file.role: file for file in _load("model_files.toml", ModelFiles).files}


@cache
def tpot_notebook() -> TpotNotebook:
    """Seed 001's figures."""
    return _load("tpot.toml", TpotNotebook)


@cache
def stride_table() -> StrideTable:
    """Seed 000's Table 1."""
    return _load("moesd_stride.toml", StrideTable)


def rows_frame(rows: tuple[_Struct, ...]) -> pd.DataFrame:
    """Rows of any one table as a frame, a column per field, in printed order; a figure not printed is NaN."""
    return pd.DataFrame([msgspec.structs.asdict(row) for row in rows])


def _load(name: str, kind: type[_T]) -> _T:
    return read_toml(data_dir() / "published" / name, kind)


def read_toml(path: Path, kind: type[_T]) -> _T:
    """The typed content of one file. Raises DataError, with path and reason, when it is missing or malformed."""
    try:
        return parse_toml(path.read_bytes(), kind)
    except FileNotFoundError:
        raise DataError(f"{path.name}: missing from data/published; reinstall or restore the checkout") from None
    except OSError as error:
        raise DataError(f"{path.name}: cannot be read ({error.strerror}); make it readable") from None
    except MalformedError as error:
        raise DataError(f"{path.name}: not the published figures as they were committed ({error})") from None
