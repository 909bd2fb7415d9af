"""The places that a family of GGUF files fills. A suite speaks of roles, never of files."""

from __future__ import annotations

BUILT_IN = ("moe-64", "draft-tiny")
"""Roles that only the synthetic family fills: 64 experts, and a plain-attention model."""
TARGETS = ("moe-q4", "moe-q8", "dense-0.8b", "dense-2b", "dense-4b", "dense-9b", *BUILT_IN)
DRAFTS = ("draft-0.8b", "draft-2b", "draft-tiny")
