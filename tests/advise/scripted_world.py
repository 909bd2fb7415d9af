"""A pair whose truth is known, measured by the real decode loop against a clock that follows the script."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from runner.advise.advice import Advice, advise
from runner.advise.budget import Budget
from runner.advise.question import Question
from runner.decode import Choice, NoDraft, generate
from runner.drafters import NgramDrafter, OracleDrafter, SweepDrafter, VariedDrafter
from runner.errors import WorkerError
from runner.executor import Pair, PlannedRun
from runner.messages import Traced
from runner.prompts import Prompt
from runner.record import Cell, Measurement

VOCABULARY = 1000
PROMPT_TOKENS = 12


@dataclass
class World:
    """Costs in milliseconds, and how often the draft is right."""

    target_ms: float = 20.0
    per_token: float = 0.1
    """What each further token of a pass adds, in target passes."""
    draft_ms: float = 1.0
    rollback_ms: float = 0.2
    agreement: float = 0.85
    load_s: float = 2.0
    breaks_text: bool = False
    slow_gamma: int = 0
    """On a context made for this gamma passes take a third longer."""
    trouble: Callable[[Cell], None] = lambda cell: None
    """Called before each run."""
    now_ns: int = 0
    runs: list[PlannedRun] = field(default_factory=list)
    opened: list[Pair] = field(default_factory=list)
    closed: int = 0

    def spend(self, ms: float) -> None:
        self.now_ns += round(ms * 1e6)

    def seconds(self) -> float:
        return self.now_ns / 1e9

    def open(self, pair: Pair, limit_s: float) -> ScriptedSession:
        self.opened.append(pair)
        self.limited(self.load_s, limit_s)
        return ScriptedSession(self, pair)

    def limited(self, seconds: float, limit_s: float) -> None:
        """Let time pass, but no more than allowed: then the process is ended."""
        self.spend(min(seconds, limit_s) * 1000)
        if seconds > limit_s:
            raise WorkerError(f"the measuring process gave no answer within {limit_s:.0f} s; it was ended")


class ScriptedTarget:
    """Writes a fixed text; a pass costs what the world says."""

    def __init__(self, world: World, text: Sequence[int], gamma: int, *, wrong_from: int | None = None) -> None:
        self.world, self.text, self.position = world, list(text), 0
        self.pass_ms = world.target_ms * (4 / 3 if gamma and gamma == world.slow_gamma else 1)
        if wrong_from is not None:
            self.text[wrong_from:] = [(token + 1) % VOCABULARY for token in self.text[wrong_from:]]

    def begin(self, tokens: Sequence[int]) -> None:
        self.position = 0

    def mark(self) -> None:
        pass

    def verify(self, tokens: Sequence[int]) -> None:
        self.world.spend(self.pass_ms * (1 + self.world.per_token * (len(tokens) - 1)))

    def choose(self, n_rows: int) -> Choice:
        return Choice([*self.text, *[0] * n_rows][self.position : self.position + n_rows], [9.0] * n_rows)

    def keep(self, n_tokens: int) -> None:
        self.position += n_tokens
        self.world.spend(self.world.rollback_ms)


class ScriptedModelDrafter:
    """Guesses the text, right where the script says, at the draft's price a token."""

    def __init__(self, world: World, text: Sequence[int], guesses: Sequence[int]) -> None:
        self.world, self.text, self.guesses, self.position = world, text, guesses, 0

    def begin(self, prompt: Sequence[int]) -> None:
        self.position = 0

    def propose(self, limit: int) -> list[int]:
        self.world.spend(self.world.draft_ms * limit)
        return list(self.guesses[self.position : self.position + limit])

    def settle(self, n_accepted: int, bonus: int) -> None:
        self.position += n_accepted + 1


class ScriptedSession:
    """`AdviceSession` over the scripted world."""

    def __init__(self, world: World, pair: Pair) -> None:
        self.world, self.pair = world, pair

    def run(self, planned: PlannedRun) -> Measurement:
        self.world.runs.append(planned)
        started = self.world.seconds()
        self.world.trouble(planned.cell)
        cell, world = planned.cell, self.world
        text = text_of(cell.prompt)[: cell.n_predict_tokens]
        spoiled = cell.n_predict_tokens // 2 if world.breaks_text and cell.draft == self.pair.draft else None
        done = generate(
            ScriptedTarget(world, text, cell.gamma, wrong_from=spoiled),
            self._drafter(planned, text),
            [*range(PROMPT_TOKENS)],
            gamma=cell.gamma,
            n_predict=cell.n_predict_tokens,
            clock=lambda: world.now_ns,
        )
        taken_s = world.seconds() - started
        if taken_s > planned.time_limit_s:
            world.now_ns = round((started + planned.time_limit_s) * 1e9)
            raise WorkerError(f"no answer within {planned.time_limit_s:.0f} s")
        return Measurement(
            n_prompt_tokens=PROMPT_TOKENS,
            prompt_tokens_sha256="0" * 64,
            target_rollback="trim" if cell.gamma else "none",
            draft_rollback="trim" if cell.draft in {self.pair.draft, "varied"} else "none",
            n_rs_seq=0,
            prefill_tokens=done.prefill_tokens,
            prefill_target_ns=0,
            prefill_draft_ns=0,
            decode_wall_ns=done.decode_wall_ns,
            llama_ns=0,
            cycles=done.cycles,
            tokens=done.tokens,
            margins=done.margins if cell.gamma == 0 else [],
        )

    def _drafter(self, planned: PlannedRun, text: Sequence[int]):
        cell = planned.cell
        if cell.gamma == 0:
            return NoDraft()
        model = ScriptedModelDrafter(self.world, text, guesses_of(cell.prompt, self.world.agreement))
        seed = cell.block * 100 + cell.gamma
        return {
            "varied": VariedDrafter(model, cell.gamma, VOCABULARY, seed=1, turn=cell.block),
            "sweep": SweepDrafter(text, cell.gamma, seed),
            "oracle-0.50": OracleDrafter(text, 0.5, VOCABULARY, seed),
            "ngram": NgramDrafter(),
        }.get(cell.draft, model)

    def trace(self, planned: PlannedRun, text: list[int]) -> Traced:
        prompt = [*range(PROMPT_TOKENS)]
        if self.pair.draft == "none":
            return Traced(prompt=prompt, guesses=[], pass_ns=[])
        self.world.spend(self.world.draft_ms * len(text))
        guesses = guesses_of(planned.cell.prompt, self.world.agreement)[: len(text)]
        return Traced(prompt=prompt, guesses=guesses, pass_ns=[round(self.world.draft_ms * 1e6)] * len(text))

    def close(self) -> None:
        self.world.closed += 1


def text_of(prompt: str) -> list[int]:
    """What the target writes after a prompt: no token in a place where lookup would find it."""
    tokens = list(range(PROMPT_TOKENS, VOCABULARY))
    random.Random(prompt).shuffle(tokens)
    return tokens[:200]


def guesses_of(prompt: str, agreement: float) -> list[int]:
    chance = random.Random(f"{prompt} guessed")
    return [token if chance.random() < agreement else (token + 1) % VOCABULARY for token in text_of(prompt)]


def question(**changes) -> Question:
    asked = {
        "target": "big",
        "drafts": ("small",),
        "prompts": tuple(Prompt(id=name, text=name, wanted_tokens=None) for name in ("tale", "code", "talk")),
        "n_predict_tokens": 96,
        "longest": 16,
        "seed": 1,
        "near_tie_logits": 0.25,
    }
    return Question(**{**asked, **changes})


def advised(world: World, seconds: float = 600, **changes) -> Advice:
    return advise(question(**changes), world.open, Budget(seconds, clock=world.seconds), lambda line: None)
