"""Times the choice on the host against the choice on the device: the same runs in turn, ratios of times.

python -m tests.benchmarks.choice [--role moe-q8 ...] [--pairs 11]
"""

from __future__ import annotations

import click
import msgspec
import numpy as np

from runner.advise.question import Question, planned_run
from runner.executor import Pair
from runner.llama.session import PairSession
from runner.prompts import load_prompt
from runner.record import Settings
from runner.synthetic import build_family

N_PREDICT = 128
DRAFT = "draft-0.8b"
GAMMAS = (0, 4, 16)
ON_HOST = Settings(
    n_ctx_tokens=768, n_batch_tokens=512, n_ubatch_tokens=512, n_threads=1, n_gpu_layers=-1,
    flash_attention="auto", kv_type="f16", seed=1,
)  # fmt: skip
ON_DEVICE = msgspec.structs.replace(ON_HOST, choose_on="device")


def compared(role: str, n_pairs: int) -> list[str]:
    """One line a gamma: milliseconds per token on the host, and device over host."""
    paths = build_family(roles=[role, DRAFT])
    pair = Pair(target=role, draft=DRAFT, gammas=GAMMAS)
    sessions = [PairSession(pair, paths[role], paths[DRAFT], each) for each in (ON_HOST, ON_DEVICE)]
    prompt = load_prompt("code")
    question = Question(
        target=role, drafts=(DRAFT,), prompts=(prompt,), n_predict_tokens=N_PREDICT, longest=max(GAMMAS), seed=1,
        near_tie_logits=0.25,
    )  # fmt: skip
    lines = []
    for gamma in GAMMAS:
        took = np.empty((n_pairs, 2))
        for number in range(n_pairs):
            for place in (0, 1) if number % 2 else (1, 0):
                planned = planned_run(
                    question, DRAFT, prompt, gamma=gamma, drafter=DRAFT, n_predict_tokens=N_PREDICT, block=0,
                    time_limit_s=60,
                )  # fmt: skip
                took[number, place] = sessions[place].run(planned).decode_wall_ns / N_PREDICT / 1e6
        low, middle, high = np.quantile(took[:, 1] / took[:, 0], [0.25, 0.5, 0.75])
        host = float(np.median(took[:, 0]))
        lines.append(
            f"{role:<10} γ {gamma:>2}: host {host:.2f} ms/token, device/host {middle:.3f} [{low:.3f}, {high:.3f}]"
        )
    return lines


@click.command()
@click.option("--role", "roles", multiple=True, default=("dense-9b", "moe-q8", "dense-4b"))
@click.option("--pairs", "n_pairs", default=11)
def main(roles: tuple[str, ...], n_pairs: int) -> None:
    """Print one line for each role and gamma."""
    for role in roles:
        for line in compared(role, n_pairs):
            click.echo(line)


if __name__ == "__main__":
    main()
