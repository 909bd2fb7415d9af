"""The members' texts agree as docs/synthetic.md says, and none of them runs in circles."""

import pytest

from runner.synthetic import build_family
from tests.synthetic.speaker import Speaker, agreement

PROMPTS = (
    "What is the capital of France, and since when?",
    "def merge(a, b):\n    result = []\n",
    "请解释一下为什么天空是蓝色的。",
)
TEXT_TOKENS = 160
DRAFTS = ("draft-0.8b", "draft-2b")


@pytest.fixture(scope="module")
def family(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPECSTUDY_CACHE", str(tmp_path_factory.mktemp("family")))
        paths = build_family(roles=("moe-q8", "dense-4b", *DRAFTS, "draft-tiny", "moe-64"))
    speakers = {role: Speaker(path) for role, path in paths.items()}
    yield speakers
    for speaker in speakers.values():
        speaker.close()


def mean_agreement(family, target: str, draft: str) -> float:
    shares = [agreement(family[target], family[draft], prompt, TEXT_TOKENS) for prompt in PROMPTS]
    return sum(shares) / len(shares)


def test_the_small_draft_agrees_with_the_mixture_on_two_thirds_and_the_larger_clearly_more(family):
    small, larger = (mean_agreement(family, "moe-q8", draft) for draft in DRAFTS)
    assert 0.60 < small < 0.75
    assert small + 0.08 < larger < 0.90


def test_the_small_draft_agrees_with_the_dense_4b_about_as_often(family):
    assert 0.60 < mean_agreement(family, "dense-4b", "draft-0.8b") < 0.80


def test_the_tiny_draft_nearly_always_agrees_with_the_64_expert_mixture(family):
    assert mean_agreement(family, "moe-64", "draft-tiny") > 0.93


@pytest.mark.parametrize("role", ["moe-q8", "dense-4b", "draft-2b", "draft-0.8b"])
def test_no_member_runs_in_circles_within_256_tokens(family, role):
    speaker = family[role]
    text = speaker.greedy(speaker.model.tokenize(PROMPTS[1]), 256)
    runs = {tuple(text[start : start + 8]) for start in range(249)}
    assert len(runs) > 0.75 * 249
