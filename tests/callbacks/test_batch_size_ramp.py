"""Batches grow between the epochs of one fit, and each sample is seen once an epoch."""

import copy
import itertools
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfopt.callbacks import BatchSizeRamp
from tfopt.errors import InvalidArgumentError

X = np.arange(1, 12, dtype="float32")[:, None]
Y = np.zeros((11, 1), "float32")


class Sees(keras.callbacks.Callback):
    """Notes what the model was given, batch by batch, epoch by epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        self.model.given.append([])


class Records(keras.Model):
    """A model of one weight that notes its batches."""

    def __init__(self):
        super().__init__()
        self.scale = keras.layers.Dense(1, use_bias=False)
        self.given = []

    def call(self, inputs):
        return self.scale(inputs)

    def train_step(self, data):
        x, *_ = data
        tf.py_function(lambda rows: self.given[-1].append(rows.numpy().ravel().tolist()), [x], [])
        return super().train_step(data)


def fit(ramp, data=None, *, callbacks=(), model=None, **arguments):
    model = model or Records()
    if not model.compiled:
        model.compile(keras.optimizers.SGD(1e-3), "mse")
    data = ramp.dataset(X, Y) if data is None else data
    fitted = {"epochs": 4, "shuffle": False, "verbose": 0, **arguments}
    history = model.fit(data, callbacks=[Sees(), *callbacks, ramp], **fitted).history
    return model, history


def sizes(model):
    return [[len(batch) for batch in epoch] for epoch in model.given]


def test_each_sample_is_seen_once_an_epoch_in_larger_and_larger_batches():
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        model, history = fit(BatchSizeRamp(2, 8, factor=2))
    assert sizes(model) == [[2, 2, 2, 2, 2, 1], [4, 4, 3], [8, 3], [8, 3]]
    assert history["batch_size"] == [2, 4, 8, 8]
    epochs = [list(itertools.chain(*epoch)) for epoch in model.given]
    assert [sorted(epoch) for epoch in epochs] == [X.ravel().tolist()] * 4
    assert epochs[2] != epochs[3]
    assert X.ravel().tolist() == list(range(1, 12))


def test_the_order_is_the_seeds_and_that_of_the_epoch():
    first, second, other = (fit(BatchSizeRamp(3, 6, seed=seed))[0].given for seed in (1, 1, 2))
    assert first == second != other
    resumed = fit(BatchSizeRamp(3, 6, seed=1), initial_epoch=2)[0].given
    assert resumed == first[2:]
    plain = fit(BatchSizeRamp(3, 6, shuffle=False))[0].given
    assert list(itertools.chain(*plain[0])) == X.ravel().tolist()


@pytest.mark.parametrize(
    ("ramp", "expected"),
    [
        (BatchSizeRamp(10, 100, factor=1.5), [10, 15, 22, 34, 51, 76, 100, 100]),
        (BatchSizeRamp(8, 32, factor=4, epochs_per_rise=3), [8, 8, 8, 32, 32, 32, 32, 32]),
        (BatchSizeRamp(5, 5), [5] * 8),
    ],
)
def test_sizes(ramp, expected):
    assert [ramp.batch_size(epoch) for epoch in range(8)] == expected
    assert ramp.batch_size(100_000) == expected[-1]


def test_with_validation_and_several_steps_an_execution():
    model = Records()
    model.compile(keras.optimizers.SGD(1e-3), "mse", steps_per_execution=2)
    model, history = fit(BatchSizeRamp(2, 8), model=model, validation_data=(X, Y))
    assert sizes(model) == [[2, 2, 2, 2, 2, 1], [4, 4, 3], [8, 3], [8, 3]]
    assert len(history["val_loss"]) == 4


@pytest.mark.parametrize("event", ["on_epoch_end", "on_train_batch_end"])
def test_others_can_still_stop_training(event):
    stopper = keras.callbacks.LambdaCallback(
        **{event: lambda n, logs: setattr(stopper.model, "stop_training", True)}
    )
    model, history = fit(BatchSizeRamp(2, 8), callbacks=[stopper])
    assert len(history["loss"]) == 1
    assert len(model.given[0]) == (6 if event == "on_epoch_end" else 1)


def test_a_copy_moves_the_dataset_that_was_made_before():
    ramp = BatchSizeRamp(2, 8)
    data = ramp.dataset(X, Y)
    model, _ = fit(copy.deepcopy(ramp), data)
    assert [epoch[0] for epoch in sizes(model)] == [2, 4, 8, 8]
    model, _ = fit(ramp, data)
    assert [epoch[0] for epoch in sizes(model)] == [2, 4, 8, 8]


@pytest.mark.parametrize(("scaling", "growth"), [("linear", 2.0), ("sqrt", 2**0.5), (None, 1.0)])
def test_the_rate_grows_with_the_batch(scaling, growth):
    model, _ = fit(BatchSizeRamp(2, 8, learning_rate_scaling=scaling), epochs=2)
    rate = model.optimizer.learning_rate
    assert float(rate.numpy()) == pytest.approx(1e-3 * growth)
    fit(BatchSizeRamp(2, 8, learning_rate_scaling=scaling), model=model, initial_epoch=2)
    assert float(rate.numpy()) == pytest.approx(1e-3 * growth**2)


def test_two_devices_equal_one(two_devices):
    rows = np.random.default_rng(0).normal(size=(48, 3)).astype("float32")

    def linear():
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, kernel_initializer="ones")])
        model.compile(keras.optimizers.SGD(0.1), "mse")
        ramp = BatchSizeRamp(4, 16)
        data = ramp.dataset(rows, rows[:, :1])
        model.fit(data, epochs=3, shuffle=False, verbose=0, callbacks=[ramp])
        return model.get_weights()[0]

    one = linear()
    with two_devices.scope(), pytest.warns(UserWarning, match="ran out of data"):
        two = linear()
    np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-6)


def test_structures_and_weights():
    one, two = keras.Input((1,), name="one"), keras.Input((1,), name="two")
    for names in (["one", "two"], {"one": 0, "two": 1}):
        model = keras.Model({"one": one, "two": two} if isinstance(names, dict) else [one, two], one + two)
        model.compile(loss="mse", optimizer="sgd")
        ramp = BatchSizeRamp(3, 6)
        inputs = {"one": X, "two": X} if isinstance(names, dict) else [X, X]
        data = ramp.dataset(inputs, Y, np.full(11, 0.5))
        loss = model.fit(data, shuffle=False, verbose=0, callbacks=[ramp]).history["loss"][0]
        assert loss == pytest.approx(0.5 * np.mean((2 * X) ** 2))


def test_other_data_are_refused():
    ramp = BatchSizeRamp(2, 8)
    endless = tf.data.Dataset.from_tensors((X, Y)).repeat()
    with pytest.raises(InvalidArgumentError, match="was not given the callback's data"):
        fit(ramp, endless)
    data = ramp.dataset(X, Y)
    with pytest.raises(InvalidArgumentError, match="without steps_per_epoch, got 3"):
        fit(ramp, data, steps_per_epoch=3)
    with pytest.raises(InvalidArgumentError, match="other data than"):
        fit(ramp, endless)


@pytest.mark.parametrize("arrays", [(X, Y[:5]), (X[:0], Y[:0])])
def test_arrays_must_fit_together(arrays):
    with pytest.raises(InvalidArgumentError, match="same number of samples"):
        BatchSizeRamp(2, 8).dataset(*arrays)


def test_the_log_tells_of_each_rise(caplog):
    with caplog.at_level("INFO", "tfopt.callbacks.batch_size_ramp"):
        model = Records()
        model.compile(keras.optimizers.SGD(1e-3, name="sgd"), "mse")
        fit(BatchSizeRamp(2, 4, learning_rate_scaling="linear"), model=model, epochs=3)
    assert [record.getMessage() for record in caplog.records if record.name.startswith("tfopt")] == [
        "Epoch 1: batches of 4 samples, 2 before",
        "Epoch 1: learning rate of sgd is 0.002",
    ]
