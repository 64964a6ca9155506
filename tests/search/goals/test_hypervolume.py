import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfopt.search.goals.hypervolume import hypervolume, references

FIRST = {"bytes": 200.0, "accuracy": 0.97, "psnr": 30.0, "latency": 1.0, "loss": 0.0, "perfect": 1.0}


@pytest.mark.parametrize(
    ("name", "direction", "point", "scale"),
    [
        ("bytes", "min", 400.0, 200.0),
        ("latency", "min", 2.0, 1.0),
        ("loss", "min", 1.0, 1.0),
        ("accuracy", "max", 0.94, 0.03),
        ("perfect", "max", 0.99, 0.01),
        ("psnr", "max", 0.0, 30.0),
    ],
)
def test_the_reference_is_as_much_worse_than_the_first_trial_as_that_is_from_the_ideal(
    name, direction, point, scale
):
    found = references(FIRST, {name: direction})[name]
    assert (found.point, found.scale) == (pytest.approx(point), pytest.approx(scale))
    half = hypervolume([FIRST], {name: found})
    assert half == pytest.approx(0.5)


def test_a_first_trial_that_does_not_measure_an_objective_has_no_reference():
    assert references({"bytes": 1.0, "accuracy": None}, {"bytes": "min", "accuracy": "max"}) is None
    assert references({"bytes": 1.0, "accuracy": float("nan")}, {"accuracy": "max"}) is None


def test_what_is_beyond_the_reference_or_not_measured_adds_nothing():
    reference = references(FIRST, {"bytes": "min", "accuracy": "max"})
    assert hypervolume([], reference) == 0
    assert hypervolume([{"bytes": 1.0, "accuracy": 0.93}, {"bytes": 1.0}], reference) == 0
    whole = {"bytes": 0.0, "accuracy": 1.0}
    assert hypervolume([whole, {"bytes": 401.0, "accuracy": 1.0}], reference) == pytest.approx(1.0)


share = st.floats(0, 1, width=32)


@settings(deadline=None)
@given(st.integers(1, 4).flatmap(lambda n: st.lists(st.tuples(*[share] * n), min_size=1, max_size=5)))
def test_it_is_the_volume_that_the_points_dominate(points):
    """Against the sum over all subsets of points: inclusion and exclusion of their boxes."""
    names = [f"m{i}" for i in range(len(points[0]))]
    reference = references(dict.fromkeys(names, 0.5), dict.fromkeys(names, "min"))
    expected = 0.0
    for subset in range(1, 2 ** len(points)):
        chosen = [point for i, point in enumerate(points) if subset >> i & 1]
        box = np.prod(1 - np.max(chosen, axis=0))
        expected += box if len(chosen) % 2 else -box
    found = hypervolume([dict(zip(names, point, strict=True)) for point in points], reference)
    assert found == pytest.approx(expected, abs=1e-6)


@settings(deadline=None)
@given(st.lists(st.tuples(share, share, share), min_size=1, max_size=9))
def test_another_trial_never_makes_it_less(points):
    names = ["a", "b", "c"]
    reference = references(dict.fromkeys(names, 0.5), {"a": "min", "b": "max", "c": "min"})
    metrics = [dict(zip(names, point, strict=True)) for point in points]
    volumes = [hypervolume(metrics[:n], reference) for n in range(len(points) + 1)]
    assert all(before <= after + 1e-12 for before, after in itertools.pairwise(volumes))
