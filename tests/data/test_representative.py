import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfopt.data.representative import MAX_SAMPLES, calibration_arrays
from tfopt.data.sample_formats import repeatable
from tfopt.errors import InvalidArgumentError
from tfopt.quantization.qat.calibration_data import calibration_batches

NAMES, SHAPES, TYPES = ("a", "b"), ((2, 3), (2,)), ("float32", "int32")
A, B = np.arange(15).reshape(5, 3).astype(float), np.arange(5)


def _samples():
    for a, b in zip(A, B, strict=True):
        yield [a[None], b[None]]


def _named_samples():
    for a, b in zip(A, B, strict=True):
        yield {"b": b[None], "a": a[None]}


class _PyDataset(keras.utils.PyDataset):
    def __len__(self):
        return 3

    def __getitem__(self, index):
        return (A[2 * index : 2 * index + 2], B[2 * index : 2 * index + 2]), np.zeros(2)


# Makes data anew for each test, for generators are read once.
FORMS = {
    "tuple": lambda: (A, B),
    "list": lambda: [A, B],
    "dict": lambda: {"b": B, "a": A},
    "function": lambda: _samples,
    "function of dicts": lambda: _named_samples,
    "function of tuples": lambda: lambda: zip(A[:, None], B[:, None], strict=True),
    "generator": _samples,
    "generator of (inputs, labels)": lambda: (({"a": A[i : i + 1], "b": B[i : i + 1]}, 0) for i in range(5)),
    "tf.data": lambda: tf.data.Dataset.from_tensor_slices({"a": A, "b": B}).batch(2),
    "tf.data with labels and weights": lambda: tf.data.Dataset.from_tensor_slices(((A, B), B, B)).batch(3),
    "function of a tf.data": lambda: lambda: tf.data.Dataset.from_tensor_slices(((A, B), B)).batch(3),
    "PyDataset": _PyDataset,
}


@pytest.mark.filterwarnings("ignore:The representative data has 5 samples")
@pytest.mark.parametrize("form", FORMS)
def test_calibrate_and_representative_data_take_every_form(form):
    first, second = calibration_arrays(FORMS[form](), NAMES, SHAPES, TYPES)
    np.testing.assert_array_equal(second, [[0, 1], [2, 3], [4, 0]])
    np.testing.assert_array_equal(first[..., 0], 3 * second)
    model = keras.Model(
        inputs := [keras.Input((3,), name="a"), keras.Input((), dtype="int32", name="b")], inputs
    )
    batches = list(calibration_batches(model, FORMS[form](), 2))
    np.testing.assert_array_equal(np.concatenate([b for _, b in batches]), B)
    np.testing.assert_array_equal(np.concatenate([a for a, _ in batches]), A)


@pytest.mark.parametrize("form", ["generator", "tf.data", "array", "PyDataset"])
def test_of_endless_batches_the_first_samples_are_taken(form):
    counted = np.arange(10_000.0)

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 10**9

        def __getitem__(self, index):
            return counted[10 * index : 10 * index + 10], None

    data = {
        "generator": lambda: ((counted[i : i + 8], 0) for i in itertools.count(0, 8)),
        "tf.data": lambda: tf.data.Dataset.from_tensor_slices(counted).batch(7).repeat(),
        "array": lambda: counted[:MAX_SAMPLES],
        "PyDataset": Batches,
    }[form]()
    (taken,) = calibration_arrays(data, ("x",), ((1,),), ("float32",))
    np.testing.assert_array_equal(taken[:, 0], np.arange(MAX_SAMPLES))


def test_a_generator_is_read_once_for_all_that_needs_samples():
    data = repeatable(((A[i : i + 2], B) for i in itertools.cycle(range(4))), 6)
    assert [len(list(data())) for _ in range(2)] == [3, 3]
    assert repeatable(A, 6) is A


@pytest.mark.parametrize("data", ["a path", 3, object()])
def test_other_kinds_are_refused_with_those_that_are_taken(data):
    with pytest.raises(InvalidArgumentError, match=r"tf\.data\.Dataset.*generator of batches"):
        calibration_arrays(data, ("a",), ((1, 3),), ("float32",))


@pytest.mark.filterwarnings("ignore:The representative data has 5 samples")
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
