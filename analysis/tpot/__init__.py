"""Time per output token under SD: what to expect, what was observed, what the difference says (seed 001).

`model` formulas · `notebook` the published notes, recomputed · `study` the same on any study · `plots`, `cli`.
"""
