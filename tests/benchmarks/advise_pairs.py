"""Compares advice with the exhaustive sweep on pairs where speculation pays and on pairs where it cannot.

`python -m tests.benchmarks.advise_pairs FOLDER [--pair NAME ...] [--clock cpu|wall] [--advices N]`

Models are built into FOLDER. The sweep measures every gamma from 1 to 32 beside the baseline, on the same
prompts and with as many tokens as the advice verifies with. `--clock cpu` measures the CPU time of the decoding
thread.
"""

from __future__ import annotations

import json
import math
import random
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np

from runner.advise.advice import Advice, advise
from runner.advise.budget import Budget
from runner.advise.question import Question, planned_run
from runner.executor import Pair
from runner.prompts import load_prompt
from runner.record import Settings
from runner.synthetic.family import MEMBERS
from runner.synthetic.gguf_file import write_gguf
from runner.synthetic.quantise import quantise
from runner.synthetic.shapes import Shape
from runner.synthetic.vocabulary import vocabulary
from runner.worker_client import COMMAND, ProcessExecutor, ProcessSession

CPU_CLOCK = (sys.executable, "-m", "tests.benchmarks.cpu_clock_worker")
LONGEST = 32
PROMPTS = ("short", "code", "natural-32", "natural-64")
N_PREDICT = 64
LEAST_BLOCKS, MOST_BLOCKS = 6, 12
CLOSE, RESOLUTION = 0.05, 0.01
"""A sweep tells gammas apart by 3 % when the standard error of what lies between them is a third of that."""
SETTINGS = Settings(
    n_ctx_tokens=768, n_batch_tokens=128, n_ubatch_tokens=128, n_threads=1, n_gpu_layers=0,
    flash_attention="auto", kv_type="f16", seed=1,
)  # fmt: skip


class Recipe(NamedTuple):
    """One model: its shape, its noise (what it adds to the text all models share), whether it is quantised."""

    shape: Shape
    noise: float
    quantised: bool = False


def llama(layers: int, width: int, feed_forward: int) -> Shape:
    return Shape(
        architecture="llama", layers=layers, width=width, feed_forward=feed_forward, tied=False,
        attention_heads=4, kv_heads=1, attention_head_size=64,
    )  # fmt: skip


def hybrid(layers: int, width: int, feed_forward: int) -> Shape:
    return Shape(
        architecture="qwen35", layers=layers, width=width, feed_forward=feed_forward, tied=False,
        attention_heads=4, kv_heads=1, attention_head_size=64, key_heads=2, value_heads=2, state_size=32,
    )  # fmt: skip


MIXTURE = MEMBERS["moe-q8"].shape
"""256 experts: each further token of a pass reads more of them."""
WIDE, DEEP, WIDE_HYBRID, TINY = (
    llama(2, 1024, 4096),
    llama(12, 512, 1536),
    hybrid(8, 1024, 1024),
    llama(1, 512, 128),
)

PAIRS: dict[str, tuple[Recipe, Recipe]] = {
    "pays-wide": (Recipe(WIDE, 0.2), Recipe(TINY, 0.2)),
    "pays-deep": (Recipe(DEEP, 0.4), Recipe(TINY, 0.2)),
    "pays-hybrid": (Recipe(WIDE_HYBRID, 0.3), Recipe(TINY, 0.2)),
    "draft-slow": (Recipe(WIDE, 0.2), Recipe(WIDE, 0.3)),
    "acceptance-low": (Recipe(WIDE, 0.2), Recipe(TINY, 3.0)),
    "verification-dear": (Recipe(MIXTURE, 1.4, quantised=True), Recipe(TINY, 1.8, quantised=True)),
}


def build(folder: Path, recipe: Recipe, seed: int) -> Path:
    """The model's file, written when it is missing."""
    shape = recipe.shape
    stem = f"{shape.architecture}-{shape.layers}x{shape.width}x{shape.feed_forward}-{recipe.noise}-{seed}"
    path = folder / f"{stem}{'-q8' if recipe.quantised else ''}.gguf"
    source = folder / f"{stem}.gguf"
    if not source.exists():
        write_gguf(source, shape, vocabulary(), name=stem, seed=seed, noise=recipe.noise)
    if not path.exists():
        quantise(source, path, "Q8_0")
    return path


class Swept(NamedTuple):
    """What the exhaustive sweep found."""

    logs: dict[int, np.ndarray]
    """Gamma -> ln S of every pair, shape (blocks, prompts)."""

    def with_block(self, block: dict[int, list[float]]) -> Swept:
        """One block more."""
        return Swept({g: np.array([*self.logs.get(g, ()), logs]) for g, logs in sorted(block.items()) if g})

    def curve(self, blocks: slice = slice(None)) -> dict[int, float]:
        """Gamma -> geometric mean over prompts and those blocks; speculation left off has S = 1."""
        return {0: 1.0} | {gamma: float(np.exp(logs[blocks].mean())) for gamma, logs in self.logs.items()}

    def error_of(self, gamma: int, other: int) -> float:
        """Standard error of ln of S at one gamma over S at another (0: left off), from blocks."""
        left_off = np.zeros_like(self.logs[1])
        apart = (self.logs.get(gamma, left_off) - self.logs.get(other, left_off)).mean(axis=1)
        return float(np.std(apart, ddof=1) / math.sqrt(len(apart)))

    @property
    def resolution(self) -> float:
        """The largest standard error between the best gamma (0: left off) and others that come close to it."""
        curve = self.curve()
        best = max(curve, key=curve.__getitem__)
        rivals = [gamma for gamma, speedup in curve.items() if speedup > (1 - CLOSE) * curve[best]]
        return max(self.error_of(best, rival) for rival in rivals)


def swept_block(session: ProcessSession, block: int, order: random.Random) -> dict[int, list[float]]:
    """Gamma -> ln S on each prompt: every gamma and the baseline in random order."""
    question = question_of(1)
    gammas = list(range(LONGEST + 1))
    logs: dict[int, list[float]] = {gamma: [] for gamma in gammas}
    for prompt in question.prompts:
        order.shuffle(gammas)
        took = {}
        for gamma in gammas:
            planned = planned_run(
                question, "draft", prompt, gamma=gamma, drafter="draft", n_predict_tokens=N_PREDICT, block=block,
                time_limit_s=600,
            )  # fmt: skip
            took[gamma] = session.run(planned).decode_wall_ns
        for gamma in gammas:
            logs[gamma].append(math.log(took[0] / took[gamma]))
    return logs


def cpu_s() -> float:
    """CPU seconds of this process and of all measuring processes that have ended."""
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def compare(name: str, folder: Path, command: tuple[str, ...], n_advices: int) -> Iterator[dict[str, object]]:
    """One sweep of a pair, with advices of other seeds between its first blocks: both see the same machine.

    The sweep goes on until it can tell its best gammas apart.
    """
    target, draft = PAIRS[name]
    paths = {"target": build(folder, target, seed=1), "draft": build(folder, draft, seed=2)}
    executor = ProcessExecutor(paths, SETTINGS, command=command)
    started, order = cpu_s(), random.Random(1)
    session = executor.open(Pair(target="target", draft="draft", gammas=tuple(range(LONGEST + 1))))
    swept, advices = Swept({}), []
    for block in range(MOST_BLOCKS):
        swept = swept.with_block(swept_block(session, block, order))
        if block < n_advices:
            advices.append(timed_advice(executor, seed=block + 1))
        if block + 1 >= LEAST_BLOCKS and swept.resolution <= RESOLUTION:
            break
    session.close()
    sweep_s = cpu_s() - started - sum(spent for _, spent in advices)
    for advice, advice_s in advices:
        yield {"pair": name, **verdict(advice, swept), "advice_s": advice_s, "sweep_s": sweep_s}


def question_of(seed: int) -> Question:
    return Question(
        target="target", drafts=("draft",), prompts=tuple(load_prompt(prompt) for prompt in PROMPTS),
        n_predict_tokens=N_PREDICT, longest=LONGEST, seed=seed, near_tie_logits=0.25,
    )  # fmt: skip


def timed_advice(executor: ProcessExecutor, seed: int) -> tuple[Advice, float]:
    """An advice and the CPU seconds that it took."""
    started = cpu_s()
    advice = advise(question_of(seed), lambda pair, _limit: executor.open(pair), Budget(120), lambda _line: None)
    return advice, cpu_s() - started


def held_out_loss(swept: Swept, advised: int) -> float:
    """What the advised gamma loses against the best one, chosen on every second block and judged on the others.

    The largest of 32 noisy means is too large; a gamma that owes its place to luck loses it in other blocks.
    """
    found = []
    for first in (0, 1):
        chosen_on, judged_on = swept.curve(slice(first, None, 2)), swept.curve(slice(1 - first, None, 2))
        found.append(1 - judged_on[advised] / judged_on[max(chosen_on, key=chosen_on.__getitem__)])
    return float(np.mean(found))


def verdict(advice: Advice, swept: Swept) -> dict[str, object]:
    """Advice against sweep."""
    curve = swept.curve()
    best = max(curve, key=curve.__getitem__)
    found = advice.best.predicted
    uses_lookup = advice.use and found.drafter == "ngram"
    advised = 0 if not advice.use else found.gamma
    # The sweep knows no lookup, so only the advice's own runs can judge that.
    advised_speedup = advice.best.expected.point if uses_lookup else curve[advised]
    predicted = {each.gamma: each.speedup for each in advice.predictions if each.drafter == "draft"}
    measured = {gamma: value for gamma, value in curve.items() if gamma}
    inside = [predicted[gamma].holds(value) for gamma, value in measured.items()]
    errors = [abs(np.log(predicted[gamma].point / value)) for gamma, value in measured.items()]
    tried = [each for each in advice.compared if each.agrees is not None]
    return {
        "use": advice.use, "drafter": found.drafter, "advised": advised, "advised_S": advised_speedup,
        "best": best, "best_S": curve[best], "loss": 1 - advised_speedup / curve[best],
        "held_out_loss": math.nan if uses_lookup else held_out_loss(swept, advised),
        "error": swept.error_of(advised, best) if advised else swept.error_of(best, 0),
        "resolution": swept.resolution, "blocks": len(swept.logs[1]),
        "inside": float(np.mean(inside)), "median_error": float(np.median(errors)),
        "width": float(np.median([each.high / each.low for each in predicted.values()])),
        "tried": len(tried), "agree": sum(bool(each.agrees) for each in tried),
        "reason": [remedy.cause for remedy in advice.remedies if remedy.speedup > 1],
        "tried_S": {
            each.predicted.gamma: [
                round(each.predicted.speedup.point, 3), round(each.concluded.speedup.point, 3),
                each.verified and round(each.verified.speedup, 3), each.verified and each.verified.n_pairs,
                round(each.predicted.chance, 3),
            ]
            for each in advice.compared if each.predicted.drafter == "draft"
        },
        "curve": {g: (round(predicted[g].point, 3), round(s, 3)) for g, s in measured.items()},
    }  # fmt: skip


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--pair", "names", multiple=True, type=click.Choice(list(PAIRS)))
@click.option("--clock", type=click.Choice(["cpu", "wall"]), default="cpu")
@click.option("--advices", "n_advices", default=4)
def main(folder: Path, names: tuple[str, ...], clock: str, n_advices: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    command = CPU_CLOCK if clock == "cpu" else COMMAND
    for name in names or PAIRS:
        for found in compare(name, folder, command, n_advices):
            click.echo(json.dumps(found, default=float))


if __name__ == "__main__":
    main()
