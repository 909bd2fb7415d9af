"""What the experiments outside the matrix yield: points of the MoESD grid, and counts of touched experts.

They stand in files of their own beside the manifest, one checked line each (`runner.lines`):

    moesd-grid.jsonl    one `GridRecord` a point
    routing.jsonl       one `RoutingRecord` per model and prompt

Times are nanoseconds, one entry per pass or cycle, warm-up left out.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from runner.record import SCHEMA_VERSION, Failure, MachineState, RollbackProof, RoutingCount, Status

GRID_LOG = "moesd-grid.jsonl"
ROUTING_LOG = "routing.jsonl"


class Logged(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every line says about how it came to be."""

    schema_version: int = SCHEMA_VERSION
    run_id: str
    """Identity of what was measured: the same for a repeated attempt."""
    attempt: int = 1
    order: int
    """Position in the plan."""
    status: Status
    started_utc: str
    failure: Failure | None = None
    state_before: MachineState = MachineState()
    state_after: MachineState = MachineState()


class GridPoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One setting of the grid (facts/moesd.md, 1.4)."""

    experts_used: int
    """K"""
    gamma: int
    n_sequences: int
    """B"""

    def __str__(self) -> str:
        return f"K = {self.experts_used}, gamma = {self.gamma}, B = {self.n_sequences}"


class GridMeasurement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything measured at a point.

    Where memory allows, all B sequences go through a true loop: drafted, verified in one batch, rolled back each
    by its own number of tokens. Where it does not, `n_loop_sequences` of them do, which gives acceptance and
    rejection time, and the passes of all B are timed without rollback.
    """

    dense_parameters: int
    """Weights that every token reads, embedding rows left out."""
    expert_parameters: int
    """Weights of one expert index over all layers."""
    n_loop_sequences: int
    n_cycles: int
    """Timed cycles of the loop; each is one of every sequence in it."""
    accepted_tokens: int
    """Of the `n_cycles * n_loop_sequences * gamma` drafted ones."""
    target_1_ns: list[int]
    """T_T(B, 1)"""
    choose_1_ns: list[int]
    """Greedy choice after such a pass."""
    target_gamma_ns: list[int]
    """T_T(B, gamma)"""
    target_gamma1_ns: list[int]
    """T_T(B, gamma + 1): the verification."""
    draft_ns: list[int]
    """T_D(B, 1)"""
    reject_ns: list[int]
    """Choice, comparison and rollback of target and draft, per cycle of the loop."""
    baseline_step_ns: list[int]
    """Wall time of a whole step without SD: B tokens."""
    cycle_ns: list[int]
    """Wall time of a whole cycle of the loop."""
    compared_tokens: int
    """Tokens that loop and baseline both wrote."""
    same_tokens: int
    """Of these, the ones before the first difference of their sequence: a batch of another shape rounds
    differently, so a near-tie may fall the other way."""
    n_rs_seq: int
    target_proof: RollbackProof
    draft_proof: RollbackProof


class GridRecord(Logged, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One measured point."""

    point: GridPoint
    measurement: GridMeasurement | None = None


class RoutingSubject(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose experts are counted, over which text."""

    target: str
    draft: str
    """Role of the model whose guesses are looked at; `none` where there is none."""
    prompt: str
    n_text_tokens: int

    def __str__(self) -> str:
        return f"{self.target}, {self.prompt}"


class RoutingRecord(Logged, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Counts of one subject."""

    subject: RoutingSubject
    n_experts: int = 0
    counts: list[RoutingCount] = []


Loop = Literal["true", "composed"]
"""Where a point's speedup comes from: all B sequences really decoded with SD, or Eq. 4 over measured times."""
