"""Data in every form in which people have it, for each function that measures a model on samples."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfopt
from tfopt.data.labelled import labelled
from tfopt.errors import DataError, InvalidArgumentError

RNG = np.random.default_rng(0)
X, Y = RNG.random((96, 16), np.float32), RNG.integers(0, 4, 96)
BATCHES = [(X[start : start + 32], Y[start : start + 32]) for start in range(0, 96, 32)]


class Sequence(keras.utils.PyDataset):
    def __len__(self):
        return len(BATCHES)

    def __getitem__(self, index):
        return BATCHES[index]


def _dataset():
    return tf.data.Dataset.from_tensor_slices((X, Y))


FORMS = {
    "arrays": lambda: (X, Y),
    "lists": lambda: (X.tolist(), Y.tolist()),
    "tensors": lambda: (tf.constant(X), tf.constant(Y)),
    "with sample weights": lambda: (X, Y, np.ones(96)),
    "tfopt": lambda: tfopt.data.from_arrays(X, Y, x_test=X[:8], y_test=Y[:8], x_val=X[:8], y_val=Y[:8]),
    "tf.data of batches": lambda: _dataset().batch(32),
    "tf.data of samples": _dataset,
    "tf.data without end": lambda: _dataset().batch(32).repeat(),
    "PyDataset": Sequence,
    "list of batches": lambda: BATCHES,
    "generator": lambda: iter(BATCHES),
    "function": lambda: lambda: iter(BATCHES),
}


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    dense = keras.layers.Dense
    made = keras.Sequential(
        [keras.Input((16,), name="x"), dense(64, "relu"), dense(64, "relu"), dense(4, "softmax")]
    )
    made.compile("adam", "sparse_categorical_crossentropy")
    return made


MEASURES = {
    "prune_channels by Taylor": lambda m, data: tfopt.prune_channels(m, 0.5, importance="taylor", data=data),
    "prune_channels by sensitivity": lambda m, data: tfopt.prune_channels(
        m, macs=0.5, allocation="sensitivity", data=data
    ),
    "prune by Taylor": lambda m, data: tfopt.prune(m, 0.5, criterion="taylor", data=data),
    "cluster by gradients": lambda m, data: tfopt.cluster(m, 8, init="gradient", data=data),
    "low_rank": lambda m, data: tfopt.low_rank(m, params=0.7, data=data),
}


@pytest.mark.parametrize("form", ["lists", "tfopt", "tf.data of batches", "generator"])
@pytest.mark.parametrize("measure", MEASURES)
def test_each_function_takes_what_is_read_as_samples(model, measure, form):
    result = MEASURES[measure](model, FORMS[form]())
    expected = MEASURES[measure](model, (X, Y))
    assert result.count_params() == expected.count_params()
    if form != "tfopt":  # which scales the samples
        for got, wanted in zip(result.get_weights(), expected.get_weights(), strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_each_form_is_read_as_inputs_and_labels(form):
    x, y = labelled(FORMS[form](), "data")
    x, y = np.asarray(x), np.asarray(y)
    assert len(x) == len(y) == (512 if "without end" in form else 96)
    if form != "tfopt":
        np.testing.assert_allclose(x[:96], X, rtol=1e-6)
    np.testing.assert_array_equal(y[:96], Y)


def test_inputs_alone_and_several_inputs():
    assert labelled(X, "data") == (X, None)
    x, y = labelled(tf.data.Dataset.from_tensor_slices(X).batch(40), "data")
    np.testing.assert_array_equal(x, X)
    assert y is None
    named = tf.data.Dataset.from_tensor_slices(({"a": X, "b": X + 1}, Y)).batch(40)
    x, y = labelled(named, "data")
    np.testing.assert_array_equal(x["b"], X + 1)
    np.testing.assert_array_equal(y, Y)


def test_a_tuple_of_an_array_for_each_of_several_inputs_is_inputs_alone():
    x, y = labelled((X, X), "data", inputs=2)
    assert len(x) == 2
    assert y is None
    x, y = labelled(((X, X), Y), "data", inputs=2)
    assert len(x) == 2
    np.testing.assert_array_equal(y, Y)
    a, b = keras.Input((16,)), keras.Input((16,))
    dense = keras.layers.Dense
    two = keras.Model([a, b], dense(4)(keras.layers.Add()([dense(32)(a), dense(32)(b)])))
    assert tfopt.cluster(two, 8, init="gradient", data=(X, X)).count_params() == two.count_params()
    tfopt.prune_channels(two, 0.5, importance="activation", data=(X, X))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((X[:, :5], Y), r"shape \(5,\) for the input 'x', and the model takes \(16,\)"),
        ((X, Y + 2), "labels from 2 to 5, and the model has 4 outputs, for the classes 0 to 3"),
        ((X, Y[:5]), r"as many labels as inputs.*\[5, 96\]"),
        ((X * np.nan, Y), "NaN"),
        ((X[:0], Y[:0]), "samples"),
        (iter(()), "has no samples"),
    ],
)
@pytest.mark.parametrize("measure", [name for name in MEASURES if "Taylor" in name])
def test_data_that_does_not_fit_is_said_before_anything_is_measured(model, measure, data, message):
    with pytest.raises(DataError, match=message):
        MEASURES[measure](model, data)


@pytest.mark.parametrize("measure", [name for name in MEASURES if "Taylor" in name])
def test_labels_that_are_missing_are_asked_for(model, measure):
    with pytest.raises(
        InvalidArgumentError, match=r"holds inputs alone: give data=\(x, y\)|data=\(x, y\).*got inputs alone"
    ):
        MEASURES[measure](model, X)


def test_an_exported_file_is_calibrated_by_each_form(model):
    expected = bytes(tfopt.to_tflite(model, "int8", X))
    for form in (
        "arrays",
        "lists",
        "tf.data of batches",
        "tf.data of samples",
        "list of batches",
        "generator",
    ):
        assert bytes(tfopt.to_tflite(model, "int8", FORMS[form]())) == expected, form


STREAMS = [
    name for name in FORMS if name.startswith(("tf.data of", "PyDataset", "list of", "generator", "function"))
]


@pytest.mark.parametrize("form", STREAMS)
def test_a_file_runs_on_each_form_that_comes_in_batches(model, form):
    file = tfopt.to_tflite(model, "int8", X)
    np.testing.assert_array_equal(file.predict(FORMS[form]()), file.predict(X))
    np.testing.assert_array_equal(file.predict_quantized(FORMS[form]()), file.predict_quantized(X))
    assert file.verify(model, FORMS[form]()) == file.verify(model, X)
    found, expected = (tfopt.debug_quantization(model, file, data) for data in (FORMS[form](), X))
    assert str(found) == str(expected)


def test_a_file_that_gets_no_batches_or_endless_ones_says_so(model):
    file = tfopt.to_tflite(model)
    with pytest.raises(DataError, match="no batches"):
        file.predict(iter(()))
    with pytest.raises(InvalidArgumentError, match="never ends"):
        file.predict(FORMS["tf.data without end"]())
