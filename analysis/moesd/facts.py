"""What is known before any fit: sizes of the models, speed of the machine, and the bounds these imply.

A facts file is TOML or JSON; every quantity carries its unit in its name:

    verified = "gamma"                      # tokens of a verification per sequence: "gamma" or "gamma+1"

    [target]
    name = "Qwen2-57B-A14B-Instruct"
    experts = 64                            # routed experts of a layer; 1 for a dense model
    dense_parameters = 1.91e9               # what every token reads: attention, embeddings, shared experts
    expert_parameters = 0.771e9             # one expert index, summed over all layers
    bytes_per_parameter = 2.0

    [draft]
    name = "Qwen2-0.5B-Instruct"
    parameters = 0.494e9
    bytes_per_parameter = 2.0

    [machine]
    name = "2 x A800-80G"
    bandwidth_bytes_per_s = 4.078e12        # peak
    draft_bandwidth_bytes_per_s = 2.039e12  # only where the draft runs on a part of the machine
    peak_flops_per_s = 624e12               # multiplications and additions, at the weights' precision

    [rejection]
    max_ms = 0.25                           # longest rejection sampling; measured reject_ms come first

    [sigma]                                 # only for data without a sigma column, by gamma
    2 = 0.94
    4 = 0.91
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import msgspec
import numpy as np

from analysis.moesd.theory import FloatArray
from analysis.moesd.times import Parameters
from runner.errors import DataError
from runner.parsing import MalformedError, parse_json, parse_toml

MS_PER_S = 1000.0
RELAXATION = 5.0
"""Appendix B.1: a loading time may be up to five times its theoretical minimum."""
LAMBDA_RANGE = (0.2, 1.0)
BASE_RANGE = (1.0, 2.0)
FLOPS_PER_PARAMETER = 2.0
"""One multiplication and one addition per weight and token."""

Positive = Annotated[float, msgspec.Meta(gt=0.0, le=1e30)]
Share = Annotated[float, msgspec.Meta(gt=0.0, le=1.0)]
Verified = Literal["gamma", "gamma+1"]
_T = TypeVar("_T")


class _Struct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class TargetFacts(_Struct, frozen=True):
    """The verified model."""

    name: str
    experts: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
    dense_parameters: Positive
    expert_parameters: Positive
    bytes_per_parameter: Positive


class DraftFacts(_Struct, frozen=True):
    """The proposing model; dense."""

    name: str
    parameters: Positive
    bytes_per_parameter: Positive


class MachineSpeed(_Struct, frozen=True):
    """Peak figures; what is really reached is for λ and the factor `RELAXATION` to say."""

    name: str
    bandwidth_bytes_per_s: Positive
    peak_flops_per_s: Positive
    draft_bandwidth_bytes_per_s: Positive | None = None


class Rejection(_Struct, frozen=True):
    """T_rej of the appendix."""

    max_ms: Positive


class Facts(_Struct, frozen=True):
    """All of them; see the module's example."""

    target: TargetFacts
    draft: DraftFacts
    machine: MachineSpeed
    verified: Verified = "gamma"
    rejection: Rejection | None = None
    sigma: dict[int, Share] = {}

    @property
    def ridge_tokens(self) -> float:
        """RP, Eq. 1, in tokens: the pass width at which reading the weights and computing take equally long.

        A pass of t tokens takes 2t FLOP per weight, so at w bytes per weight FLOP/byte count 2t/w.
        """
        ridge_flops_per_byte = self.machine.peak_flops_per_s / self.machine.bandwidth_bytes_per_s
        return ridge_flops_per_byte * self.target.bytes_per_parameter / FLOPS_PER_PARAMETER

    @property
    def bias_min_ms(self) -> float:
        """Least time to read what every token needs."""
        return self._target_ms(self.target.dense_parameters)

    @property
    def expert_min_ms(self) -> float:
        """Least time to read one expert in every layer."""
        return self._target_ms(self.target.expert_parameters)

    @property
    def draft_min_ms(self) -> float:
        """Least time to read the draft model."""
        speed = self.machine.draft_bandwidth_bytes_per_s or self.machine.bandwidth_bytes_per_s
        return MS_PER_S * self.draft.parameters * self.draft.bytes_per_parameter / speed

    def _target_ms(self, parameters: float) -> float:
        return MS_PER_S * parameters * self.target.bytes_per_parameter / self.machine.bandwidth_bytes_per_s


@dataclass(frozen=True)
class Bounds:
    """Least and greatest value of each parameter."""

    low: Parameters
    high: Parameters

    @property
    def arrays(self) -> tuple[FloatArray, FloatArray]:
        """Both, each of shape (10,)."""
        return np.array(self.low), np.array(self.high)


def bounds(facts: Facts, max_reject_ms: float) -> Bounds:
    """The appendix's bounds (seed 000, B.1); `max_reject_ms` is its T_rej, the longest rejection sampling."""
    loads = facts.bias_min_ms, facts.expert_min_ms, facts.draft_min_ms
    dense, expert, draft = loads
    dense_max, expert_max, draft_max = (RELAXATION * load for load in loads)
    low = Parameters(dense, 0.0, expert, 0.0, draft, 0.0, 0.0, 0.0, LAMBDA_RANGE[0], BASE_RANGE[0])
    high = Parameters(
        dense_max, np.inf, expert_max, np.inf, draft_max, np.inf,
        max_reject_ms, max_reject_ms, LAMBDA_RANGE[1], BASE_RANGE[1],
    )  # fmt: skip
    return Bounds(low, high)


def read_facts(path: Path) -> Facts:
    """The facts in a `.toml` or `.json` file. DataError names file, field and reason."""
    return read_document(path, Facts)


def read_document(path: Path, kind: type[_T]) -> _T:
    """A TOML or JSON file as `kind`, told apart by the ending. DataError names file, field and reason."""
    parse = parse_json if path.suffix == ".json" else parse_toml
    try:
        return parse(path.read_bytes(), kind)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); name a facts file in TOML or JSON") from None
    except MalformedError as error:
        raise DataError(f"{path}: {error}; see docs/moesd.md for what a facts file holds") from None
