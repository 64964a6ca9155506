"""The rates that each update uses, seen in the weights."""

import keras
import numpy as np
import pytest

from tfopt import optimizers
from tfopt.callbacks import ScheduleLearningRate
from tfopt.errors import InvalidArgumentError
from tfopt.schedules import WarmupCosine

SCHEDULE = WarmupCosine(0.5, warmup_steps=3, total_steps=12)


def drifting(optimizer=None, **compile_arguments):
    """A model of one weight whose gradient is -1 in each batch, and data of 4 batches of 2."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.set_weights([np.zeros((1, 1))])
    model.compile(optimizer or keras.optimizers.SGD(9.0), lambda _, out: -out, **compile_arguments)
    return model


def fit(model, callback, **arguments):
    ones = np.ones((8, 1), "float32")
    fitted = {"batch_size": 2, "epochs": 2, "verbose": 0, **arguments}
    return model.fit(ones, ones, callbacks=[callback], **fitted).history


def travelled(model):
    return model.get_weights()[0].item()


def test_by_step_every_update_has_its_rate():
    model = drifting()
    history = fit(model, ScheduleLearningRate(SCHEDULE))
    assert travelled(model) == pytest.approx(sum(float(SCHEDULE(step)) for step in range(8)), rel=1e-6)
    assert history["learning_rate"] == pytest.approx([float(SCHEDULE(3)), float(SCHEDULE(7))])


@pytest.mark.parametrize("schedule", [keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5), lambda s: s])
def test_schedules_of_keras_and_functions(schedule):
    model = drifting()
    fit(model, ScheduleLearningRate(schedule))
    assert travelled(model) == pytest.approx(sum(float(schedule(step)) for step in range(8)), rel=1e-6)


@pytest.mark.parametrize("wrap", [optimizers.Lookahead, optimizers.Cautious])
def test_inside_a_wrapper_it_equals_an_optimizer_built_with_the_schedule(wrap):
    model, built = (drifting(wrap(keras.optimizers.SGD(rate))) for rate in (9.0, SCHEDULE))
    fit(model, ScheduleLearningRate(SCHEDULE))
    ones = np.ones((8, 1), "float32")
    built.fit(ones, ones, batch_size=2, epochs=2, verbose=0)
    assert travelled(model) == pytest.approx(travelled(built), rel=1e-6)


def test_by_epoch_minds_initial_epoch():
    model = drifting()
    history = fit(
        model, ScheduleLearningRate(lambda epoch: 1.0 + epoch, by="epoch"), initial_epoch=1, epochs=3
    )
    assert history["learning_rate"] == [2.0, 3.0]
    assert travelled(model) == 4 * 2.0 + 4 * 3.0


def test_accumulated_batches_are_one_update():
    model = drifting(keras.optimizers.SGD(9.0, gradient_accumulation_steps=2))
    fit(model, ScheduleLearningRate(lambda step: 1.0 + step))
    assert travelled(model) == 1.0 + 2.0 + 3.0 + 4.0


def test_a_resumed_training_goes_on(tmp_path):
    whole, half = drifting(keras.optimizers.Adam(9.0)), drifting(keras.optimizers.Adam(9.0))
    fit(whole, ScheduleLearningRate(SCHEDULE))
    fit(half, ScheduleLearningRate(SCHEDULE), epochs=1)
    half.save(tmp_path / "half.keras")
    resumed = keras.models.load_model(
        tmp_path / "half.keras", compile=True, custom_objects=None, safe_mode=False
    )
    fit(resumed, ScheduleLearningRate(SCHEDULE), initial_epoch=1)
    assert travelled(resumed) == travelled(whole)


def test_a_mapping_schedules_the_optimizers_that_it_names():
    first, second = keras.optimizers.SGD(1.0, name="first"), keras.optimizers.SGD(1.0, name="second")
    inputs = keras.Input((1,))
    outputs = [keras.layers.Dense(1, use_bias=False, name=name)(inputs) for name in ("one", "two")]
    model = keras.Model(inputs, keras.layers.Add()(outputs))
    model.set_weights([np.zeros((1, 1))] * 2)
    several = keras.optimizers.MultiOptimizer(lambda variable: first if "one" in variable.path else second)
    model.compile(several, lambda _, out: -out)
    history = fit(model, ScheduleLearningRate({"second": lambda step: 0.5}))
    assert [weight.item() for weight in model.get_weights()] == [8.0, 4.0]
    assert history["learning_rate"] == [0.5, 0.5]
    with pytest.raises(InvalidArgumentError, match="'third'; there are first, second"):
        fit(model, ScheduleLearningRate({"third": lambda step: 0.5}))


@pytest.mark.parametrize("wrong", [-1.0, float("nan"), float("inf"), [1.0, 2.0], "fast"])
def test_a_schedule_must_return_a_rate(wrong):
    with pytest.raises(InvalidArgumentError, match=r"finite number >= 0, got .* at 0"):
        fit(drifting(), ScheduleLearningRate(lambda step: wrong))


def test_several_steps_an_execution_are_refused_by_step_only():
    fit(drifting(steps_per_execution=2), ScheduleLearningRate(lambda epoch: 0.1, by="epoch"))
    with pytest.raises(InvalidArgumentError, match="steps_per_execution=1"):
        fit(drifting(steps_per_execution=2), ScheduleLearningRate(SCHEDULE))


def test_config_holds_the_schedule():
    config = ScheduleLearningRate({"adam": SCHEDULE}, by="epoch").get_config()
    again = keras.saving.deserialize_keras_object(config["schedule"]["adam"])
    assert again.get_config() == SCHEDULE.get_config()
    assert config["by"] == "epoch"


def test_the_log_tells_the_rate_of_each_epoch(caplog):
    with caplog.at_level("DEBUG", "tfopt.callbacks.schedule_learning_rate"):
        model = drifting(keras.optimizers.SGD(9.0, name="sgd"))
        fit(model, ScheduleLearningRate(lambda epoch: 0.5 / (epoch + 1), by="epoch"))
    assert [record.getMessage() for record in caplog.records if record.name.startswith("tfopt")] == [
        "Epoch 0: learning rate of sgd is 0.5",
        "Epoch 1: learning rate of sgd is 0.25",
    ]
