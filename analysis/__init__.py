"""Explains what was measured: tables, decomposition, audit, claims, models. Never imports llama_cpp."""
