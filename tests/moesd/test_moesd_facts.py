"""Facts carry units, imply the appendix's bounds, and are refused in one line when they cannot be."""

from __future__ import annotations

import msgspec
import pytest

from analysis.moesd.facts import bounds, read_facts
from analysis.moesd.times import Parameters
from runner.errors import DataError
from tests.moesd.truth import FACTS, published

TOML = """
[target]
name = "t"
experts = 64
dense_parameters = 2e9
expert_parameters = 0.8e9
bytes_per_parameter = 2.0
[draft]
name = "d"
parameters = 0.5e9
bytes_per_parameter = 2.0
[machine]
name = "m"
bandwidth_bytes_per_s = 4e12
peak_flops_per_s = 600e12
[rejection]
max_ms = 0.25
[sigma]
2 = 0.94
4 = 0.91
"""


def test_loading_times_are_bytes_over_bandwidth():
    assert (FACTS.bias_min_ms, FACTS.expert_min_ms, FACTS.draft_min_ms) == pytest.approx((1.0, 0.4, 0.25))


def test_a_draft_on_a_part_of_the_machine_loads_at_that_part_s_bandwidth():
    machine = msgspec.structs.replace(FACTS.machine, draft_bandwidth_bytes_per_s=2e12)
    facts = msgspec.structs.replace(FACTS, machine=machine)
    assert facts.draft_min_ms == pytest.approx(0.5)
    assert facts.bias_min_ms == pytest.approx(1.0)


@pytest.mark.parametrize(("bytes_per_parameter", "tokens"), [(2.0, 150.0), (1.0, 75.0), (0.5, 37.5)])
def test_the_ridge_in_tokens_moves_with_the_bytes_of_a_weight(bytes_per_parameter, tokens):
    target = msgspec.structs.replace(FACTS.target, bytes_per_parameter=bytes_per_parameter)
    assert msgspec.structs.replace(FACTS, target=target).ridge_tokens == pytest.approx(tokens)


def test_bounds_are_those_of_the_appendix():
    limits = bounds(FACTS, 0.25)
    assert limits.low == pytest.approx(Parameters(1.0, 0, 0.4, 0, 0.25, 0, 0, 0, 0.2, 1))
    inf = float("inf")
    assert limits.high == pytest.approx(Parameters(5.0, inf, 2.0, inf, 1.25, inf, 0.25, 0.25, 1, 2))


def test_the_published_facts_give_the_loading_times_of_the_sources():
    facts = published().facts
    assert facts.ridge_tokens == pytest.approx(153, abs=0.1)
    assert facts.bias_min_ms == pytest.approx(0.937, abs=5e-4)
    assert facts.expert_min_ms == pytest.approx(0.378, abs=5e-4)


def test_toml_and_json_say_the_same(tmp_path):
    (tmp_path / "facts.toml").write_text(TOML)
    (tmp_path / "facts.json").write_bytes(msgspec.json.encode(FACTS))
    assert read_facts(tmp_path / "facts.toml") == read_facts(tmp_path / "facts.json") == FACTS


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("bandwidth_bytes_per_s = 4e12", "bandwidth_bytes_per_s = 0", "bandwidth_bytes_per_s"),
        ("bandwidth_bytes_per_s = 4e12", "bandwidth_bytes_per_s = -1.0", "bandwidth_bytes_per_s"),
        ("bandwidth_bytes_per_s = 4e12", "", "bandwidth_bytes_per_s"),
        ("experts = 64", "experts = 0", "experts"),
        ("experts = 64", 'experts = "many"', "experts"),
        ("peak_flops_per_s = 600e12", "peak_flops_per_s = 600e12\ncolour = 1", "colour"),
        ("2 = 0.94", "2 = 1.5", "sigma"),
        ("[draft]", "[draft", "line"),
        ("dense_parameters = 2e9", "dense_parameters = nan", "dense_parameters"),
        ("peak_flops_per_s = 600e12", "peak_flops_per_s = inf", "peak_flops_per_s"),
    ],
)
def test_facts_that_cannot_be_are_refused_by_name(tmp_path, old, new, named):
    file = tmp_path / "facts.toml"
    file.write_text(TOML.replace(old, new))
    with pytest.raises(DataError, match=named) as caught:
        read_facts(file)
    assert "\n" not in str(caught.value)
    assert "facts.toml" in str(caught.value)


def test_missing_facts_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"none\.toml: cannot be read"):
        read_facts(tmp_path / "none.toml")
