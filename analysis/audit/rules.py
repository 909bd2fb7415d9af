"""The plain list of rules, in the order in which their findings are shown."""

from __future__ import annotations

from analysis.audit import accounts, conditions, fairness, logs, outputs, physics, signatures, store
from analysis.audit.evidence import Evidence, Rule
from analysis.audit.finding import Finding

RULES: tuple[Rule, ...] = (
    physics.tau_bound,
    physics.cycle_time,
    physics.draft_budget,
    physics.bandwidth,
    signatures.phantom_signature,
    signatures.acceptance_falls,
    signatures.acceptance_without_effect,
    physics.speedup_recomputes,
    accounts.counts_in_range,
    accounts.nothing_drafted,
    accounts.tokens_conserved,
    accounts.output_rows,
    accounts.identity_closes,
    accounts.times_add_up,
    accounts.pass_times,
    accounts.draft_pass_times,
    outputs.lossless,
    outputs.repeated_output,
    outputs.rollback_proved,
    fairness.baseline_missing,
    fairness.unequal_budgets,
    fairness.other_prompt,
    fairness.cached_prefill,
    fairness.interleaved,
    store.unreadable_lines,
    store.run_identity_recomputes,
    store.duplicate_runs,
    store.superseded_runs,
    store.failed_runs,
    store.missing_cells,
    store.mixed_builds,
    store.mixed_models,
    store.marked_runs,
    conditions.reference_drift,
    conditions.drift,
    conditions.state_changes,
    logs.out_of_range,
    logs.log_failed_runs,
    logs.log_duplicates,
    logs.log_baselines,
    logs.log_budgets,
    logs.log_mixtures,
    logs.log_rates,
    logs.log_acceptance,
)


def judge(evidence: Evidence) -> tuple[Finding, ...]:
    """All findings of all rules."""
    return tuple(finding for rule in RULES for finding in rule(evidence))
