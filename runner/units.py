"""Figures as people read them, in decimal units, three digits of interest."""

from __future__ import annotations

_STEPS = ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k"))


def scaled(value: float, unit: str) -> str:
    """`22.0 GB`, `752 MB`: one digit after the point below a hundred.

    >>> scaled(22_016_023_168, "B"), scaled(752_393_024, "parameters")
    ('22.0 GB', '752 Mparameters')
    """
    for size, prefix in _STEPS:
        if abs(value) >= 0.9995 * size:
            return f"{_digits(value / size)} {prefix}{unit}"
    return f"{value:.0f} {unit}"


def counted(value: int) -> str:
    """A count in millions or billions, as models are spoken of.

    >>> counted(34_660_610_688), counted(752_393_024)
    ('34.7 B', '752 M')
    """
    return f"{_digits(value / 1e9)} B" if value >= 0.9995e9 else f"{_digits(value / 1e6)} M"


def _digits(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 99.95 else f"{value:.1f}"
