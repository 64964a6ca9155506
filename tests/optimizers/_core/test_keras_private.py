"""The adapter to the private parts of Keras's optimizers: a canary for the next version of Keras."""

import inspect

import keras
import numpy as np
import pytest

from tfopt.optimizers import Adan
from tfopt.optimizers._core import keras_private

PARAMETERS = {
    keras_private.APPLY: ["grads", "trainable_variables"],
    keras_private.INCREMENT: ["grads", "acc_grads"],
    keras_private.RESET: [],
    keras_private.DECAY: ["variables"],
    keras_private.CLIP: ["grads"],
    keras_private.RATE: [],
    keras_private.UPDATE_STEP: ["grads", "trainable_variables", "learning_rate"],
    keras_private.ALL_REDUCE: ["grads_and_vars"],
    keras_private.UPDATE: ["distribution", "grads_and_vars", "learning_rate"],
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_an_update_still_passes_through_these_methods(name):
    parameters = inspect.signature(getattr(keras.optimizers.Optimizer, name)).parameters
    assert list(parameters) == ["self", *PARAMETERS[name]]


def _built(optimizer):
    variable = keras.Variable(np.ones(2, "float32"), name="w")
    optimizer.build([variable])
    return optimizer, variable


@pytest.mark.parametrize("kind", [keras.optimizers.SGD, Adan])
def test_gradients_are_clipped_as_the_optimizer_was_told(kind):
    optimizer, _ = _built(kind(0.1, clipvalue=0.5))
    (clipped,) = keras_private.clipped(optimizer, [keras.ops.convert_to_tensor([2.0, -0.1])])
    np.testing.assert_allclose(clipped, [0.5, -0.1])


def test_an_update_that_is_skipped_is_not_counted():
    optimizer, variable = _built(keras.optimizers.SGD(0.1))
    optimizer.apply([keras.ops.ones(2)], [variable])
    keras_private.uncount(optimizer)
    assert int(optimizer.iterations) == 0


def test_batches_are_counted_where_several_make_an_update():
    optimizer, variable = _built(keras.optimizers.SGD(0.1, gradient_accumulation_steps=2))
    assert not bool(keras_private.completes_an_update(optimizer))
    optimizer.apply([keras.ops.ones(2)], [variable])
    assert bool(keras_private.completes_an_update(optimizer))
    (held,) = keras_private.sums_of(optimizer, [variable])
    np.testing.assert_array_equal(held, np.ones(2))
    assert float(variable[0]) == 1.0


def test_the_rate_of_a_schedule_is_that_of_the_update():
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([0], [1.0, 0.5])
    optimizer, variable = _built(keras.optimizers.SGD(schedule, gradient_accumulation_steps=2))
    assert keras_private.configured_learning_rate(optimizer) is schedule
    optimizer.apply([keras.ops.ones(2)], [variable])
    assert float(keras_private.current_learning_rate(optimizer)) == 1.0
    optimizer.apply([keras.ops.ones(2)], [variable])
    assert float(keras_private.current_learning_rate(optimizer)) == 0.5


def test_what_keras_leaves_out_of_decay_is_left_out():
    optimizer, variable = _built(keras.optimizers.AdamW(0.1, weight_decay=0.1))
    assert keras_private.decays(optimizer, variable)
    assert keras_private.variables_of(optimizer) == [variable]
    assert keras_private.index_of(optimizer, variable.value) == 0
