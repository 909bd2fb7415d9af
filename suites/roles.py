"""The places that a family of GGUF files fills. A suite speaks of roles, never of files."""

from __future__ import annotations

TARGETS = ("moe-q4", "moe-q8", "dense-0.8b", "dense-2b", "dense-4b", "dense-9b")
DRAFTS = ("draft-0.8b", "draft-2b")
ROLES = (*TARGETS, *DRAFTS)
