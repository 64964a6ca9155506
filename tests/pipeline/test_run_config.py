"""What a run is told: whom its errors name, and how often it calls the functions of a recipe."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfopt
from tfopt.data import from_arrays
from tfopt.errors import InvalidArgumentError
from tfopt.pipeline.run_config import RunConfig
from tfopt.pipeline.training.compilation import Compilation

DATA = from_arrays(np.random.default_rng(0).random((60, 4)), np.arange(60) % 3, name="four")
STEPS = DATA.steps_per_epoch(16)


def config(**changes):
    arguments = {
        "caller": "Recipe",
        "name": "test",
        "data": DATA,
        "stages": [tfopt.Train(epochs=1)],
        "compilation": Compilation.of("mse", [], optimizer=keras.optimizers.SGD()),
        "callbacks": (),
        "batch_size": 16,
        "seed": 0,
        "strategy": tf.distribute.get_strategy(),
    }
    return RunConfig(**(arguments | changes))


@pytest.mark.parametrize("caller", ["Pipeline", "Recipe"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 0}, "expected batch_size to be a whole number >= 1, got 0"),
        ({"seed": -1}, "expected seed to be a whole number >= 0, got -1"),
        ({"data": [1]}, r"data must be a tfopt\.data\.Dataset, .*got list"),
    ],
)
def test_an_error_names_the_class_that_was_called(caller, change, message):
    with pytest.raises(InvalidArgumentError, match=f"^{caller}: {message}"):
        config(caller=caller, **change)


def test_what_several_devices_cannot_do_is_refused(two_devices):
    with pytest.raises(InvalidArgumentError, match=r"^Recipe: batch_size=15 does not .* take 14 or 16\.$"):
        config(strategy=two_devices, batch_size=15)
    xla = Compilation.of("mse", [], jit_compile=True, optimizer=keras.optimizers.SGD())
    with pytest.raises(InvalidArgumentError, match=r"^Recipe: the model is .* for 2 devices of one process"):
        config(strategy=two_devices, compilation=xla)
    assert config(strategy=two_devices).steps(1) == STEPS


@pytest.mark.parametrize("callbacks", [keras.callbacks.TerminateOnNaN(), lambda: 3, ["early"]])
def test_callbacks_that_are_none(callbacks):
    with pytest.raises(InvalidArgumentError, match=r"^Recipe: callbacks must be a list of Keras callbacks"):
        config(callbacks=callbacks).new_callbacks()


def test_callbacks_are_copied_or_made_anew():
    given = keras.callbacks.TerminateOnNaN()
    (copied,) = config(callbacks=[given]).new_callbacks()
    assert isinstance(copied, keras.callbacks.TerminateOnNaN)
    assert copied is not given
    assert config(callbacks=lambda: [given]).new_callbacks() == [given]


def test_steps():
    assert config().steps(3) == 3 * STEPS


class Counted:
    """A function `optimizer(steps)` that remembers how it was called and what it returned."""

    def __init__(self):
        self.steps, self.made = [], []

    def __call__(self, steps):
        self.steps.append(steps)
        self.made.append(keras.optimizers.SGD(0.01))
        return self.made[-1]


def recipe(optimizer, stages, data=DATA):
    def model():
        return keras.Sequential(
            [keras.Input((4,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(3, "softmax")]
        )

    return tfopt.Recipe(data=data, model=model, optimizer=optimizer, stages=stages, batch_size=16)


STAGES = [tfopt.Train(epochs=2), tfopt.Prune(0.5, epochs=1), tfopt.QuantizeAware(epochs=0)]


def test_the_function_of_the_optimizer_is_called_once_for_each_stage_that_trains(tmp_path):
    counted = Counted()
    made = recipe(counted, STAGES)
    assert counted.steps == []
    run = made.run(tmp_path, quiet=True)
    assert counted.steps == [2 * STEPS, STEPS]
    # What was called for the fingerprint is what has trained, each for as long as its stage.
    assert [int(each.iterations.numpy()) for each in counted.made] == [2 * STEPS, STEPS]

    again = Counted()
    assert recipe(again, STAGES).run(tmp_path, quiet=True).path == run.path
    assert again.steps == [2 * STEPS, STEPS]
    assert [int(each.iterations.numpy()) for each in again.made] == [0, 0]


@pytest.mark.slow
def test_the_optimizer_that_is_made_before_training_trains_on_several_devices(tmp_path, two_devices):
    # Keras cannot evaluate a split under two replicas whose first batch is of odd length.
    data = from_arrays(np.random.default_rng(0).random((120, 4)), np.arange(120) % 3)
    steps = data.steps_per_epoch(16)
    counted = Counted()
    run = recipe(counted, STAGES[:2], data).run(tmp_path, quiet=True, strategy=two_devices)
    assert run.typed.strategy.replicas == 2
    assert [int(each.iterations.numpy()) for each in counted.made] == [2 * steps, steps]


def test_a_stage_that_trains_twice_has_a_new_optimizer_each_time(tmp_path, monkeypatch):
    def twice(self, model, context):
        context.fit(model, epochs=1)
        context.fit(model, epochs=1)
        return model

    monkeypatch.setattr(tfopt.Train, "apply", twice)
    counted = Counted()
    recipe(counted, [tfopt.Train(epochs=1)]).run(tmp_path, quiet=True)
    assert [int(each.iterations.numpy()) for each in counted.made] == [STEPS, STEPS]


@pytest.mark.parametrize("change", [{"batch_size": 0}, {"seed": -1}])
def test_a_recipe_is_named_by_its_errors(tmp_path, change):
    made = dataclasses.replace(recipe("adam", STAGES), **change)
    with pytest.raises(InvalidArgumentError, match=r"^Recipe: expected "):
        made.run(tmp_path, quiet=True)
