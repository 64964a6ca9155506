"""Budgets: what is parsed, what it means, and what is refused."""

import dataclasses
import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tfopt.budgets import METRICS, Budgets, Limit
from tfopt.errors import InvalidArgumentError


@pytest.mark.parametrize(
    ("name", "given", "value", "relative"),
    [
        ("macs", 0.5, 0.5, True),
        ("macs", 1, 1.0, True),
        ("macs", "0.5", 0.5, True),
        ("macs", "50%", 0.5, True),
        ("macs", "50 %", 0.5, True),
        ("macs", 5_000_000, 5e6, False),
        ("macs", "5M", 5e6, False),
        ("macs", "1.5G", 1.5e9, False),
        ("macs", "2e6", 2e6, False),
        ("params", "20k", 2e4, False),
        ("bytes", 100_000, 1e5, False),
        ("bytes", "100k", 1e5, False),
        ("bytes", "100 kB", 1e5, False),
        ("bytes", "100KiB", 102_400, False),
        ("bytes", "2MB", 2e6, False),
        ("bytes", "900 B", 900, False),
        ("latency", 0.5, 0.5, True),
        ("latency", "0.5", 0.5, True),
        ("latency", "1.5ms", 1.5e-3, False),
        ("latency", "1.5 ms", 1.5e-3, False),
        ("latency", "0.5ms", 0.5e-3, False),
        ("latency", "800us", 8e-4, False),
        ("latency", "800µs", 8e-4, False),
        ("latency", "800μs", 8e-4, False),
        ("latency", "1s", 1.0, False),
    ],
)
def test_what_a_limit_means(name, given, value, relative):
    limit = Budgets(**{name: given}).limits[name]
    assert (limit.value, limit.relative) == (pytest.approx(value), relative)
    assert limit.of(10.0) == pytest.approx(10 * value if relative else value)


def test_the_letters_of_counts_and_of_bytes_differ():
    assert Budgets(macs="2B").limits["macs"].value == 2e9
    assert Budgets(bytes="2B").limits["bytes"].value == 2


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize(
    "given",
    [0, -1, 0.0, float("nan"), float("inf"), True, "", "half", "0", "nan", "-5k", "1.2.3", "150%", [], "5x"],
)
def test_what_is_no_limit_is_refused_with_one_that_is(name, given):
    with pytest.raises(
        InvalidArgumentError, match=rf"budget {name}=.*expected 0\.5 \(half of the original\)"
    ):
        Budgets(**{name: given})


def test_a_latency_above_one_needs_a_unit():
    with pytest.raises(InvalidArgumentError, match=r"above 1 and has no unit: expected .*1\.5ms"):
        Budgets(latency=1.5)
    assert Budgets(latency="1.5ms")


@pytest.mark.parametrize(
    ("name", "meant"), [("mac", "macs"), ("Bytes", "bytes"), ("flops", None), ("latencies", "latency")]
)
def test_an_unknown_metric_is_refused_with_the_one_that_was_meant(name, meant):
    with pytest.raises(InvalidArgumentError, match=f"no budget '{name}'; expected one of macs") as error:
        Budgets.from_mapping({name: 0.5})
    assert (f"Did you mean {meant!r}?" in str(error.value)) == (meant is not None)


def test_several_at_once_from_the_command_line():
    budgets = Budgets.parse(["bytes=100k", "macs = 5M", "latency=0.5"])
    assert budgets == Budgets(bytes=100_000, macs=5_000_000, latency=0.5)
    assert budgets.of({"bytes": 400_000, "macs": 2e7, "latency": 2e-3}) == {
        "bytes": 100_000,
        "macs": 5_000_000,
        "latency": 1e-3,
    }


@pytest.mark.parametrize("texts", [["bytes"], ["bytes=1k", "bytes=2k"]])
def test_a_command_line_that_is_not_understood(texts):
    with pytest.raises(InvalidArgumentError, match="bytes"):
        Budgets.parse(texts)


@pytest.mark.parametrize(
    "budgets",
    [
        Budgets(macs=0.5, bytes="100k"),
        Budgets(latency="0.3ms"),
        Budgets(latency=0.25, params="20k"),
        Budgets(),
    ],
)
def test_json_round_trip(budgets):
    again = Budgets.from_mapping(json.loads(json.dumps(budgets.to_dict())))
    assert again == budgets
    assert dataclasses.replace(budgets) == budgets


@settings(deadline=None)
@given(st.sampled_from([*METRICS]), st.floats(1e-9, 1e15), st.booleans())
@example("latency", 3e-5, False)
def test_every_limit_is_read_as_it_was_written(name, value, relative):
    limit = (
        Limit(min(value, 1.0), True) if relative else Limit(value if name == "latency" else 1 + value, False)
    )
    budgets = Budgets(**{name: limit})
    assert Budgets.from_mapping(json.loads(json.dumps(budgets.to_dict()))) == budgets
    assert budgets.limits[name] == limit


def test_a_time_is_written_in_milliseconds():
    for text in ("0.03ms", "1.5ms", "800ms"):
        assert Budgets(latency=text).to_dict() == {"latency": text}
    assert Budgets(latency="2s").to_dict() == {"latency": "2000ms"}


def test_in_words():
    assert Budgets(macs=0.5, bytes="100k", latency="1.5ms").describe() == (
        "macs at most 50 % of the original, bytes at most 100,000, latency at most 1.5 ms"
    )
    assert Budgets().describe() == "no budget"
    assert not Budgets()
    assert Budgets(macs=Limit(0.5, True))
