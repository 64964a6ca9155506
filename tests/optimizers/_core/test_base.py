"""What all tfopt optimizers get from their base class."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfopt.errors import InvalidArgumentError
from tfopt.optimizers import Adan
from tfopt.optimizers._core import group
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


@pytest.mark.parametrize("joined_below", [0, 10**9])
def test_leaves_what_the_loss_does_not_reach(joined_below, monkeypatch):
    monkeypatch.setattr(group, "JOINED_BELOW", joined_below)
    reached, other = (keras.Variable(np.ones((2, 3), "float32")) for _ in range(2))
    alone = keras.Variable(np.ones((2, 3), "float32"))
    optimizer, reference = Adan(0.1), Adan(0.1)
    optimizer.build([reached, other])
    reference.build([alone])
    for each in (True, False, True):
        optimizer.apply([tf.ones((2, 3)), tf.ones((2, 3)) if each else None])
    np.testing.assert_array_equal(optimizer.iterations.numpy(), 3)
    for _ in range(3):
        reference.apply([tf.ones((2, 3))])
    np.testing.assert_array_equal(reached.numpy(), alone.numpy())
    # What Adan keeps of the other variable is that of two updates, not of three.
    assert 0.75 < other.numpy().min() < 0.85


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_skips_updates_that_are_not_finite(value):
    first, second = (keras.Variable(np.ones(3, "float32")) for _ in range(2))
    optimizer = Adan(0.1, weight_decay=0.1, gradient_accumulation_steps=2)
    optimizer.build([first, second])
    for _ in range(2):
        optimizer.apply([tf.ones(3), tf.ones(3)])
    before = [variable.numpy() for variable in (first, second, *optimizer.variables)]
    for gradient in ([1.0, value, 1.0], [1.0, 1.0, 1.0]):
        optimizer.apply([tf.ones(3), tf.constant(gradient)])
    assert int(optimizer.iterations) == 1
    for old, variable in zip(before, (first, second, *optimizer.variables), strict=True):
        np.testing.assert_array_equal(variable.numpy(), old)


def test_clips_the_sum_over_replicas(two_devices):
    def moved(strategy):
        with strategy.scope():
            variable = keras.Variable(np.zeros(2, "float32"))
            optimizer = Adan(0.1, epsilon=1.0, global_clipnorm=1.0)
            optimizer.build([variable])

        @tf.function
        def step():
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            count = tf.distribute.get_strategy().num_replicas_in_sync
            gradient = tf.constant([[8.0, 0.0], [0.0, 8.0]])
            optimizer.apply([gradient[replica] if count == 2 else gradient[0] + gradient[1]])

        strategy.run(step)
        return variable.numpy()

    np.testing.assert_allclose(moved(two_devices), moved(tf.distribute.get_strategy()), rtol=1e-6)
