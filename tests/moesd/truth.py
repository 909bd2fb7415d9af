"""A machine and a mixture whose parameters are known, and measurements of it with chosen noise."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pandas as pd

from analysis.moesd.facts import DraftFacts, Facts, MachineSpeed, Rejection, TargetFacts
from analysis.moesd.fit import fit
from analysis.moesd.grid import Grid, grid_of
from analysis.moesd.source import PUBLISHED, load_source
from analysis.moesd.times import Parameters, speedup

FACTS = Facts(
    target=TargetFacts(
        name="t", experts=64, dense_parameters=2e9, expert_parameters=0.8e9, bytes_per_parameter=2.0
    ),
    draft=DraftFacts(name="d", parameters=0.5e9, bytes_per_parameter=2.0),
    machine=MachineSpeed(name="m", bandwidth_bytes_per_s=4e12, peak_flops_per_s=600e12),
    rejection=Rejection(max_ms=0.25),
    sigma={2: 0.94, 4: 0.91},
)
"""bias_min 1 ms, expert_min 0.4 ms, draft_min 0.25 ms, ridge 150 tokens."""

TRUTH = Parameters(2.5, 3.0, 0.6, 2.0, 0.6, 2.0, 0.1, 0.05, 0.4, 1.03)
"""Inside all bounds of `FACTS`."""

USED = (1, 2, 4, 8, 16, 32)
GAMMAS = (2, 4)
BATCHES = (1, 2, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60, 80, 100)


def true_grid(facts: Facts = FACTS, truth: Parameters = TRUTH) -> Grid:
    """The 228 points without noise."""
    keys = pd.MultiIndex.from_product([USED, GAMMAS, BATCHES], names=["K", "gamma", "B"]).to_frame(index=False)
    grid = grid_of(keys.assign(speedup=1.0), facts, "truth")
    return grid.with_speedup(speedup(truth, grid.points, facts.ridge_tokens))


def noisy(grid: Grid, seed: int, noise: float = 0.02) -> Grid:
    """The grid with normal relative noise on every speedup."""
    rng = np.random.default_rng(seed)
    return grid.with_speedup(grid.speedup * (1.0 + noise * rng.standard_normal(len(grid))))


def held_out_errors(stride: int, seed: int, truth: Parameters = TRUTH) -> np.ndarray:
    """Relative errors of a fit to every `stride`-th noisy point, against the true speedup of all other points."""
    grid = true_grid(truth=truth)
    found = fit(noisy(grid, seed).every(stride), FACTS, FACTS.rejection.max_ms)
    errors = np.abs(found.speedup(grid.points) / grid.speedup - 1.0)
    return errors[np.arange(len(grid)) % stride != 0]


def published():
    """The paper's Figure 4 with its facts."""
    return load_source(PUBLISHED, None, None)


def write_data(folder, grid: Grid | None = None, facts: Facts = FACTS) -> Path:
    """`data.csv` with its facts beside it; the path of the points."""
    (folder / "data.json").write_bytes(msgspec.json.encode(facts))
    path = folder / "data.csv"
    (grid or true_grid()).frame.to_csv(path, index=False)
    return path
