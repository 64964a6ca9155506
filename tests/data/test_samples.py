import numpy as np
import pytest

from tfopt.data.samples import batches, finite, lengths

X = {"left": np.arange(10.0).reshape(5, 2), "right": (np.arange(5), np.ones((5, 1, 1)))}


def test_lengths_are_those_of_all_arrays():
    assert lengths(X, None) == {5}
    assert lengths(X, np.zeros(4), 3.0) == {5, 4, 0}


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_value_that_is_not_finite_is_found(value):
    assert finite(X, None, np.arange(3))
    assert not finite(X, [1.0, value])


def test_batches_are_of_all_samples_in_their_order_and_structure():
    found = list(batches((X, None), 2))
    assert [len(x["left"]) for x, _ in found] == [2, 2, 1]
    assert all(y is None for _, y in found)
    np.testing.assert_array_equal(np.concatenate([x["right"][0] for x, _ in found]), np.arange(5))
    np.testing.assert_array_equal(found[1][0]["left"], X["left"][2:4])
