"""Shared fixtures. Hypothesis is derandomised so that CI never fails by luck; raise the budget by hand."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "ci", derandomize=True, deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("ci")
