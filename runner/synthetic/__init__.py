"""The built-in family: Qwen3.5-shaped GGUFs with random weights, for measuring llama.cpp on this machine.

They have the real family's structure at about 1:165 of its parameter counts and a greedy text whose agreement
between members is known, but they say nothing about Qwen3.5 itself (docs/synthetic.md).
"""

from __future__ import annotations

from runner.synthetic.build import build_family
from runner.synthetic.cache import family_dir
from runner.synthetic.family import EXTRA_ROLES, ROLES
from runner.synthetic.tiny import tiny_foreign_model, tiny_model

__all__ = ["EXTRA_ROLES", "ROLES", "build_family", "family_dir", "tiny_foreign_model", "tiny_model"]
