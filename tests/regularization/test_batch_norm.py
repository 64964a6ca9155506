"""Statistics of batch normalizations that are taken anew are those of the data."""

import keras
import numpy as np
import pytest
from keras import layers as L

import tfopt
from tfopt.errors import DataError, InvalidArgumentError
from tfopt.regularization import estimate_batch_norm


def model():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 6, 3))
    x = L.BatchNormalization(name="first")(L.Conv2D(8, 3, name="conv")(inputs))
    x = L.BatchNormalization(name="second")(L.Conv2D(8, 3)(L.ReLU()(x)))
    return keras.Model(inputs, L.Dense(4)(L.GlobalAveragePooling2D()(x)))


def samples(count=64):
    return np.random.default_rng(0).normal(2, 3, (count, 6, 6, 3)).astype("float32")


def test_each_layer_has_the_statistics_of_all_samples():
    net, x = model(), samples()
    estimate_batch_norm(net, x, batch_size=16)
    first = net.get_layer("first")
    made = keras.Model(net.inputs, net.get_layer("conv").output)(x).numpy().reshape(-1, 8)
    np.testing.assert_allclose(first.moving_mean, made.mean(axis=0), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(first.moving_variance, made.var(axis=0), rtol=1e-4)
    # So what the second one gives has mean 0 and variance 1, up to the difference between batches.
    out = keras.Model(net.inputs, net.get_layer("second").output).predict(x, verbose=0)
    np.testing.assert_allclose(out.mean(axis=(0, 1, 2)), 0, atol=0.05)
    np.testing.assert_allclose(out.std(axis=(0, 1, 2)), 1, atol=0.05)


def test_nothing_else_changes_and_training_goes_on_as_before():
    net = model()
    frozen = net.get_layer("second")
    frozen.trainable = False
    before = [weight.numpy() for weight in (*net.trainable_weights, *frozen.weights)]
    estimate_batch_norm(net, samples())
    for weight, value in zip((*net.trainable_weights, *frozen.weights), before, strict=True):
        np.testing.assert_array_equal(weight, value)
    first = net.get_layer("first")
    assert first.momentum == 0.99
    assert "call" not in vars(first)
    mean = first.moving_mean.numpy()
    net(samples() + 5, training=True)
    assert 0 < np.abs(first.moving_mean.numpy() - mean).max() < 0.5  # by one hundredth


def test_a_layer_that_is_called_twice_has_the_statistics_of_both_calls():
    inputs = keras.Input((4,))
    shared = L.BatchNormalization()
    net = keras.Model(inputs, [shared(inputs), shared(2 * inputs)])
    x = np.random.default_rng(0).normal(1, 2, (32, 4)).astype("float32")
    estimate_batch_norm(net, x)
    both = np.concatenate([x, 2 * x])
    np.testing.assert_allclose(shared.moving_mean, both.mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(shared.moving_variance, both.var(axis=0), rtol=1e-4)


def test_a_call_that_fails_leaves_the_layers_as_they_were():
    net = model()
    with pytest.raises(DataError, match="NaN"):
        estimate_batch_norm(net, np.full((4, 6, 6, 3), np.nan, "float32"))
    assert net.get_layer("first").momentum == 0.99
    assert "call" not in vars(net.get_layer("first"))


def test_what_is_left_after_a_cut_is_nearer_to_the_original():
    net, x = model(), samples(256)
    estimate_batch_norm(net, x)
    smaller = tfopt.prune_channels(net, 0.25)
    plain = keras.Model(smaller.inputs, smaller.get_layer("second").output).predict(x, verbose=0)
    estimate_batch_norm(smaller, x)
    anew = keras.Model(smaller.inputs, smaller.get_layer("second").output).predict(x, verbose=0)
    assert abs(anew.std() - 1) < abs(plain.std() - 1)


def test_bad_input():
    inputs = keras.Input((4,))
    net = keras.Model(inputs, L.BatchNormalization(trainable=False)(inputs))
    x = np.ones((8, 4), "float32")
    with pytest.raises(InvalidArgumentError, match="no BatchNormalization that is trainable"):
        estimate_batch_norm(net, x)
    net.layers[-1].trainable = True  # as the message says
    estimate_batch_norm(net, x)
    with pytest.raises(InvalidArgumentError, match="batch_size to be a whole number >= 2"):
        estimate_batch_norm(net, x, batch_size=1)
    with pytest.raises(InvalidArgumentError, match="shape"):
        estimate_batch_norm(net, np.ones((8, 5), "float32"))
