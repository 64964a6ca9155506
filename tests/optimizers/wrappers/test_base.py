"""What all wrappers share; the contract table trains them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfopt import optimizers
from tfopt.errors import InvalidArgumentError
from tfopt.schedules import WarmupCosine

LOOKAHEAD = optimizers.Lookahead


def built(optimizer):
    optimizer.build([keras.Variable(np.ones(2, "float32"))])
    return optimizer


def wrapped():
    inner = keras.optimizers.SGD(0.1)
    LOOKAHEAD(inner)
    return inner


@pytest.mark.parametrize(
    ("inner", "message"),
    [
        (lambda: 0.1, "expected a Keras optimizer to wrap"),
        (lambda: LOOKAHEAD(keras.optimizers.SGD(0.1)), "holds a Lookahead already"),
        (lambda: optimizers.Cautious(LOOKAHEAD(keras.optimizers.SGD(0.1))), "holds a Lookahead already"),
        (wrapped, "is in another wrapper"),
        (lambda: built(keras.optimizers.SGD(0.1)), "built already"),
        (lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1)), "put it around"),
        (lambda: keras.optimizers.MultiOptimizer(lambda _: keras.optimizers.SGD(0.1)), "one by one"),
    ],
)
def test_says_what_it_cannot_wrap(inner, message):
    with pytest.raises(InvalidArgumentError, match=message):
        LOOKAHEAD(inner())


def test_answers_for_the_inner_optimizer():
    optimizer = LOOKAHEAD(optimizers.Cautious(keras.optimizers.SGD(0.5, gradient_accumulation_steps=2)))
    variable = keras.Variable(np.zeros(2, "float32"))
    for _ in range(4):
        optimizer.apply([tf.ones(2)], [variable])
    assert int(optimizer.iterations) == 2
    np.testing.assert_allclose(variable.numpy(), -1.0)
    optimizer.learning_rate = 0.25
    assert float(optimizer.inner_optimizer.inner_optimizer.learning_rate) == 0.25


def test_a_schedule_counts_updates_under_accumulation():
    inner = keras.optimizers.SGD(
        WarmupCosine(1.0, warmup_steps=4, total_steps=8), gradient_accumulation_steps=3
    )
    optimizer = LOOKAHEAD(inner, sync_period=100)
    variable = keras.Variable(np.zeros((), "float32"))
    path = []
    for _ in range(12):
        optimizer.apply([tf.ones(())], [variable])
        path.append(round(float(variable), 6))
    assert path[2::3] == [0.0, -0.25, -0.75, -1.5]


@pytest.mark.parametrize("inner", [keras.optimizers.AdamW, optimizers.Adan])
def test_a_skipped_update_changes_nothing(inner):
    optimizer = LOOKAHEAD(inner(0.1, weight_decay=0.1), sync_period=2)
    first, second = (keras.Variable(np.ones(3, "float32")) for _ in range(2))
    optimizer.apply([tf.ones(3), tf.ones(3)], [first, second])
    before = [v.numpy() for v in (first, second, *optimizer.variables)]
    optimizer.apply([tf.ones(3), tf.constant([1.0, np.inf, 1.0])])
    for old, variable in zip(before, (first, second, *optimizer.variables), strict=True):
        np.testing.assert_array_equal(variable.numpy(), old)


def test_sums_duplicate_rows_and_stays_sparse_where_the_inner_optimizer_is():
    table = keras.Variable(np.zeros((4, 2), "float32"))
    slices = tf.IndexedSlices(
        tf.constant([[1.0, 2.0], [3.0, -5.0]]), tf.constant([2, 2]), tf.constant([4, 2])
    )
    seen = []

    class Spy(keras.optimizers.SGD):
        def update_step(self, gradient, variable, learning_rate):
            seen.append(gradient)
            super().update_step(gradient, variable, learning_rate)

    LOOKAHEAD(Spy(1.0)).apply([slices], [table])
    assert isinstance(seen[0], tf.IndexedSlices)
    np.testing.assert_array_equal(table.numpy(), [[0, 0], [0, 0], [-4, 3], [0, 0]])


def test_exclusions_from_the_decay_of_a_keras_optimizer_are_saved():
    optimizer = LOOKAHEAD(keras.optimizers.AdamW(0.1, weight_decay=0.5))
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    loaded = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    for each in (optimizer, loaded):
        kernel, bias = (keras.Variable(np.ones(2, "float32"), name=name) for name in ("kernel", "bias"))
        each.apply([tf.zeros(2), tf.zeros(2)], [kernel, bias])
        np.testing.assert_allclose(kernel.numpy(), 0.95, rtol=1e-6)
        np.testing.assert_array_equal(bias.numpy(), 1.0)
