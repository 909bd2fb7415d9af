"""Which members the family has, and which member plays which role.

Noise and seeds were chosen by measurement so that the greedy texts do not fall into loops and the members agree
as docs/synthetic.md says; whoever changes anything that changes the files must raise RECIPE.
"""

from __future__ import annotations

from runner.synthetic.shapes import Member, Shape

RECIPE = 1
"""Number of the recipe: vocabulary, next-token table and the construction of the weights."""

_MOE = Shape(
    architecture="qwen35moe", layers=4, width=256, feed_forward=256, tied=False,
    attention_heads=16, kv_heads=2, attention_head_size=64, key_heads=16, value_heads=32, state_size=64,
    experts=256, experts_used=8,
)  # fmt: skip
_MOE_64 = Shape(
    architecture="qwen35moe", layers=4, width=512, feed_forward=256, tied=False,
    attention_heads=8, kv_heads=1, attention_head_size=64, key_heads=4, value_heads=8, state_size=64,
    experts=64, experts_used=8,
)  # fmt: skip
_DENSE_0_8B = Shape(
    architecture="qwen35", layers=4, width=256, feed_forward=768, tied=True,
    attention_heads=4, kv_heads=1, attention_head_size=64, key_heads=4, value_heads=4, state_size=64,
)  # fmt: skip
_DENSE_2B = Shape(
    architecture="qwen35", layers=4, width=512, feed_forward=1024, tied=True,
    attention_heads=8, kv_heads=2, attention_head_size=64, key_heads=4, value_heads=4, state_size=64,
)  # fmt: skip
_DENSE_4B = Shape(
    architecture="qwen35", layers=8, width=512, feed_forward=1280, tied=True,
    attention_heads=4, kv_heads=1, attention_head_size=64, key_heads=4, value_heads=8, state_size=64,
)  # fmt: skip
_DENSE_9B = Shape(
    architecture="qwen35", layers=8, width=1024, feed_forward=1280, tied=False,
    attention_heads=4, kv_heads=1, attention_head_size=64, key_heads=4, value_heads=8, state_size=64,
)  # fmt: skip
_TINY_DRAFT = Shape(
    architecture="llama", layers=1, width=1024, feed_forward=256, tied=False,
    attention_heads=4, kv_heads=1, attention_head_size=64,
)  # fmt: skip

_REAL_0_8B, _REAL_2B, _REAL_4B = 752_393_024, 1_881_825_088, 4_205_751_296
_REAL_9B, _REAL_35B_A3B = 8_953_803_264, 34_660_610_688

MEMBERS: dict[str, Member] = {
    member.name: member
    for member in (
        Member(name="moe-q8", shape=_MOE, seed=1, noise=1.4, real_parameters=_REAL_35B_A3B),
        Member(
            name="moe-q4", shape=_MOE, seed=1, noise=1.4, real_parameters=_REAL_35B_A3B, quantisation="Q4_K_M"
        ),
        Member(name="9b", shape=_DENSE_9B, seed=1, noise=1.0, real_parameters=_REAL_9B),
        Member(name="4b", shape=_DENSE_4B, seed=1, noise=1.3, real_parameters=_REAL_4B),
        Member(name="2b", shape=_DENSE_2B, seed=1, noise=1.1, real_parameters=_REAL_2B),
        Member(name="0.8b", shape=_DENSE_0_8B, seed=11, noise=1.2, real_parameters=_REAL_0_8B),
        Member(name="moe-64", shape=_MOE_64, seed=1, noise=0.5),
        Member(name="tiny", shape=_TINY_DRAFT, seed=1, noise=0.1),
    )
}
"""In building order: the largest intermediate file first, while the least is on the disk."""

_MEMBER_OF_ROLE = {
    "moe-q4": "moe-q4", "moe-q8": "moe-q8",
    "dense-0.8b": "0.8b", "dense-2b": "2b", "dense-4b": "4b", "dense-9b": "9b",
    "draft-0.8b": "0.8b", "draft-2b": "2b",
    "moe-64": "moe-64", "draft-tiny": "tiny",
}  # fmt: skip

EXTRA_ROLES = ("moe-64", "draft-tiny")
"""Roles no published cell needs: a mixture small enough for a grid over top-k, and a draft that mostly agrees."""

ROLES = tuple(role for role in _MEMBER_OF_ROLE if role not in EXTRA_ROLES)


def member_of(role: str) -> Member:
    """The member that plays the role; KeyError for a role that is neither in ROLES nor in EXTRA_ROLES."""
    return MEMBERS[_MEMBER_OF_ROLE[role]]
