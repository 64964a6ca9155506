"""What the adapter to TensorFlow does: a canary for the next version of TensorFlow."""

import contextlib

import tensorflow as tf

from tfopt.graph import _tensorflow


def test_functions_are_known_by_their_public_names():
    assert _tensorflow.public_name(tf.math.add) == "math.add"
    assert _tensorflow.public_name(tf.nn.relu) == "nn.relu"
    assert _tensorflow.public_name(test_functions_are_known_by_their_public_names) == ""


def test_a_function_is_made_around_other_code_with_the_same_options():
    signature = [tf.TensorSpec((None,), tf.float32)]
    first = tf.function(lambda x: x + 1, input_signature=signature)
    second = _tensorflow.around(lambda x: x * 3, first)
    assert second(tf.constant([2.0])).numpy().tolist() == [6.0]
    assert second.input_signature == first.input_signature
    assert first(tf.constant([2.0])).numpy().tolist() == [3.0]


def test_the_variable_scope_is_left_as_it_was():
    with tf.Graph().as_default():
        scope = tf.compat.v1.get_variable_scope()
        with contextlib.suppress(KeyError), _tensorflow.variable_scope_kept():
            scope.set_caching_device(lambda op: op.device)
            raise KeyError
        assert scope.caching_device is None
