"""Functions that the code of users' layers maps over an axis."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L
from keras import ops

import tfopt
from tfopt import graph
from tfopt.errors import UnsupportedModel, UnsupportedOperation
from tfopt.quantization.canonicalize.canonicalize import canonical

X = np.random.default_rng(0).normal(size=(8, 5, 4)).astype("float32")


class Code(L.Layer):
    def __init__(self, function, **kwargs):
        super().__init__(**kwargs)
        self.function, self.dense = function, L.Dense(4)

    def call(self, x):
        return self.function(x, self.dense)


def _time_first(x, mapped):
    return tf.transpose(mapped(tf.transpose(x, [1, 0, 2])), [1, 0, 2])


OF_KNOWN_SIZE = {
    "map_fn": lambda x, dense: _time_first(x, lambda x: tf.map_fn(lambda row: dense(row) * 2.0, x)),
    "map_fn of two": lambda x, dense: _time_first(
        x, lambda x: tf.map_fn(lambda p: p[0] * tf.nn.relu(p[1]), (x, -x), fn_output_signature=tf.float32)
    ),
    "vectorized_map": lambda x, dense: _time_first(x, lambda x: tf.vectorized_map(tf.nn.relu, x)),
    "ops.map": lambda x, dense: _time_first(x, lambda x: ops.map(lambda row: ops.softmax(row), x)),
    "ops.vectorized_map": lambda x, dense: _time_first(x, lambda x: ops.vectorized_map(ops.relu, x)),
}


def _model(function, **shape):
    keras.utils.set_random_seed(0)
    inputs = keras.Input(**(shape or {"shape": X.shape[1:]}))
    return keras.Model(inputs, L.Dense(3)(Code(function, name="own")(L.Dense(4)(inputs))))


@pytest.mark.parametrize("name", OF_KNOWN_SIZE)
def test_an_axis_of_known_size_is_read_place_by_place(name):
    model = _model(OF_KNOWN_SIZE[name])
    plain, paths = canonical(graph.as_functional(graph.copy(model)))
    assert not paths.left_whole
    np.testing.assert_allclose(plain(X), model(X), atol=1e-5)


def _checked(model, **settings):
    quantized = tfopt.quantize_aware(model, **settings)
    tfopt.quantization.calibrate(quantized, X)
    assert tfopt.to_tflite(quantized).verify(quantized, X, classification=False).passed
    return quantized


def _per_sample(x, dense):
    return tf.map_fn(lambda sample: sample * tf.reduce_max(sample), x)


def test_over_the_samples_it_is_refused_and_each_way_out_works():
    with pytest.raises(
        UnsupportedOperation,
        match=r"at once.*batch_shape=\(8, ...\)\). In a layer in float call tf.vectorized_map.*'own': None",
    ):
        tfopt.quantize_aware(_model(_per_sample))
    _checked(_model(lambda x, _: x * tf.reduce_max(x, axis=(1, 2), keepdims=True)))
    _checked(_model(_per_sample, batch_shape=X.shape))
    in_float = _model(lambda x, _: tf.vectorized_map(lambda each: each * tf.reduce_max(each), x))
    with pytest.raises(UnsupportedOperation, match=r"vectorized_map runs.*'own': None"):
        tfopt.quantize_aware(in_float)
    _checked(in_float, rules={"own": None})


class Subclassed(keras.Model):
    def call(self, x):
        return _per_sample(x, None)


def test_a_subclassed_model_is_called_on_a_batch_of_a_size():
    model = Subclassed()
    model(X)
    with pytest.raises(UnsupportedModel, match=r"batch_shape=\(8, ...\)"):
        tfopt.quantize_aware(model)
    inputs = keras.Input(batch_shape=X.shape)
    _checked(keras.Model(inputs, model(inputs)))


def test_a_long_axis_is_refused():
    long = _model(lambda x, _: tf.reshape(tf.map_fn(tf.nn.relu, tf.ones((300, 1)) * x[:1, 0, 0]), (1, 300)))
    with pytest.raises(UnsupportedOperation, match="once for each of 300 places"):
        tfopt.quantize_aware(long)
