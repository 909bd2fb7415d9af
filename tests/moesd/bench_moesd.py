"""The figures of docs/moesd.md that take too long for the suite: `python -m tests.moesd.bench_moesd`.

Synthetic recovery over 100 seeds, and how the table of strides depends on the T_rej that was never published.
"""

from __future__ import annotations

import time

import msgspec
import numpy as np

from analysis.moesd.facts import Facts, Rejection, bounds
from analysis.moesd.fit import fit, plain_seconds
from analysis.moesd.strides import stride_study
from analysis.moesd.times import Parameters
from tests.moesd.truth import FACTS, TRUTH, held_out_errors, published, true_grid

SEEDS = 100
LIMIT = 0.03
FLAT = Parameters(3.5, 1.5, 0.5, 0.5, 0.4, 2.5, 0.2, 0.2, 0.25, 1.03)
"""Close to what the published points give: dense growth, little growth of the experts."""
MAX_REJECT_MS = (0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 1.0, 2.0)
WITH_SHARED_EXPERT = 8.08e9


def recovery(truth: Parameters, stride: int) -> str:
    errors = [held_out_errors(stride, seed, truth) for seed in range(SEEDS)]
    rms = np.array([np.sqrt(np.mean(e**2)) for e in errors])
    worst = np.array([e.max() for e in errors])
    within = np.mean(np.concatenate(errors) < LIMIT)
    return (
        f"stride {stride}: RMS within 3 % for {np.sum(rms < LIMIT)} seeds (median {np.median(rms):.2%}, "
        f"worst {rms.max():.2%}); single points within 3 %: {within:.1%}; "
        f"seeds with every point: {np.sum(worst < LIMIT)}"
    )


def rejection_row(facts: Facts, max_ms: float) -> str:
    facts = msgspec.structs.replace(facts, rejection=Rejection(max_ms=max_ms))
    rows = stride_study(published().grid, facts)
    good = [row for row in rows if row.error <= row.published]
    worse = ", ".join(str(row.n_fitted) for row in rows if row not in good)
    outlier = max(rows, key=lambda row: row.error).n_fitted
    errors = {row.n_fitted: row.error for row in rows}
    shown = " ".join(f"m={m}: {errors[m]:.3f}" for m in (12, 21, 228))
    return f"T_rej {max_ms} ms: {len(good)} of {len(rows)} (worse: {worse}), outlier m={outlier}, {shown}"


def timing(stride: int) -> str:
    grid = published().grid.every(stride)
    facts = published().facts
    limits = bounds(facts, facts.rejection.max_ms)
    seconds, plain = [], []
    for _ in range(20):
        seconds.append(fit(grid, facts, facts.rejection.max_ms).seconds)
        plain.append(plain_seconds(grid, limits, facts.ridge_tokens))
    ours, theirs = np.median(seconds), np.median(plain)
    return f"{len(grid)} points: {ours:.3f} s, plain single start {theirs:.3f} s, ratio {ours / theirs:.1f}"


def main() -> None:
    began = time.perf_counter()
    print(len(true_grid()), "points, ridge", FACTS.ridge_tokens, "tokens")
    for name, truth in (("truth", TRUTH), ("flat", FLAT)):
        for stride in (11, 5):
            print(name, recovery(truth, stride), flush=True)
    facts = published().facts
    shared = msgspec.structs.replace(
        facts, target=msgspec.structs.replace(facts.target, dense_parameters=WITH_SHARED_EXPERT)
    )
    for name, chosen in (("non-FFN", facts), ("with shared expert", shared)):
        for max_ms in MAX_REJECT_MS:
            print(name, rejection_row(chosen, max_ms), flush=True)
    for stride in (11, 1):
        print(timing(stride))
    print(f"{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
