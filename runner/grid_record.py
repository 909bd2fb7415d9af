"""What the experiments outside the matrix yield: points of the MoESD grid, and counts of touched experts.

They stand in files of their own beside the manifest, one checked line each (`runner.lines`):

    moesd-grid.jsonl    one `GridRecord` a point
    routing.jsonl       one `RoutingRecord` per model and prompt

Times are nanoseconds, one entry per pass or cycle, warm-up left out.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from runner.record import (
    SCHEMA_VERSION,
    AtLeastOne,
    Count,
    Failure,
    MachineState,
    RollbackProof,
    RoutingCount,
    Status,
    Whole,
)

GRID_LOG = "moesd-grid.jsonl"
ROUTING_LOG = "routing.jsonl"

Times = Annotated[list[AtLeastOne], msgspec.Meta(min_length=1)]
"""Of passes: none takes no time."""
Parts = Annotated[list[Count], msgspec.Meta(min_length=1)]
"""Of a pass or a cycle; a clock may find them too short to see."""


class Logged(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every line says about how it came to be."""

    schema_version: Whole = SCHEMA_VERSION
    run_id: str
    """Identity of what was measured: the same for a repeated attempt."""
    attempt: Whole = 1
    order: Whole
    """Position in the plan."""
    status: Status
    started_utc: str
    failure: Failure | None = None
    state_before: MachineState = MachineState()
    state_after: MachineState = MachineState()


class GridPoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One setting of the grid (facts/moesd.md, 1.4)."""

    experts_used: AtLeastOne
    """K"""
    gamma: AtLeastOne
    n_sequences: AtLeastOne
    """B"""

    def __str__(self) -> str:
        return f"K = {self.experts_used}, gamma = {self.gamma}, B = {self.n_sequences}"


class GridMeasurement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything measured at a point.

    Where memory allows, all B sequences go through a true loop: drafted, verified in one batch, rolled back each
    by its own number of tokens. Where it does not, `n_loop_sequences` of them do, which gives acceptance and
    rejection time, and the passes of all B are timed without rollback.
    """

    dense_parameters: Count
    """Weights that every token reads, embedding rows left out."""
    expert_parameters: Count
    """Weights of one expert index over all layers."""
    n_loop_sequences: AtLeastOne
    n_cycles: AtLeastOne
    """Timed cycles of the loop; each is one of every sequence in it."""
    accepted_tokens: Count
    """Of the `n_cycles * n_loop_sequences * gamma` drafted ones."""
    target_1_ns: Times
    """T_T(B, 1)"""
    choose_1_ns: Parts
    """Greedy choice after such a pass."""
    target_gamma_ns: Times
    """T_T(B, gamma)"""
    target_gamma1_ns: Times
    """T_T(B, gamma + 1): the verification."""
    draft_ns: Times
    """T_D(B, 1)"""
    reject_ns: Parts
    """Choice, comparison and rollback of target and draft, per cycle of the loop."""
    baseline_step_ns: Times
    """Wall time of a whole step without SD: B tokens."""
    cycle_ns: Times
    """Wall time of a whole cycle of the loop."""
    compared_tokens: Count
    """Tokens that loop and baseline both wrote."""
    same_tokens: Count
    """Of these, the ones before the first difference of their sequence: a batch of another shape rounds
    differently, so a near-tie may fall the other way."""
    n_rs_seq: Whole
    target_proof: RollbackProof
    draft_proof: RollbackProof


class GridRecord(Logged, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One measured point."""

    point: GridPoint
    measurement: GridMeasurement | None = None

    def __post_init__(self) -> None:
        """Raises ValueError, which a decoder tells as a fault of the line."""
        if self.status == "ok" and self.measurement is None:
            raise ValueError("a point that went well holds no measurement")


class RoutingSubject(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose experts are counted, over which text."""

    target: str
    draft: str
    """Role of the model whose guesses are looked at; `none` where there is none."""
    prompt: str
    n_text_tokens: Whole

    def __str__(self) -> str:
        return f"{self.target}, {self.prompt}"


class RoutingRecord(Logged, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Counts of one subject."""

    subject: RoutingSubject
    n_experts: Count = 0
    counts: list[RoutingCount] = []

    def __post_init__(self) -> None:
        """Raises ValueError, which a decoder tells as a fault of the line."""
        if self.status == "ok" and not (self.n_experts and self.counts):
            raise ValueError("a text that was followed holds no counts")


Loop = Literal["true", "composed"]
"""Where a point's speedup comes from: all B sequences really decoded with SD, or Eq. 4 over measured times."""
