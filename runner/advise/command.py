"""`python -m runner advise`: should speculation be on here, with which draft and which gamma?"""

from __future__ import annotations

import json
import math
import os
import shlex
from pathlib import Path
from typing import Any

import click
import msgspec

from runner import compose
from runner.advise.advice import Advice, advise
from runner.advise.budget import Budget
from runner.advise.investigate import OpenPair
from runner.advise.memory import within_memory
from runner.advise.question import AdviceSession, Question, is_model
from runner.advise.render import as_text
from runner.advise.request import Models, context_tokens, find_models, read_prompts
from runner.advise.server_flags import server_arguments
from runner.compose import Wish
from runner.doctor.examine import capacity_of
from runner.executor import Pair
from runner.locks import hold, machine_lock_path
from runner.machine.source import SystemSource
from runner.record import NO_DRAFT, Settings
from runner.shared_options import family_option, models_dir_option, role_option
from runner.wiring import Wiring, real_wiring

INTERRUPTED = 130


def a_number(_ctx: click.Context, _option: click.Parameter, value: float) -> float:
    """Refuse nan, which lies in every range."""
    if math.isnan(value):
        raise click.BadParameter("nan is no number")
    return value


@click.command()
@click.option("--target", default="moe-q4", show_default=True, metavar="ROLE|PATH", help="The model to speed up.")
@click.option(
    "--draft",
    "drafts",
    multiple=True,
    metavar="ROLE|PATH",
    help="A draft to try; may be repeated. `none`: n-gram lookup only, which is always tried.",
)
@click.option(
    "--prompts",
    type=click.Path(path_type=Path),
    help="Text file with your own prompts, separated by lines of ---; default: four built-in ones.",
)
@click.option(
    "--budget",
    type=click.FloatRange(5, 86_400),
    callback=a_number,
    default=120,
    show_default=True,
    help="Seconds to spend.",
)
@click.option("--n-predict", type=click.IntRange(16, 4096), default=96, show_default=True, help="Tokens per run.")
@click.option("--max-gamma", type=click.IntRange(1, 32), default=32, show_default=True, help="Largest gamma.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@family_option
@click.option("--threads", type=click.IntRange(1, 1024), help="CPU threads; default: all fast cores but one.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=1, show_default=True, help="Orders the runs.")
@models_dir_option
@role_option
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> None:
    """Say whether speculative decoding pays for a target on this machine, and why.

    Measures a little, predicts the speedup of every draft, of n-gram lookup and of every gamma, and verifies the
    best by real runs. Exit status: 0 with an answer, whichever it is; 2 when the request was refused.
    """
    as_json = options.pop("as_json")
    try:
        with hold(machine_lock_path(), "another study is running on this machine"):
            report = _answer(ctx.obj or real_wiring(), **options)
    except KeyboardInterrupt:
        ctx.exit(INTERRUPTED)
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(report), indent=2, ensure_ascii=False))
    else:
        click.echo(as_text(report.advice, report.memory_bytes, shlex.join(report.server_command)))


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The advice with what only this machine's files tell."""

    advice: Advice
    memory_bytes: int
    """What speculation as advised (or the best found) keeps in memory beyond the target."""
    server_command: list[str]


def _answer(
    wiring: Wiring,
    *,
    target: str,
    drafts: tuple[str, ...],
    prompts: Path | None,
    budget: float,
    n_predict: int,
    max_gamma: int,
    threads: int | None,
    seed: int,
    family: Any,
    models_dir: Path | None,
    roles: dict[str, Path],
) -> Report:
    allowed = Budget(budget)
    texts = read_prompts(prompts)
    models = find_models(target, drafts, wiring, family=family, models_dir=models_dir, overrides=roles)
    n_ctx = context_tokens(texts, n_predict, max_gamma)
    wish = Wish(names=(), threads=threads, seed=seed)
    machine = wiring.machine_facts()
    settings = compose.settings_of(wish, n_ctx, machine)
    question = Question(
        target=models.target,
        drafts=models.drafts,
        prompts=texts,
        n_predict_tokens=n_predict,
        longest=max_gamma,
        seed=seed,
        near_tie_logits=_near_tie_logits(),
    )
    open_pair = within_memory(
        process_opener(models, settings),
        models.paths,
        settings,
        capacity_of(machine, wiring.machine_state(), SystemSource()),
        _tell,
    )
    with wiring.kept_awake():
        advice = advise(question, open_pair, allowed, _tell)
    return _report(advice, models, settings)


def process_opener(models: Models, settings: Settings) -> OpenPair:
    """Opens pairs in measuring processes of their own."""
    from runner.worker_client import ProcessExecutor  # noqa: PLC0415  # requests are refused before any process

    def open_pair(pair: Pair, limit_s: float) -> AdviceSession:
        return ProcessExecutor(models.paths, settings, load_limit_s=limit_s).open(pair)

    return open_pair


def _report(advice: Advice, models: Models, settings: Settings) -> Report:
    best = advice.best.predicted
    draft = models.paths[best.drafter] if is_model(best.drafter) else None
    memory = _added_bytes(models.paths[advice.target], draft, advice, settings)
    arguments = server_arguments(
        os.fspath(models.paths[advice.target]),
        best.drafter if advice.use else NO_DRAFT,
        None if draft is None else os.fspath(draft),
        best.gamma if advice.use else 0,
    )
    return Report(advice=advice, memory_bytes=memory, server_command=["llama-server", *arguments])


def _added_bytes(target: Path, draft: Path | None, advice: Advice, settings: Settings) -> int:
    from runner.gguf_facts import read_card  # noqa: PLC0415  # only needed once there is an answer
    from runner.memory_need import added_bytes  # noqa: PLC0415

    return added_bytes(
        read_card(target),
        None if draft is None else read_card(draft),
        settings,
        gamma=advice.best.predicted.gamma,
        keeps_snapshots=advice.keeps_snapshots,
    )


def _near_tie_logits() -> float:
    # What counts as rounding must be the same here as in every table.
    from analysis.accounting import NEAR_TIE_MARGIN_LOGITS  # noqa: PLC0415

    return NEAR_TIE_MARGIN_LOGITS


def _tell(line: str) -> None:
    click.echo(line, err=True)
