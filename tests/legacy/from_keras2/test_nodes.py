"""Operations as TensorFlow 2.0 to 2.3 kept them in models."""

import keras
import pytest
import tensorflow as tf
import tf_keras
from tf_keras.src.engine.base_layer import TensorFlowOpLayer

import tfopt
from tfopt.errors import UnsupportedOperation

FUNCTIONS = {
    "tf.math.add": lambda x: x + tf.constant([1.0, 2.0, 3.0]),
    "tf.reduce_mean": lambda x: tf.reduce_mean(x, [1, 2], keepdims=True),
    "tf.nn.relu6": tf.nn.relu6,
    "a slice": lambda x: x[:, 1:, ::2],
    "tf.reshape": lambda x: tf.reshape(x, [-1, 48]),
    "tf.cast": lambda x: tf.cast(x, "int32"),
    "tf.pad": lambda x: tf.pad(x, [[0, 0], [1, 1], [0, 0], [0, 0]]),
    "tf.image.resize": lambda x: tf.compat.v1.image.resize_bilinear(x, (6, 5)),
    "tf.stack": lambda x: tf.stack([x]),
}


def _layer(function, *shapes):
    """Return the layer that TensorFlow 2.3 made of a call of `function`."""
    with tf.Graph().as_default():
        node = function(*(tf.compat.v1.placeholder("float32", shape) for shape in shapes)).op
        values = {number: tf.get_static_value(each) for number, each in enumerate(node.inputs)}
    constants = {number: value for number, value in values.items() if value is not None}
    return TensorFlowOpLayer(node.node_def.SerializeToString(), node.name, constants)


def test_every_operation():
    inputs = tf_keras.Input((4, 4, 3))
    shape = (None, 4, 4, 3)
    old = tf_keras.Model(inputs, [_layer(function, shape)(inputs) for function in FUNCTIONS.values()])
    x = tf.random.stateless_normal((2, 4, 4, 3), (0, 1))
    new = tfopt.from_legacy(old)
    for name, one, other in zip(FUNCTIONS, old(x), new(x), strict=True):
        assert one.dtype == other.dtype, name
        tf.debugging.assert_near(tf.cast(one, "float32"), tf.cast(other, "float32"), 1e-5, 1e-5, message=name)


def test_two_tensors_through_a_file(tmp_path):
    left, right = tf_keras.Input((3,)), tf_keras.Input((3,))
    joined = _layer(lambda x, y: tf.concat([x, y], -1), (None, 3), (None, 3))([left, right])
    old = tf_keras.Model([left, right], _layer(lambda x: x * 2.0, (None, 6))(joined))
    old.save(tmp_path / "old.h5")
    new = tfopt.from_legacy(tmp_path / "old.h5")
    x = [tf.ones((2, 3)), tf.zeros((2, 3))]
    tf.debugging.assert_equal(old(x), new(x))
    new.save(tmp_path / "new.keras")
    tf.debugging.assert_equal(old(x), keras.models.load_model(tmp_path / "new.keras")(x))


def test_operations_that_reach_out_of_the_model_are_refused():
    inputs = tf_keras.Input((), dtype="float32")
    layer = _layer(lambda x: tf.strings.as_string(x), (None,))
    layer.node_def.op = "ReadFile"
    with pytest.raises(UnsupportedOperation, match="runs the TensorFlow operation ReadFile"):
        tfopt.legacy.from_keras2.nodes.call(layer, (inputs,))
