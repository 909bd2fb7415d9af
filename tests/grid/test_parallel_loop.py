"""SD of many sequences at once: the text of plain decoding, and each sequence's own acceptance."""

from contextlib import ExitStack, closing

import pytest

from runner.llama.context import Context
from runner.llama.draft import ModelDrafter
from runner.llama.model import Model
from runner.llama.parallel import ParallelContext
from runner.llama.parallel_loop import ParallelBaseline, ParallelDrafter, ParallelSpeculation
from runner.llama.rollback import Trim

GAMMA = 4
PROMPTS = [[11, 400, 52], [901, 77, 1203], [8, 8, 640], [33, 2, 1999], [5, 1024, 3000]]


@pytest.fixture
def contexts(files, settings):
    """Target without and with snapshots, and draft, for all prompts."""
    target, draft = (Model(files[role], n_gpu_layers=0) for role in ("target", "draft"))
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                closing(
                    ParallelContext(
                        model, settings, n_sequences=len(PROMPTS), n_ctx_sequence=128, n_rs_seq=n_rs_seq
                    )
                )
            )
            for model, n_rs_seq in ((target, 0), (target, GAMMA), (draft, 0))
        ]


@pytest.fixture
def loop(contexts):
    loop = ParallelSpeculation(contexts[1], ParallelDrafter(contexts[2]))
    loop.begin(PROMPTS)
    return loop


def test_every_sequence_writes_the_text_of_plain_decoding(contexts, loop):
    baseline = ParallelBaseline(contexts[0])
    baseline.begin(PROMPTS)
    for _ in range(30):
        baseline.step()
    for _ in range(4):
        loop.cycle(GAMMA)
        loop.cycle(GAMMA - 1)
    for ours, theirs in zip(loop.texts, baseline.texts, strict=True):
        length = min(len(ours), len(theirs))
        assert length >= 8
        assert ours[:length] == theirs[:length]


def test_a_cycle_yields_what_each_sequence_accepted_and_one_token_more(loop):
    cycles = [loop.cycle(GAMMA) for _ in range(5)]
    accepted = sum(cycle.accepted_tokens for cycle in cycles)
    assert sum(map(len, loop.texts)) == accepted + len(cycles) * len(PROMPTS)
    assert 0 < accepted < len(cycles) * len(PROMPTS) * GAMMA
    assert len({len(text) for text in loop.texts}) > 1


def test_the_memory_of_both_models_ends_where_the_texts_do(contexts, loop):
    """The target holds all but the last token, the draft at most one confirmed token fewer."""
    for _ in range(4):
        loop.cycle(GAMMA)
    for index, (prompt, text) in enumerate(zip(PROMPTS, loop.texts, strict=True)):
        held = len(prompt) + len(text) - 1
        assert contexts[1].positions[index] == held
        assert held - 1 <= contexts[2].positions[index] <= held


def test_each_sequence_is_drafted_as_if_it_were_alone(files, settings, contexts):
    """Accept 0, 1, 2, 3 and all 4: the next proposals are those of a single drafter told the same."""
    drafter = ParallelDrafter(contexts[2])
    drafter.begin(PROMPTS)
    first, _ = drafter.propose(GAMMA)
    drafter.settle(range(len(PROMPTS)), [70 + i for i in range(len(PROMPTS))])
    second, pass_ns = drafter.propose(GAMMA)
    with closing(Context(Model(files["draft"], n_gpu_layers=0), settings)) as context:
        for index, prompt in enumerate(PROMPTS):
            single = ModelDrafter(context, Trim("trim"))
            single.begin(prompt)
            assert single.propose(GAMMA) == first[index]
            single.settle(index, 70 + index)
            assert single.propose(GAMMA) == second[index]
    assert len(pass_ns) == GAMMA - 1, "the first pass held two tokens of the sequence that accepted all"


def test_passes_lie_within_their_cycle(loop):
    cycle = loop.cycle(GAMMA)
    assert len(cycle.draft_pass_ns) == GAMMA
    assert min(cycle.draft_pass_ns) > 0
    assert sum(cycle.draft_pass_ns) + cycle.verify_ns + cycle.reject_ns <= cycle.wall_ns
