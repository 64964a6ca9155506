"""What all tfopt optimizers get from their base class."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfopt.errors import InvalidArgumentError
from tfopt.optimizers import Adan
from tfopt.schedules import WarmupCosine


def test_schedule_counts_updates_under_accumulation():
    variable = keras.Variable(np.zeros(2, "float32"))
    schedule = WarmupCosine(1.0, warmup_steps=4, total_steps=8)
    optimizer = Adan(schedule, gradient_accumulation_steps=3)
    optimizer.build([variable])
    rates = []
    for _ in range(12):
        rates.append(round(float(optimizer.learning_rate), 6))
        optimizer.apply([tf.ones(2)])
    assert rates == [0.0] * 3 + [0.25] * 3 + [0.5] * 3 + [0.75] * 3


def test_sums_duplicate_rows():
    dense, sparse = (keras.Variable(np.ones((4, 2), "float32")) for _ in range(2))
    slices = tf.IndexedSlices(
        tf.constant([[1.0, 2.0], [3.0, -5.0]]), tf.constant([2, 2]), tf.constant([4, 2])
    )
    for variable, gradient in ((dense, tf.convert_to_tensor(slices)), (sparse, slices)):
        optimizer = Adan(0.1, loss_scale_factor=2.0)
        optimizer.build([variable])
        for _ in range(3):
            optimizer.apply([gradient])
    np.testing.assert_array_equal(sparse.numpy(), dense.numpy())
    np.testing.assert_array_equal(sparse.numpy()[[0, 1, 3]], 1.0)


def test_exclusions_survive_serialization():
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(1, name="a"), keras.layers.Dense(1, name="b")]
    )
    optimizer = Adan(0.1, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_list=[model.layers[0].kernel], var_names=["bias"])
    loaded = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    for each in (optimizer, loaded):
        each.build(model.trainable_variables)
        assert [each.decays(variable) for variable in model.trainable_variables] == [
            False,
            False,
            True,
            False,
        ]


def test_excluding_too_late_is_an_error():
    optimizer = Adan(weight_decay=0.1)
    optimizer.build([keras.Variable(np.ones(1))])
    with pytest.raises(InvalidArgumentError, match="before compile"):
        optimizer.exclude_from_weight_decay(var_names=["bias"])


def test_learning_rate_can_be_set():
    optimizer = Adan(1)
    optimizer.learning_rate = 0.25
    assert float(optimizer.learning_rate) == 0.25
