"""What callbacks of the learning rate ask of a model, and what they tell the user where it is missing."""

import keras
import numpy as np
import pytest

from tfopt.callbacks._core import learning_rates
from tfopt.errors import InvalidArgumentError
from tfopt.optimizers import Lookahead


class Callback(keras.callbacks.Callback):
    pass


def callback_of(optimizer=None, **compile_arguments):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    if optimizer is not None:
        model.compile(optimizer, "mse", **compile_arguments)
    callback = Callback()
    callback.set_model(model)
    return callback


def test_the_rate_is_that_of_the_optimizer_within():
    inner = keras.optimizers.SGD(0.25)
    (found,) = learning_rates.adjustable(callback_of(Lookahead(inner)))
    assert found is inner
    assert learning_rates.learning_rate(found) == 0.25
    assert learning_rates.updates(found) == 0


def test_what_is_missing_is_named():
    with pytest.raises(InvalidArgumentError, match="Callback needs a model with an optimizer"):
        learning_rates.adjustable(callback_of())
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 10)
    with pytest.raises(InvalidArgumentError, match="was built with a schedule"):
        learning_rates.adjustable(callback_of(keras.optimizers.SGD(schedule)))
    with pytest.raises(InvalidArgumentError, match="steps_per_execution=2"):
        learning_rates.check_one_step_per_execution(
            callback_of(keras.optimizers.SGD(0.1), steps_per_execution=2)
        )


def test_logs_get_one_rate_or_one_for_each_optimizer():
    one, other = keras.optimizers.SGD(0.5, name="one"), keras.optimizers.SGD(0.25, name="other")
    logs = {}
    learning_rates.log(logs, [one])
    assert logs == {"learning_rate": 0.5}
    logs = {}
    learning_rates.log(logs, [one, other])
    assert logs == {"learning_rate_one": 0.5, "learning_rate_other": 0.25}
    learning_rates.log(None, [one])


@pytest.mark.parametrize("value", [1, 1.0, np.float32(1), np.array([1.0]), keras.ops.convert_to_tensor(1.0)])
def test_a_schedule_may_return_any_number(value):
    assert learning_rates.evaluate(Callback(), lambda step: value, 3) == 1.0


@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf, "1", np.ones(2), 0.95])
def test_a_schedule_must_stay_in_its_range(value):
    with pytest.raises(InvalidArgumentError, match=r"Callback: expected the schedule to return .* at 3"):
        learning_rates.evaluate(Callback(), lambda step: value, 3, below=0.95)
