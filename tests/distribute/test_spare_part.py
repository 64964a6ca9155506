"""Batches that leave replicas without a sample: as on one device, and nothing that is no number."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfopt import distribute
from tfopt.distribute.spare_part import SparePart
from tfopt.errors import InvalidArgumentError

SAMPLES = 17
"""In batches of 8 the last one has one sample for two replicas."""


def compiled(strategy, *layers, optimizer=None, **arguments):
    """Return a compiled model for images of 8 x 8 x 3 whose layers are made in the scope."""
    keras.utils.set_random_seed(0)
    with strategy.scope():
        model = keras.Sequential([keras.Input((8, 8, 3)), *(make() for make in layers)])
        model.compile(optimizer or keras.optimizers.SGD(0.01, 0.9), "mse", metrics=["mae"], **arguments)
    return model


def data(model, samples=SAMPLES):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(samples, *model.input_shape[1:])).astype("float32")
    return x, rng.normal(size=(samples, *model.output_shape[1:])).astype("float32")


def fitted(strategy, *layers, **arguments):
    """Return the history and the weights of a training in which a replica has no samples."""
    model = compiled(strategy, *layers, **arguments)
    x, y = data(model)
    with distribute.training(model, steps_per_epoch=3):
        history = model.fit(
            x, y, batch_size=8, epochs=3, steps_per_epoch=3, shuffle=False, verbose=0, validation_data=(x, y),
            validation_batch_size=8,
        ).history  # fmt: skip
    return history, model.get_weights()


def convolution():
    return keras.layers.Conv2D(4, 3, activation="relu")


def dense():
    return keras.layers.Dense(2)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        pytest.param({"steps_per_execution": 2}, marks=pytest.mark.slow),
        pytest.param({"run_eagerly": True}, marks=pytest.mark.slow),
    ],
    ids=["graph", "several steps", "eager"],
)
def test_two_devices_train_and_evaluate_as_one(two_devices, arguments):
    layers = convolution, convolution, keras.layers.Flatten, dense
    one = fitted(tf.distribute.get_strategy(), *layers)
    two = fitted(two_devices, *layers, **arguments)
    assert one[0].keys() == two[0].keys() == {"loss", "mae", "val_loss", "val_mae"}
    for name, values in one[0].items():
        np.testing.assert_allclose(two[0][name], values, rtol=1e-5, err_msg=name)
    for a, b in zip(one[1], two[1], strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("image", [pytest.param(True, marks=pytest.mark.slow), False])
def test_batch_normalization_stays_finite(two_devices, image):
    """Its statistics of no samples are NaN, which an average over replicas gives to all of them."""
    kind = keras.layers.BatchNormalization
    layers = (
        (convolution, kind, keras.layers.Flatten, dense) if image else (keras.layers.Flatten, kind, dense)
    )
    history, weights = fitted(two_devices, *layers)
    assert all(np.isfinite(values).all() for values in history.values())
    assert all(np.isfinite(each).all() for each in weights)


def test_keras_alone_makes_nan_of_it(two_devices):
    """The canary: where this fails, Keras does without the spare part, and so can tfopt."""
    model = compiled(two_devices, keras.layers.Flatten, keras.layers.BatchNormalization, dense)
    model.fit(*data(model), batch_size=8, shuffle=False, verbose=0)
    assert not all(np.isfinite(each).all() for each in model.get_weights())


def test_moving_statistics_are_those_of_real_samples(two_devices):
    """All samples are alike: so is the spare part, and the moving mean goes to their value."""
    model = compiled(
        two_devices, keras.layers.Flatten, lambda: keras.layers.BatchNormalization(momentum=0.5), dense
    )
    x, y = np.full((SAMPLES, 8, 8, 3), 3, "float32"), np.zeros((SAMPLES, 2), "float32")
    with distribute.training(model):
        model.fit(x, y, batch_size=8, epochs=8, verbose=0)
    assert np.allclose(model.layers[1].moving_mean.numpy(), 3, atol=1e-3)


def test_inputs_and_targets_of_any_structure(two_devices):
    def trained(strategy):
        keras.utils.set_random_seed(0)
        with strategy.scope():
            a, b = keras.Input((3,), name="a"), keras.Input((2,), name="b")
            both = keras.layers.Concatenate()([a, b])
            model = keras.Model(
                {"a": a, "b": b},
                {name: keras.layers.Dense(1, name=name)(both) for name in ("one", "other")},
            )
            model.compile("sgd", "mse", metrics={"one": "mae"})
        rng = np.random.default_rng(0)
        x = {name: rng.normal(size=(SAMPLES, n)).astype("float32") for name, n in (("a", 3), ("b", 2))}
        y = {name: rng.normal(size=(SAMPLES, 1)).astype("float32") for name in ("one", "other")}
        weights = {name: rng.uniform(size=SAMPLES).astype("float32") for name in ("one", "other")}
        with distribute.training(model):
            return model.fit(
                x, y, sample_weight=weights, batch_size=8, shuffle=False, verbose=0, validation_data=(x, y),
                validation_batch_size=8,
            ).history  # fmt: skip

    one, two = trained(tf.distribute.get_strategy()), trained(two_devices)
    for name in ("loss", "one_mae", "val_loss", "val_one_mae"):  # Keras counts batches for losses of outputs
        np.testing.assert_allclose(two[name], one[name], rtol=1e-5, err_msg=name)


def test_a_process_without_samples_cannot_train_but_evaluate():
    model = compiled(tf.distribute.get_strategy(), keras.layers.Flatten, dense)
    spare = SparePart()
    spare.remember((tf.zeros((0, 8, 8, 3)), tf.zeros((0, 2))))
    with pytest.raises(InvalidArgumentError, match=r"no sample for the devices .* at least as many samples"):
        spare.for_training(model.train_step, model)
    model.evaluate(*data(model), verbose=0)
    before = [each.numpy() for each in model.metrics_variables]
    spare.for_evaluation(model.test_step, model)((tf.zeros((0, 8, 8, 3)), tf.zeros((0, 2))))
    after = [each.numpy() for each in model.metrics_variables]
    np.testing.assert_array_equal(before, after)
