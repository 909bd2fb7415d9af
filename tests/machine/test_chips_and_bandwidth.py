"""Nominal bandwidth comes only for chips that are known for certain; the measured one counts both directions."""

import itertools

import pytest

from runner.machine import bandwidth
from runner.machine.chips import chip_table, nominal_bandwidth_bytes_per_s


@pytest.mark.parametrize(
    ("name", "cpu", "gpu", "gb_per_s"),
    [
        ("Apple M1", 8, 8, 68),
        ("Apple M2 Ultra", 24, 76, 800),
        ("Apple M2 Ultra", None, None, 800),
        ("Apple M3 Max", 14, 30, 300),
        ("Apple M3 Max", 16, 40, 400),
        ("Apple M4 Max", 16, 40, 546),
        ("Apple M5 Max", 18, 32, 460),
        ("Apple M5 Max", 18, 40, 614),
    ],
)
def test_cores_tell_apart_chips_of_one_name(name, cpu, gpu, gb_per_s):
    assert nominal_bandwidth_bytes_per_s(name, cpu, gpu) == gb_per_s * 1e9


@pytest.mark.parametrize("name", ["", "Apple M9", "Apple M5 Ultra", "AMD EPYC", "apple m1"])
def test_an_unknown_chip_has_no_nominal_bandwidth(name):
    assert nominal_bandwidth_bytes_per_s(name, 8, 8) is None


def test_a_chip_whose_cores_leave_it_open_has_none():
    assert nominal_bandwidth_bytes_per_s("Apple M3 Max", None, None) is None


def test_a_lower_bin_that_the_table_does_not_list_has_the_bandwidth_of_its_name():
    assert nominal_bandwidth_bytes_per_s("Apple M2", 8, 8) == 100e9


def test_generations_never_get_slower_within_a_tier():
    base = [nominal_bandwidth_bytes_per_s(f"Apple M{number}", None, None) for number in range(1, 6)]
    assert base == sorted(base)
    assert 0 < chip_table().attainable_share_low < chip_table().attainable_share_high < 1


def test_bandwidth_is_bytes_read_and_written_over_the_best_time(monkeypatch):
    ticks = itertools.accumulate(itertools.chain.from_iterable((0.0, step) for step in (4, 2, 1, 2, 4)))
    monkeypatch.setattr(bandwidth.time, "perf_counter", lambda: next(ticks))
    assert bandwidth.measured_bandwidth_bytes_per_s(4, total_bytes=1 << 20) == (1 << 20) / 1


def test_the_copy_really_moves_every_byte():
    figure = bandwidth.measured_bandwidth_bytes_per_s(1, total_bytes=1 << 23)
    assert 1e7 < figure < 1e13
