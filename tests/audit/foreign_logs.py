"""Foreign run logs in the published study's columns, from a cost model: a phantom one and an honest one."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

COLUMNS = [
    "job_id", "timestamp", "machine", "chip", "target_model", "draft_model", "draft_len", "n_prompt", "n_predict",
    "repeat", "prompt_key", "tokens_per_sec", "prompt_eval_ms", "eval_ms_per_token", "draft_acceptance_rate",
    "speedup_vs_baseline", "raw_log", "status",
]  # fmt: skip
T1_MS = {"moe_q4": 18.08, "moe_q8": 20.04, "dense_9b": 29.9, "dense_0.8b": 7.25, "dense_2b": 9.06}
PASS_MS = {"draft_0.8b": 7.25, "draft_2b": 9.06}
TALK = ("short_factual", "code_gen")
GAMMAS = (4, 8, 16)
REPEATS = 3

Cost = Callable[[str, str, int], tuple[float, float]]
"""Target, draft, gamma -> (ms per token, acceptance)."""


def phantom(target: str, draft: str, gamma: int) -> tuple[float, float]:
    """One draft pass a token, one target pass every γ + 1 tokens, next to nothing accepted."""
    return PASS_MS[draft] + T1_MS[target] * (1 + 0.35 * gamma) / (gamma + 1), 0.08 / gamma**1.5


def honest(target: str, draft: str, gamma: int) -> tuple[float, float]:
    """γ draft passes and one target pass a cycle, τ = 1 + αγ."""
    tau = (1 - 0.7 ** (gamma + 1)) / 0.3
    return (T1_MS[target] * (1 + 0.1 * gamma) + gamma * PASS_MS[draft]) / tau, (tau - 1) / gamma


def rows(cost: Cost, baseline_prompts: tuple[str, ...]) -> Iterator[dict[str, object]]:
    """The runs of a log: baselines of every target on `baseline_prompts`, then all drafts and gammas."""
    for target, t1_ms in T1_MS.items():
        for prompt in baseline_prompts:
            yield from _repeats(target, "none", 0, prompt, t1_ms, None)
    for target in ("moe_q4", "moe_q8", "dense_9b"):
        for draft in PASS_MS:
            for gamma in GAMMAS:
                ms, acceptance = cost(target, draft, gamma)
                for prompt in TALK:
                    yield from _repeats(target, draft, gamma, prompt, ms, acceptance)


def _repeats(
    target: str, draft: str, gamma: int, prompt: str, ms: float, acceptance: float | None
) -> Iterator[dict[str, object]]:
    for repeat in range(REPEATS):
        time = ms * (1 + 0.002 * (repeat - 1))
        yield {
            "job_id": f"{target}_{draft}_g{gamma}_{prompt}_r{repeat}", "timestamp": "2026-03-14T22:14:16",
            "machine": "desk", "chip": "Some chip", "target_model": target, "draft_model": draft,
            "draft_len": gamma, "n_prompt": 18, "n_predict": 256, "repeat": repeat, "prompt_key": prompt,
            "tokens_per_sec": f"{1000 / time:.3f}", "prompt_eval_ms": "", "eval_ms_per_token": repr(time),
            "draft_acceptance_rate": "" if acceptance is None else f"{acceptance:.5f}",
            "speedup_vs_baseline": "1.0" if gamma == 0 else "", "raw_log": "raw/x.txt", "status": "ok",
        }  # fmt: skip


def phantom_log(path: Path) -> Path:
    """As the published study: baselines by another program on another prompt."""
    return write(path, list(rows(phantom, ("bench",))))


def honest_log(path: Path) -> Path:
    """Baselines on the prompts of the runs; every figure possible."""
    return write(path, list(rows(honest, TALK)))


def write(path: Path, content: list[dict[str, object]], columns: Sequence[str] = COLUMNS) -> Path:
    """Write the rows as CSV and return the path."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(content)
    return path
