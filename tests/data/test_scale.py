"""What is done to inputs before a model sees them."""

import json

import numpy as np
import pytest

from tfopt.data import from_arrays
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


def test_standardized_by_the_training_split_alone():
    x = np.random.default_rng(0).normal([5, -300, 7], [2, 50, 0], (200, 3))
    y = np.arange(200) % 2
    data = from_arrays(x, y, scale="standardize")
    assert data.x_train.mean(axis=0) == pytest.approx([0, 0, 0], abs=1e-5)
    assert data.x_train[:, :2].std(axis=0) == pytest.approx([1, 1], abs=1e-5)
    assert np.all(data.x_test[:, 2] == 0)  # a constant feature is not divided by the noise of its rounding
    assert abs(data.x_test.mean(axis=0)[:2]).min() > 1e-3
    # The report says what the user of a file must do to inputs.
    mean, divisor = (
        np.array(json.loads(part)) for part in data.normalization.removeprefix("(x - ").split(") / ")
    )
    rows = np.array([[5.0, -300.0, 7.0], [9.0, -200.0, 7.0]], np.float32)
    assert data.scale(rows, "x") == pytest.approx((rows - mean) / divisor, rel=1e-4, abs=1e-4)


def test_windows_are_standardized_by_feature():
    x = np.random.default_rng(0).normal([0, 10], [1, 3], (50, 8, 2))
    data = from_arrays({"left": x, "right": x}, np.arange(50) % 2, scale={"left": "standardize"})
    assert data.x_train["left"].mean(axis=(0, 1)) == pytest.approx([0, 0], abs=1e-5)
    assert data.x_train["right"].mean() > 4
    wide = from_arrays(np.random.default_rng(0).random((30, 40)), np.arange(30) % 2, scale="standardize")
    assert wide.normalization == "(x - mean) / standard deviation of the training split"


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
