"""Declared experiments as TOML, and the one loader that checks them (`suites.loader`)."""
