"""Judges figures: a published table, a foreign run log, a study. Each rule is a function Evidence -> findings."""
