"""Arrays alone, in tuples and in dicts."""

import numpy as np
import pytest

from tfopt.data.structure import count, fits, in_order, leaves, map_leaves, named_map, unlisted
from tfopt.errors import DataError, InvalidArgumentError

A, B = np.zeros((3, 2)), np.ones((3, 4))


def test_leaves_are_named_by_key_place_or_not_at_all():
    assert [name for name, _ in leaves({"b": B, "a": A})] == ["a", "b"]
    assert [name for name, _ in leaves((A, B))] == ["0", "1"]
    assert leaves(A) == [("", A)]


@pytest.mark.parametrize(("arrays", "kind"), [({"a": A}, dict), ((A, B), tuple), ([A, B], tuple), (A, tuple)])
def test_a_map_keeps_the_structure(arrays, kind):
    made = map_leaves(lambda array: array.shape, arrays)
    assert type(made) is kind
    assert (3, 2) in (made.values() if kind is dict else [made] if made == (3, 2) else made)


def test_a_named_map_tells_each_array_by_its_path():
    names = []
    made = named_map(lambda array, name: names.append(name) or array, {"left": A, "right": B}, "x_train")
    assert names == ["x_train/left", "x_train/right"]
    assert made["left"] is A
    named_map(lambda array, name: names.append(name) or array, A, "y_train")
    assert names[-1] == "y_train"


def test_a_list_of_samples_becomes_one_array():
    x, y = unlisted([np.zeros(2), np.ones(2), np.ones(2)], [0, 1, 1])
    assert x.shape == (3, 2)
    assert y.tolist() == [0, 1, 1]


def test_a_list_of_arrays_for_several_inputs_stays_several():
    x, y = unlisted([A, B], np.arange(3))
    assert type(x) is tuple
    assert [each.shape for each in x] == [(3, 2), (3, 4)]
    assert y.shape == (3,)


def test_samples_of_different_shapes_are_an_error():
    with pytest.raises(DataError, match="differ in shape"):
        unlisted([np.zeros(2), np.zeros(3)], [0, 1])


@pytest.mark.parametrize(
    ("shape", "known", "fitting"),
    [((4, 4), (None, 4), True), ((4,), (4, None), False), ((5, 4), (4, 4), False), ((), (), True)],
)
def test_sizes_of_none_fit_any(shape, known, fitting):
    assert fits(shape, known) is fitting


def test_samples_are_counted_in_the_first_array():
    assert count({"a": A, "b": B}) == 3


def test_samples_are_counted_in_nested_structures():
    assert count({"left": (A, B), "right": [A]}) == 3


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
