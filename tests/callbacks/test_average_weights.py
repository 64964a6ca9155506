"""The mean of the weights of epochs, and the statistics that belong to it."""

import keras
import numpy as np
import pytest
from keras import layers as L

import tfopt
from tfopt.callbacks import AverageWeights
from tfopt.errors import InvalidArgumentError

X = np.random.default_rng(0).normal(size=(64, 6)).astype("float32") * 3 + 1
Y = np.arange(64) % 3


def made(norm=False):
    keras.utils.set_random_seed(0)
    layers = [keras.Input((6,)), L.Dense(8, "relu"), *([L.BatchNormalization(name="norm")] if norm else ())]
    model = keras.Sequential([*layers, L.Dense(3, "softmax")])
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    return model


class Weights(keras.callbacks.Callback):
    """Notes the weights of each epoch."""

    def __init__(self):
        super().__init__()
        self.found = []

    def on_epoch_end(self, epoch, logs=None):
        self.found.append([each.numpy() for each in self.model.trainable_variables])


@pytest.mark.parametrize(
    ("start", "every", "counted"), [(1, 1, [0, 1, 2, 3, 4]), (2, 2, [1, 3]), (5, 1, [4])]
)
def test_the_model_is_the_mean_of_the_epochs_that_count(start, every, counted):
    model, weights, average = made(), Weights(), AverageWeights(start, every=every)
    model.fit(X, Y, epochs=5, verbose=0, callbacks=[weights, average])
    assert average.count == len(counted)
    for number, variable in enumerate(model.trainable_variables):
        mean = np.mean([weights.found[epoch][number] for epoch in counted], axis=0)
        np.testing.assert_allclose(variable, mean, rtol=1e-5, atol=1e-7)


def test_statistics_are_those_of_the_mean():
    model = made(norm=True)
    model.fit(X, Y, epochs=4, verbose=0, callbacks=[AverageWeights(2, X)])
    hidden = keras.Model(model.inputs, model.layers[0].output).predict(X, verbose=0)
    norm = model.get_layer("norm")
    np.testing.assert_allclose(norm.moving_mean, hidden.mean(0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(norm.moving_variance, hidden.var(0), rtol=1e-3, atol=1e-5)


def test_zeros_of_a_pruned_model_stay():
    model = tfopt.prune(made(), 0.5)
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    model.fit(X, Y, epochs=3, verbose=0, callbacks=[AverageWeights(1)])
    assert (model.layers[0].kernel.numpy() == 0).mean() == pytest.approx(0.5, abs=0.05)


class Counts(keras.callbacks.Callback):
    batches = 0

    def on_train_batch_end(self, batch, logs=None):
        self.batches += 1


@pytest.mark.parametrize(
    ("prepared", "data", "message"),
    [
        (tfopt.quantize_aware, X, "quantization-aware.*Estimate those of the float model"),
        (lambda model: model, X[:, :5], "has the shape"),
    ],
)
def test_what_cannot_be_measured_is_said_before_training(prepared, data, message):
    model, counts = prepared(made(norm=True)), Counts()
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    with pytest.raises(InvalidArgumentError, match=message):
        model.fit(X, Y, epochs=2, verbose=0, callbacks=[counts, AverageWeights(1, data)])
    assert counts.batches == 0


def test_a_training_that_ends_before_is_left_as_it_is():
    model, weights, average = made(), Weights(), AverageWeights(9)
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[weights, average])
    assert average.count == 0
    np.testing.assert_array_equal(model.trainable_variables[0], weights.found[-1][0])


def test_what_is_out_of_range_is_one_sentence():
    for wrong, message in (
        ({"start_epoch": 0}, "start_epoch to be"),
        ({"start_epoch": 1, "every": 0}, "every to be"),
    ):
        with pytest.raises(InvalidArgumentError, match=message):
            AverageWeights(**wrong)
    model = made(norm=True)
    with pytest.raises(InvalidArgumentError, match="Give data, as AverageWeights"):
        model.fit(X, Y, verbose=0, callbacks=[AverageWeights(1)])
