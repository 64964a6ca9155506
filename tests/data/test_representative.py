import numpy as np
import pytest

from tfopt.data.representative import MAX_SAMPLES, calibration_arrays
from tfopt.errors import InvalidArgumentError

NAMES, SHAPES, TYPES = ("a", "b"), ((2, 3), (2,)), ("float32", "int32")
A, B = np.arange(15).reshape(5, 3).astype(float), np.arange(5)


def _samples():
    for a, b in zip(A, B, strict=True):
        yield [a[None], b[None]]


def _named_samples():
    for a, b in zip(A, B, strict=True):
        yield {"b": b[None], "a": a[None]}


@pytest.mark.parametrize(
    "data", [(A, B), [A, B], {"b": B, "a": A}, _samples, _named_samples], ids=lambda data: type(data).__name__
)
def test_every_form_gives_the_same_batches(data):
    first, second = calibration_arrays(data, NAMES, SHAPES, TYPES)
    assert (first.shape, first.dtype) == ((3, 2, 3), np.float32)
    assert (second.shape, second.dtype) == ((3, 2), np.int32)
    np.testing.assert_array_equal(second, [[0, 1], [2, 3], [4, 0]])
    np.testing.assert_array_equal(first[..., 0], 3 * second)


def test_of_many_samples_some_are_taken_from_first_to_last():
    (taken,) = calibration_arrays(np.arange(10_000.0), ("x",), ((1,),), ("float32",))
    assert len(taken) == MAX_SAMPLES
    assert (taken[0, 0], taken[-1, 0]) == (0, 9_999)


def test_a_dataset_is_taken_by_name(digits):
    (taken,) = calibration_arrays(digits, ("image",), ((1, 8, 8, 1),), ("float32",))
    assert taken.shape == (MAX_SAMPLES, 1, 8, 8, 1)


def test_arrays_of_different_length_are_refused():
    with pytest.raises(InvalidArgumentError, match="differ in length"):
        calibration_arrays((A, B[:3]), NAMES, SHAPES, TYPES)


def test_samples_of_different_shape_are_refused():
    with pytest.raises(InvalidArgumentError, match="differ in shape"):
        calibration_arrays(lambda: [A[:1], B[:1]], ("a",), ((1, 3),), ("float32",))
