"""What every callback that sets rates, momentum or batch sizes promises. A new one is one row of a table."""

import contextlib
import copy
import gc
import json

import keras
import numpy as np
import pytest

from tfopt import callbacks, schedules
from tfopt.errors import InvalidArgumentError

RATE = schedules.WarmupCosine(0.3, warmup_steps=2, total_steps=12)
MOMENTUM = schedules.OneCycle(0.3, total_steps=12).momentum(0.95, 0.5)

# name: (factory, what it adds to the logs, whether it sets the learning rate)
CALLBACKS = {
    "ScheduleLearningRate step": (lambda: callbacks.ScheduleLearningRate(RATE), "learning_rate", True),
    "ScheduleLearningRate epoch": (
        lambda: callbacks.ScheduleLearningRate(RATE, by="epoch"), "learning_rate", True,
    ),
    "ScheduleMomentum": (lambda: callbacks.ScheduleMomentum(MOMENTUM), "momentum", False),
    "ReduceOnPlateau": (
        lambda: callbacks.ReduceOnPlateau("loss", patience=1, min_delta=10.0, warmup_steps=3),
        "learning_rate", True,
    ),
    "LearningRateFinder": (
        lambda: callbacks.LearningRateFinder(1e-4, 0.1, steps=6, smoothing=0.5), None, True,
    ),
    "BatchSizeRamp": (
        lambda: callbacks.BatchSizeRamp(4, 16, learning_rate_scaling="linear"), "batch_size", True,
    ),
}  # fmt: skip
# callback, arguments, and what the message says
BAD_ARGUMENTS = [
    ("ScheduleLearningRate", (0.1,), {}, "LearningRateSchedule or a function of the step, got 0.1"),
    ("ScheduleLearningRate", ({"adam": None},), {}, "got None"),
    ("ScheduleLearningRate", (RATE,), {"by": "batch"}, "by to be one of 'step', 'epoch', got 'batch'"),
    ("ScheduleMomentum", (0.9,), {}, "function of the step, got 0.9"),
    ("ScheduleMomentum", (MOMENTUM, "beta_2"), {}, "one of 'momentum', 'beta_1', None"),
    ("ReduceOnPlateau", (), {"factor": 1.0}, r"factor to be a finite number in \(0, 1\), got 1.0"),
    ("ReduceOnPlateau", (), {"factor": 0.0}, r"factor to be a finite number in \(0, 1\), got 0.0"),
    ("ReduceOnPlateau", (), {"factor": "0.1"}, "factor to be a finite number"),
    ("ReduceOnPlateau", (), {"patience": -1}, "patience to be a whole number >= 0"),
    ("ReduceOnPlateau", (), {"patience": 1.5}, "patience to be a whole number"),
    ("ReduceOnPlateau", (), {"cooldown": -1}, "cooldown"),
    ("ReduceOnPlateau", (), {"min_lr": -1e-3}, "min_lr"),
    ("ReduceOnPlateau", (), {"min_delta": float("nan")}, "min_delta"),
    ("ReduceOnPlateau", (), {"mode": "lower"}, "mode to be one of 'auto', 'min', 'max', got 'lower'"),
    ("ReduceOnPlateau", (), {"warmup_steps": -1}, "warmup_steps"),
    ("ReduceOnPlateau", (), {"warmup_steps": 1, "warmup_epochs": 1}, "not both"),
    ("ReduceOnPlateau", (), {"initial_learning_rate": -0.1}, "initial_learning_rate"),
    ("ReduceOnPlateau", (), {"peak_learning_rate": 0.0}, "peak_learning_rate to be a finite number > 0"),
    ("LearningRateFinder", (0.0,), {}, "min_learning_rate to be a finite number > 0"),
    ("LearningRateFinder", (1.0, 0.1), {}, "max_learning_rate to be a finite number > 1"),
    ("LearningRateFinder", (), {"steps": 3}, "steps to be a whole number >= 4"),
    ("LearningRateFinder", (), {"progression": "cubic"}, "one of 'exponential', 'linear'"),
    ("LearningRateFinder", (), {"smoothing": 1.0}, r"smoothing to be a finite number in \[0, 1\)"),
    ("LearningRateFinder", (), {"divergence": 1.0}, "divergence to be a finite number > 1"),
    ("LearningRateFinder", (), {"rule": "valley"}, "one of 'steepest', 'minimum'"),
    ("BatchSizeRamp", (0, 8), {}, "initial_batch_size to be a whole number >= 1"),
    ("BatchSizeRamp", (8, 4), {}, "final_batch_size to be a whole number >= 8"),
    ("BatchSizeRamp", (2.5, 8), {}, "initial_batch_size to be a whole number"),
    ("BatchSizeRamp", (2, 8), {"factor": 1.0}, "factor to be a finite number > 1"),
    ("BatchSizeRamp", (2, 8), {"epochs_per_rise": 0}, "epochs_per_rise"),
    ("BatchSizeRamp", (2, 8), {"seed": -1}, "seed"),
    ("BatchSizeRamp", (2, 8), {"learning_rate_scaling": "square"}, "one of 'linear', 'sqrt', None"),
]

RANDOM = np.random.default_rng(0)
INPUTS = RANDOM.normal(size=(32, 6)).astype("float32")
LABELS = RANDOM.integers(0, 3, 32)


@pytest.fixture(params=CALLBACKS)
def row(request):
    """The factory of one callback, and what the table says of it."""
    return CALLBACKS[request.param]


def classifier(optimizer=None, *, strategy=None, **compile_arguments):
    keras.utils.set_random_seed(0)
    with strategy.scope() if strategy else contextlib.nullcontext():
        inputs = keras.Input((6,))
        hidden = keras.layers.Dense(8, activation="tanh", name="hidden")(inputs)
        outputs = keras.layers.Dense(3, activation="softmax", name="head")(hidden)
        model = keras.Model(inputs, outputs)
        model.compile(
            optimizer() if optimizer else sgd(), "sparse_categorical_crossentropy", **compile_arguments
        )
    return model


def sgd(**arguments):
    return keras.optimizers.SGD(0.1, momentum=0.9, **arguments)


def train(model, callback, *others, epochs=3):
    ramps = hasattr(callback, "dataset")
    data = (callback.dataset(INPUTS, LABELS),) if ramps else (INPUTS, LABELS)
    fitted = {"epochs": epochs, "verbose": 0, "shuffle": False} | ({} if ramps else {"batch_size": 8})
    return model.fit(*data, callbacks=[callback, *others], **fitted).history


def trained(make, **arguments):
    model = classifier(**arguments)
    train(model, make())
    return model


def distance(one, other):
    return max(np.abs(a - b).max() for a, b in zip(one.get_weights(), other.get_weights(), strict=True))


def test_logs(row):
    make, key, _ = row
    history = train(classifier(), make())
    assert set(history) == {"loss", *([key] if key else [])}
    assert all(np.isfinite(values).all() for values in history.values())


def test_config_makes_the_same_callback_and_is_json(row):
    callback = row[0]()
    config = json.loads(json.dumps(callback.get_config()))
    if "schedule" in config:
        config["schedule"] = keras.saving.deserialize_keras_object(config["schedule"])
    again = type(callback)(**config)
    assert again.get_config() == callback.get_config()
    assert distance(trained(lambda: again), trained(row[0])) == 0


def test_two_devices_equal_one(row, two_devices):
    assert distance(trained(row[0]), trained(row[0], strategy=two_devices)) < 2e-6
    # A fit that is stopped within an epoch leaves threads to the garbage collector, which stall other tests.
    gc.collect()


def test_compiled_by_xla_or_not(row):
    assert distance(trained(row[0], jit_compile=False), trained(row[0], jit_compile=True)) < 2e-6


def test_loss_scale_does_not_matter(row):
    def scaling():
        return keras.optimizers.LossScaleOptimizer(sgd())

    assert distance(trained(row[0]), trained(row[0], optimizer=scaling)) < 1e-6


def test_a_multi_optimizer_of_equals_is_one(row):
    def several():
        head, others = sgd(name="head"), sgd(name="others")
        return keras.optimizers.MultiOptimizer(lambda variable: head if "head" in variable.path else others)

    assert distance(trained(row[0]), trained(row[0], optimizer=several)) < 1e-6


def test_can_be_copied_and_used_again(row):
    callback = row[0]()
    first = trained(lambda: copy.deepcopy(callback))
    assert distance(first, trained(lambda: callback)) == 0
    assert distance(first, trained(lambda: callback)) == 0
    copy.deepcopy(callback)


def test_the_model_can_be_saved_while_training(row, tmp_path):
    model, seen = classifier(), []
    save = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: (seen.append(model.get_weights()), model.save(tmp_path / "m.keras"))
    )
    train(model, row[0](), save)
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert all(map(np.array_equal, loaded.get_weights(), seen[-1]))
    assert loaded.optimizer.get_config()["momentum"] == 0.9


def test_needs_a_compiled_model(row):
    callback = row[0]()
    callback.set_model(keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]))
    callback.set_params({"steps": None})
    if hasattr(callback, "dataset"):
        callback.dataset(INPUTS)
    with pytest.raises(InvalidArgumentError, match="compile"):
        callback.on_train_begin()


@pytest.mark.parametrize("name", [name for name, (_, _, sets) in CALLBACKS.items() if sets])
def test_an_optimizer_that_was_built_with_a_schedule_is_refused(name):
    def scheduled():
        return keras.optimizers.SGD(RATE, momentum=0.9)

    with pytest.raises(InvalidArgumentError, match="was built with a schedule"):
        trained(CALLBACKS[name][0], optimizer=scheduled)


@pytest.mark.parametrize(("name", "positional", "named", "message"), BAD_ARGUMENTS)
def test_bad_arguments(name, positional, named, message):
    with pytest.raises(InvalidArgumentError, match=message):
        getattr(callbacks, name)(*positional, **named)
