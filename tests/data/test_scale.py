"""What is done to inputs before a model sees them."""

import numpy as np
import pytest

from tfopt.data.scale import scales_of, text_of
from tfopt.errors import DataError, InvalidArgumentError

BYTES = np.array([[0], [255]], np.uint8)
FLOATS = np.array([[-3.0], [300.0]], np.float32)


@pytest.mark.parametrize(
    ("scale", "array", "name", "result"),
    [
        ("auto", BYTES, "1/255", [0, 1]),
        ("auto", FLOATS, "none", [-3, 300]),
        ("none", BYTES, "none", [0, 255]),
        ("1/51", BYTES, "1/51", [0, 5]),
        ("-1..1", BYTES, "-1..1", [-1, 1]),
        (np.sqrt, BYTES, "sqrt", [0, 255**0.5]),
    ],
)
def test_a_scale_does_what_it_is_called(scale, array, name, result):
    made = scales_of(scale, array)
    assert made.name == name
    assert made(array.astype("float32"), "x").ravel() == pytest.approx(result)


def test_inputs_by_name_have_scales_of_their_own():
    made = scales_of({"right": "none"}, {"right": BYTES, "left": BYTES})
    assert {name: each.name for name, each in made.items()} == {"right": "none", "left": "1/255"}
    assert text_of(made) == "left: x / 255, right: as given"


def test_an_array_is_not_changed_by_a_function_that_works_in_place():
    array = np.ones((2, 1), np.float32)

    def twice(x):
        x *= 2
        return x

    assert scales_of(twice, array)(array, "x").tolist() == [[2], [2]]
    assert array.tolist() == [[1], [1]]


@pytest.mark.parametrize("scale", ["1/0", "255", "0..1", 255])
def test_other_scales_are_refused(scale):
    with pytest.raises(InvalidArgumentError, match="scale must be"):
        scales_of(scale, BYTES)


def test_scaling_twice_is_refused():
    with pytest.raises(DataError, match="x_train holds numbers from 0 to 1: it is scaled already"):
        scales_of("1/255", np.array([[0.0], [1.0]]))


def test_a_function_returns_a_row_for_each_sample():
    with pytest.raises(DataError, match=r"one row a sample \(2 rows\), got float32 of shape \(\) for x"):
        scales_of(np.sum, FLOATS)(FLOATS, "x")
