"""Arrays in the order of a model's inputs."""

import numpy as np
import pytest

from tfopt.data.ordered import in_order
from tfopt.errors import InvalidArgumentError


@pytest.mark.parametrize("values", [{"b": [2], "a": [1]}, ([1], [2]), [[1], [2]]])
def test_names_and_places_tell_the_order(values):
    assert [each.tolist() for each in in_order(values, ["a", "b"], "x")] == [[1], [2]]


def test_one_array_is_of_the_only_input():
    assert in_order(np.zeros(2), ["a"], "x")[0].shape == (2,)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"a": [1]}, "x must have one array for each of 'a', 'b', got 'a'"),
        (([1],), "in this order, got 1"),
        (np.zeros(2), "must be a tuple or dict of 2 arrays, for 'a', 'b', got one ndarray"),
    ],
)
def test_what_does_not_fit_is_refused(values, message):
    with pytest.raises(InvalidArgumentError, match=message):
        in_order(values, ["a", "b"], "x")
