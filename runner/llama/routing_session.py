"""Answers a request to count experts: loads what it needs, counts, and lets everything go."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from runner.llama.context import Context
from runner.llama.draft import ModelDrafter
from runner.llama.expert_count import LONGEST, count_experts
from runner.llama.model import Model
from runner.llama.preflight import DRAFT, prove
from runner.llama.routing import expert_count
from runner.messages import Counted, CountExperts
from runner.record import RoutingCount


def count(asked: CountExperts) -> Counted:
    """Counts over the greedy text after the prompt.

    Raises ModelError for a dense target, RollbackError when the draft cannot be rolled back.
    """
    model = Model(Path(asked.target_path), n_gpu_layers=asked.settings.n_gpu_layers)
    with closing(model):
        n_experts = expert_count(model)
        return Counted(n_experts=n_experts, counts=_counts(asked, model))


def _counts(asked: CountExperts, model: Model) -> list[RoutingCount]:
    prompt, settings = model.tokenize(asked.prompt_text), asked.settings
    if asked.draft_path is None:
        return count_experts(model, None, prompt, asked.n_text_tokens, settings)
    draft = Model(Path(asked.draft_path), n_gpu_layers=settings.n_gpu_layers)
    with closing(draft), closing(Context(draft, settings)) as reference:
        proved = prove(DRAFT, reference, settings, gamma=LONGEST - 1)
        with closing(proved.context):
            drafter = ModelDrafter(proved.context, proved.rollback)
            return count_experts(model, drafter, prompt, asked.n_text_tokens, settings)
