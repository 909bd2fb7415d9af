"""From roles to GGUF files: where models are looked for, what is expected of them, and how they are fetched."""

from runner.models.family import Family, FamilyName, resolve_family
from runner.models.pair import check_pair

__all__ = ["Family", "FamilyName", "check_pair", "resolve_family"]
