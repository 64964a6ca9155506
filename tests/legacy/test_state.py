"""Weights and flags from one Keras to the other."""

import keras
import numpy as np
import pytest
import tf_keras

from tfopt.errors import ConversionError
from tfopt.legacy.state import Pair, copy_state


def _layers(old, new, shape):
    old.build(shape)
    new.build(shape)
    old.set_weights([np.random.default_rng(0).normal(size=w.shape) for w in old.get_weights()])
    return old, new


def test_weights_are_copied_by_name_where_the_order_differs():
    old, new = _layers(tf_keras.layers.BatchNormalization(), keras.layers.BatchNormalization(), (None, 3))
    copy_state([Pair(old, new, trainable=False)])
    np.testing.assert_array_equal(new.moving_mean, old.moving_mean)
    np.testing.assert_array_equal(new.gamma, old.gamma)
    assert not new.trainable


def test_a_name_that_the_other_keras_has_for_it_counts():
    old, new = _layers(tf_keras.layers.DepthwiseConv2D(2), keras.layers.DepthwiseConv2D(2), (None, 4, 4, 3))
    copy_state([Pair(old, new, trainable=True)])
    np.testing.assert_array_equal(new.kernel, old.depthwise_kernel)


def test_what_holds_its_weights_in_other_layers_gets_its_flag_alone():
    old, new = _layers(tf_keras.layers.Dense(2), keras.layers.Dense(2), (None, 3))
    before = new.get_weights()
    copy_state([Pair(old, new, trainable=False, whole=False)])
    np.testing.assert_array_equal(new.get_weights()[0], before[0])
    assert not new.trainable


def test_weights_of_other_shapes_are_an_error():
    old, _ = _layers(tf_keras.layers.Dense(2, name="old"), keras.layers.Dense(2), (None, 3))
    new = keras.layers.Dense(4)
    new.build((None, 3))
    with pytest.raises(ConversionError, match=r"The layer 'old' \(Dense\) has weights of the shapes"):
        copy_state([Pair(old, new, trainable=True)])
