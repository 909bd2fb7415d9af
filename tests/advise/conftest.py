"""The engine tests' tiny models serve the advice too."""

from tests.engine.conftest import pair, plan_one, settings, tiny

__all__ = ["pair", "plan_one", "settings", "tiny"]
