"""Compares advice with the exhaustive sweep on pairs where speculation pays and on pairs where it cannot.

`python -m tests.benchmarks.advise_pairs FOLDER [--pair NAME ...] [--clock cpu|wall] [--blocks N]`

Models are built into FOLDER. The sweep measures every gamma from 1 to 32 beside the baseline, on the same
prompts and with as many tokens as the advice verifies with. `--clock cpu` measures the CPU time of the decoding
thread.
"""

from __future__ import annotations

import json
import random
import resource
import sys
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
from runner.worker_client import COMMAND, ProcessExecutor

CPU_CLOCK = (sys.executable, "-m", "tests.benchmarks.cpu_clock_worker")
LONGEST = 32
PROMPTS = ("short", "code", "natural-32", "natural-64")
N_PREDICT = 64
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
WIDE, DEEP, DEEP_HYBRID, TINY = (
    llama(2, 1024, 4096),
    llama(32, 256, 256),
    hybrid(24, 256, 256),
    llama(1, 512, 128),
)

PAIRS: dict[str, tuple[Recipe, Recipe]] = {
    "pays-wide": (Recipe(WIDE, 0.2), Recipe(TINY, 0.2)),
    "pays-deep": (Recipe(DEEP, 0.5), Recipe(TINY, 0.2)),
    "pays-hybrid": (Recipe(DEEP_HYBRID, 0.3), Recipe(TINY, 0.2)),
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
    cpu_s: float

    def curve(self, blocks: slice = slice(None)) -> dict[int, float]:
        """Gamma -> geometric mean over prompts and those blocks; speculation left off has S = 1."""
        return {0: 1.0} | {gamma: float(np.exp(logs[blocks].mean())) for gamma, logs in self.logs.items()}


def sweep(executor: ProcessExecutor, question: Question, blocks: int) -> Swept:
    """Every gamma beside the baseline, blocks in random order."""
    started = cpu_s()
    gammas = list(range(LONGEST + 1))
    session = executor.open(Pair(target="target", draft="draft", gammas=tuple(gammas)))
    logs: dict[int, list[float]] = {gamma: [] for gamma in gammas}
    order = random.Random(1)
    try:
        for block in range(blocks):
            for prompt in question.prompts:
                order.shuffle(gammas)
                took = {}
                for gamma in gammas:
                    run = session.run(
                        planned_run(
                            question,
                            "draft",
                            prompt,
                            gamma=gamma,
                            drafter="draft",
                            n_predict_tokens=N_PREDICT,
                            block=block,
                            time_limit_s=600,
                        )
                    )
                    took[gamma] = run.decode_wall_ns
                for gamma in gammas:
                    logs[gamma].append(np.log(took[0] / took[gamma]))
    finally:
        session.close()
    shape = (blocks, len(question.prompts))
    return Swept({g: np.array(logs[g]).reshape(shape) for g in sorted(gammas) if g}, cpu_s() - started)


def cpu_s() -> float:
    """CPU seconds of all measuring processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def compare(name: str, folder: Path, command: tuple[str, ...], blocks: int) -> dict[str, object]:
    """Advice and sweep on one pair."""
    target, draft = PAIRS[name]
    paths = {"target": build(folder, target, seed=1), "draft": build(folder, draft, seed=2)}
    executor = ProcessExecutor(paths, SETTINGS, command=command)
    question = Question(
        target="target", drafts=("draft",), prompts=tuple(load_prompt(prompt) for prompt in PROMPTS),
        n_predict_tokens=N_PREDICT, longest=LONGEST, seed=1, near_tie_logits=0.25,
    )  # fmt: skip
    started = cpu_s()
    advice = advise(question, lambda pair, _limit: executor.open(pair), Budget(120), lambda _line: None)
    advice_s = cpu_s() - started
    swept = sweep(executor, question, blocks)
    return {**verdict(advice, swept), "pair": name, "advice_s": advice_s, "sweep_s": swept.cpu_s}


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
    lookup = found.drafter == "ngram"
    advised = 0 if not advice.use else found.gamma
    advised_speedup = advice.best.expected.point if lookup and advice.use else curve[advised]
    predicted = {each.gamma: each.speedup for each in advice.predictions if each.drafter == "draft"}
    measured = {gamma: value for gamma, value in curve.items() if gamma}
    inside = [predicted[gamma].holds(value) for gamma, value in measured.items()]
    errors = [abs(np.log(predicted[gamma].point / value)) for gamma, value in measured.items()]
    tried = [each for each in advice.compared if each.agrees is not None]
    return {
        "use": advice.use, "drafter": found.drafter, "advised": advised, "advised_S": advised_speedup,
        "best": best, "best_S": curve[best], "loss": 1 - advised_speedup / curve[best],
        "held_out_loss": held_out_loss(swept, advised),
        "inside": float(np.mean(inside)), "median_error": float(np.median(errors)),
        "width": float(np.median([each.high / each.low for each in predicted.values()])),
        "tried": len(tried), "agree": sum(bool(each.agrees) for each in tried),
        "reason": [remedy.cause for remedy in advice.remedies if remedy.speedup > 1],
        "curve": {g: (round(predicted[g].point, 3), round(s, 3)) for g, s in measured.items()},
    }  # fmt: skip


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--pair", "names", multiple=True, type=click.Choice(list(PAIRS)))
@click.option("--clock", type=click.Choice(["cpu", "wall"]), default="cpu")
@click.option("--blocks", default=6)
def main(folder: Path, names: tuple[str, ...], clock: str, blocks: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    command = CPU_CLOCK if clock == "cpu" else COMMAND
    for name in names or PAIRS:
        click.echo(json.dumps(compare(name, folder, command, blocks), default=float))


if __name__ == "__main__":
    main()
