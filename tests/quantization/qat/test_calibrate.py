"""Calibration: the data may come in any form, and observers find the ranges."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfopt
from tfopt.errors import DataError, InvalidArgumentError
from tfopt.quantization import ActivationQuantizer, Scheme, calibrate
from tfopt.quantization.observers import OBSERVERS, Percentile

X = np.random.default_rng(0).normal(size=(70, 4)).astype("float32")


def float_model():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,), name="x")
    hidden = keras.layers.Dense(6, activation="relu", name="hidden")(inputs)
    return keras.Model(inputs, keras.layers.Dense(2, name="head")(hidden), name="tiny")


@pytest.fixture(scope="module")
def quantized():
    return tfopt.quantize_aware(float_model())


@pytest.fixture(scope="module")
def two_inputs():
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    return tfopt.quantize_aware(keras.Model({"a": a, "b": b}, keras.layers.Add(name="sum")([a, b])))


def ranges(model):
    return {
        layer.name: (float(layer.minimum), float(layer.maximum))
        for layer in model.layers
        if isinstance(layer, ActivationQuantizer)
    }


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 7

    def __getitem__(self, index):
        return X[index * 10 : index * 10 + 10], np.zeros(10)


def _dataset():
    return tf.data.Dataset.from_tensor_slices(X)


FORMS = {
    "tensor": lambda: tf.constant(X),
    "list of one input": lambda: [X],
    "dict": lambda: {"x": X},
    "float64": lambda: X.astype("float64"),
    "tf.data": lambda: _dataset().batch(9),
    "tf.data with labels": lambda: tf.data.Dataset.from_tensor_slices((X, np.zeros(70))).batch(13),
    "tf.data of dicts": lambda: tf.data.Dataset.from_tensor_slices({"x": X}).batch(70),
    "PyDataset": Batches,
    "generator": lambda: (X[i : i + 7] for i in range(0, 70, 7)),
    "generator with labels": lambda: ((X[i : i + 7], np.zeros(7)) for i in range(0, 70, 7)),
    "representative dataset": lambda: lambda: ([row[None]] for row in X),
    "function that returns a tf.data": lambda: lambda: _dataset().batch(5),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_form_of_the_data_makes_no_difference(quantized, form):
    calibrate(quantized, X, batch_size=32)
    expected = ranges(quantized)
    calibrate(quantized, 2 * X)
    assert ranges(quantized) != expected
    calibrate(quantized, FORMS[form](), batch_size=32)
    assert ranges(quantized) == expected
    assert float(quantized.get_layer("x.quantizer").batches) == 3


def test_training_samples_of_a_dataset_are_taken(digits, small_cnn):
    model = tfopt.quantize_aware(small_cnn())
    calibrate(model, digits)
    assert ranges(model)["image.quantizer"][1] == pytest.approx(digits.x_train.max())


def test_several_inputs(two_inputs):
    parts = {"b": 3 * X, "a": X}
    calibrate(two_inputs, parts, observer="min_max")
    expected = ranges(two_inputs)
    assert expected["a.quantizer"] == pytest.approx((X.min(), X.max()))
    assert expected["b.quantizer"] == pytest.approx((3 * X.min(), 3 * X.max()))
    for data in ((X, 3 * X), tf.data.Dataset.from_tensor_slices(parts).batch(8), iter([[X, 3 * X]])):
        calibrate(two_inputs, {"a": 0 * X, "b": 0 * X})
        calibrate(two_inputs, data, observer="min_max")
        assert ranges(two_inputs) == expected


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (np.zeros((0, 4)), DataError, "at least one sample"),
        (iter([]), DataError, "at least one sample"),
        (lambda: [], DataError, "at least one sample"),
        (np.full((2, 4), np.nan), DataError, "'x' holds NaN"),
        (np.array([[np.inf, 0, 0, 0]]), DataError, "'x' holds NaN or infinite"),
        (np.zeros((2, 5)), InvalidArgumentError, r"shape \(2, 5\), the model takes \(samples, 4\)"),
        (np.zeros(4), InvalidArgumentError, r"shape \(4,\)"),
        (iter([np.zeros(4)]), InvalidArgumentError, r"shape \(4,\)"),
        ([X, X], InvalidArgumentError, "2 arrays, the model has 1 inputs .*'x'"),
        ({"y": X}, InvalidArgumentError, "'y', the model has the inputs 'x'"),
        (np.array([["a"] * 4]), InvalidArgumentError, "array of numbers"),
        ("x_train", InvalidArgumentError, "must be an array of samples.*got str"),
        (None, InvalidArgumentError, "must be an array of samples.*got NoneType"),
        (tf.data.Dataset.from_tensors(X).repeat(), InvalidArgumentError, r"take\(20\)"),
    ],
)
def test_bad_data_is_refused_and_leaves_the_ranges(quantized, data, error, message):
    calibrate(quantized, X)
    before = ranges(quantized)
    with pytest.raises(error, match=message):
        calibrate(quantized, data)
    assert ranges(quantized) == before
    assert len(np.unique(quantized(X)[:, 0])) > 1  # it quantizes and observes no more
    assert ranges(quantized) == before


def test_inputs_of_different_lengths_are_refused(two_inputs):
    with pytest.raises(InvalidArgumentError, match="'a': 70, 'b': 3"):
        calibrate(two_inputs, {"a": X, "b": X[:3]})


def test_bad_arguments_are_refused(quantized):
    with pytest.raises(InvalidArgumentError, match="'entropy', got 'kl'"):
        calibrate(quantized, X, observer="kl")
    with pytest.raises(InvalidArgumentError, match="batch_size"):
        calibrate(quantized, X, batch_size=0)
    with pytest.raises(InvalidArgumentError, match=r"tfopt\.quantize_aware first"):
        calibrate(float_model(), X)


def test_a_model_that_overflows_by_itself_is_named(quantized):
    weights = quantized.get_weights()
    quantized.get_layer("hidden").layer.kernel.assign(np.full((4, 6), 3e38))
    with pytest.raises(DataError, match=r"'hidden\.relu\.quantizer' are NaN or infinite"):
        calibrate(quantized, np.ones((2, 4)))
    quantized.set_weights(weights)


@pytest.mark.parametrize("observer", OBSERVERS)
def test_the_scheme_names_the_observer(observer):
    model = tfopt.quantize_aware(float_model(), Scheme(observer=observer))
    values = np.append(X, [[0, 0, 0, 40.0]]).reshape(-1, 4).astype("float32")
    calibrate(model, values)
    alone = OBSERVERS[observer]()
    for batch in (values[:64], values[64:]):
        alone.update(batch)
        alone.end_batch()
    assert ranges(model)["x.quantizer"] == pytest.approx(alone.range(8, False), rel=1e-6)
    held = observer != "moving_average"
    assert bool(model.get_layer("x.quantizer").frozen.numpy()) == held
    before = ranges(model)
    model(3 * X, training=True)
    assert (ranges(model) == before) == held


def test_another_observer_can_be_given(quantized):
    calibrate(quantized, X, observer=Percentile(75.0))
    low, high = np.percentile(X, [25, 75])
    assert ranges(quantized)["x.quantizer"] == pytest.approx((low, high), abs=0.1)
    calibrate(quantized, X)
    assert not float(quantized.get_layer("x.quantizer").frozen.numpy())


def test_a_trained_range_starts_from_the_calibrated_one_and_moves():
    model = tfopt.quantize_aware(float_model(), Scheme(observer="mse", activation_range="lsq"))
    calibrate(model, X)
    quantizer = model.get_layer("x.quantizer")
    before = ranges(model)["x.quantizer"]
    assert before[1] < X.max()
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(X, training=True))
    gradient = tape.gradient(loss, quantizer.maximum.value)
    assert float(gradient) != 0
    assert ranges(model)["x.quantizer"] == before
