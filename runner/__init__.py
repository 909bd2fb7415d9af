"""Measures speculative decoding with llama.cpp.

`runner.record`, `runner.errors` and `runner.paths` are the floor that suites and analysis stand on too: they
import nothing else of ours. Only `runner.llama` and what it feeds needs llama-cpp-python.
"""
