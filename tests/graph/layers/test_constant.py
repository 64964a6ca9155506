"""A tensor that is part of a model."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfopt.graph import Constant


@pytest.mark.parametrize(
    ("value", "trainable"),
    [
        (np.ones(2, "float32"), False),
        (tf.constant([1.0, 1.0]), False),
        (keras.Variable([1.0, 1.0]), True),
        (keras.Variable([1.0, 1.0], trainable=False), False),
        (tf.Variable([1.0, 1.0]), True),
    ],
)
def test_it_trains_where_the_value_did(value, trainable):
    layer = Constant.of(value, "held")
    assert layer.trainable is trainable
    assert layer(np.zeros((3, 1))).numpy().tolist() == [1, 1]


def test_regularizer_and_constraint_are_those_of_the_variable():
    dense = keras.layers.Dense(2, kernel_regularizer="l2", kernel_constraint="non_neg")
    dense.build((None, 3))
    layer = Constant.holding(dense.kernel, "held")
    assert layer.value is dense.kernel
    again = Constant.from_config(layer.get_config())
    assert type(again.regularizer) is type(dense.kernel_regularizer)
    assert type(again.constraint) is type(dense.kernel_constraint)


def test_its_mask_is_the_one_under_which_all_code_reads_it():
    layer, mask = Constant.of(np.ones(2), "held"), np.array([True, False])
    assert layer.mask is None
    layer.masks = [mask, mask.copy()]
    assert layer.mask.tolist() == [True, False]
    layer.masks.append(~mask)
    assert layer.mask is None
    layer.masks = [mask, None]
    assert layer.mask is None


def test_one_that_is_tied_is_saved_and_loaded_with_the_variable_of_the_other(tmp_path):
    inputs = keras.Input((3,))
    dense = keras.layers.Dense(2, name="dense")
    outputs = dense(inputs)
    held = Constant.holding(dense.kernel, "held")
    model = keras.Model(inputs, [outputs, held(inputs)])
    from tfopt.graph import Tie

    held.tied_to = Tie(dense, "kernel")
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.get_layer("held").value is loaded.get_layer("dense").kernel
