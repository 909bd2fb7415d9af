"""Honest studies whose runs are drafted by others than a draft model, or rolled back as the suite asks."""

from __future__ import annotations

import msgspec

from runner.record import Manifest, RunRecord, Strategy
from tests.simulated import Config, manifest_of, reidentified, simulate, with_measurement


def as_drafted_by(record: RunRecord, drafter: str) -> RunRecord:
    """The run as if a drafter without a model had proposed the same tokens, at no cost and with no state."""
    cell = msgspec.structs.replace(record.cell, draft=drafter)
    cycles, spent = record.measurement.cycles, sum(record.measurement.cycles.draft_ns)
    return with_measurement(
        reidentified(msgspec.structs.replace(record, draft_sha256=None), cell),
        cycles=msgspec.structs.replace(cycles, draft_ns=[0] * len(cycles.drafted)), draft_rollback="none",
        decode_wall_ns=record.measurement.decode_wall_ns - spent, draft_proof=None,
        llama_ns=record.measurement.llama_ns - spent,
    )  # fmt: skip


def as_rolled_back_by(record: RunRecord, strategy: Strategy) -> RunRecord:
    cell = msgspec.structs.replace(record.cell, rollback=strategy)
    return with_measurement(reidentified(record, cell), target_rollback=strategy)


def as_charged_oracle(record: RunRecord) -> RunRecord:
    """The pair's draft model decodes what another drafter proposes; the cell names the other drafter."""
    return reidentified(record, msgspec.structs.replace(record.cell, draft="oracle-0.50-charged"))


def with_other_drafters(config: Config) -> tuple[Manifest, list[RunRecord]]:
    """Beside each speculative run: an oracle, a charged oracle, prompt lookup, and two rollbacks asked for."""
    records = []
    for one in simulate(config):
        records.append(one)
        if one.cell.gamma:
            records += [as_drafted_by(one, "oracle-0.50"), as_drafted_by(one, "ngram"), as_charged_oracle(one)]
            records += [as_rolled_back_by(one, strategy) for strategy in ("snapshots", "checkpoint")]
    n_cells = sum(one.cell.purpose == "cell" for one in records)
    return msgspec.structs.replace(manifest_of(config), n_cells=n_cells), records
