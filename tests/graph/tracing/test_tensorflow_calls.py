"""TensorFlow's functions on symbolic tensors, where a trace runs and nowhere else."""

import logging

import keras
import pytest
import tensorflow as tf

from tfopt.graph.tracing.tensorflow_calls import recording


def test_a_function_is_recorded_where_a_trace_runs():
    x = keras.Input((3,))
    with recording() as recorded:
        made = tf.math.rsqrt(tf.reduce_sum(x, axis=-1))
    assert isinstance(made, keras.KerasTensor)
    assert recorded.refused is None


def test_outside_of_a_trace_it_fails_as_ever():
    x = keras.Input((3,))
    with recording():
        pass
    with pytest.raises(ValueError, match="KerasTensor"):
        tf.math.rsqrt(x)


def test_a_function_without_an_equivalent_is_named(caplog):
    x = keras.Input((3,))
    with (
        caplog.at_level(logging.DEBUG, "tfopt.graph"),
        recording() as recorded,
        pytest.raises(ValueError, match="KerasTensor"),
    ):
        tf.math.igamma(x, x)
    assert recorded.refused == "tf.math.igamma"
    assert "tf.math.igamma has no equivalent for symbolic tensors" in caplog.messages


def test_numbers_are_left_to_tensorflow():
    with recording() as recorded:
        assert tf.math.rsqrt(4.0) == 0.5
    assert recorded.refused is None
