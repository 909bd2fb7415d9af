"""Figures are shown in the unit in which they have one to three digits before the point."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.units import counted, scaled


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_960, "1.0 MB"),
        (752_393_024, "752 MB"),
        (22_016_023_168, "22.0 GB"),
        (99_960_000_000, "100 GB"),
    ],
)
def test_bytes_are_decimal_as_disks_are_sold(value, shown):
    assert scaled(value, "B") == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(34_660_610_688, "34.7 B"), (752_393_024, "752 M"), (4_638_296, "4.6 M")]
)
def test_parameters_are_counted_in_millions_and_billions(value, shown):
    assert counted(value) == shown


@given(st.floats(1, 9e14))
def test_what_is_shown_is_within_five_percent_of_what_is(value):
    number, prefix = re.fullmatch(r"([\d.]+) ([kMGT]?)B", scaled(value, "B")).groups()
    factor = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}[prefix]
    assert float(number) * factor == pytest.approx(value, rel=0.05 if factor > 1 else 0.5)
    assert float(number) < 1000 or prefix == "T"
