"""The page about the family shows the members as they are."""

from pathlib import Path

import pytest

from runner.synthetic import EXTRA_ROLES, ROLES
from runner.synthetic.family import MEMBERS, member_of
from runner.synthetic.gguf_file import parameters

PAGE = (Path(__file__).parents[2] / "docs" / "synthetic.md").read_text(encoding="utf-8")


def row_of(name: str) -> list[str]:
    """Cells of the member's line in the table of members."""
    line = next(line for line in PAGE.splitlines() if line.startswith(f"| {name} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.mark.parametrize("member", MEMBERS.values(), ids=lambda member: member.name)
def test_the_table_of_members_is_the_code(member):
    _name, roles, weights, scale, layers, width, _, attention, delta_net, tied, noise, _ = row_of(member.name)
    shape = member.shape
    played = {role for role in (*ROLES, *EXTRA_ROLES) if member_of(role) is member}
    assert {role.removesuffix(" (extra)") for role in roles.split(", ")} == played
    assert weights == f"{parameters(shape):,}"
    real = member.real_parameters
    assert scale == (f"{real / parameters(shape):.1f}" if real else "-")
    assert (int(layers), int(width)) == (shape.layers, shape.width)
    assert attention == f"{shape.attention_heads}/{shape.kv_heads} x {shape.attention_head_size}"
    assert delta_net == (
        f"{shape.key_heads}/{shape.value_heads} x {shape.state_size}" if shape.key_heads else "-"
    )
    assert (tied == "yes", float(noise)) == (shape.tied, member.noise)


def test_the_page_says_that_the_family_is_not_qwen():
    assert "**It measures llama.cpp on this machine, not Qwen3.5.**" in PAGE
