import keras
import numpy as np
import pytest
import tensorflow as tf

from tfopt import distribute, optimizers
from tfopt.distribute import keras_adapter
from tfopt.errors import InvalidArgumentError, UnsupportedModel

STEPS = 3
"""Batches of 8, 8 and 5 samples: the last one gives one replica 3 samples and the other 2."""


def data(samples=21):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(samples, 4)).astype("float32")
    return x, (x.sum(axis=1) > 0).astype("int32")


def compiled(strategy, optimizer, loss="sparse_categorical_crossentropy", **arguments):
    keras.utils.set_random_seed(0)
    with strategy.scope():
        model = keras.Sequential(
            [
                keras.Input((4,)),
                keras.layers.Dense(6, "tanh", kernel_regularizer=keras.regularizers.L2(0.05)),
                keras.layers.Dense(2, "softmax"),
            ]
        )
        model.compile(optimizer(), loss, metrics=["accuracy"], **arguments)
    return model


def fitted(strategy, optimizer, samples=21):
    """Return the history and the weights of a training whose last batch is uneven."""
    model, (x, y) = compiled(strategy, optimizer), data(samples)
    with distribute.training(model):
        history = model.fit(
            x, y, batch_size=8, epochs=2, shuffle=False, verbose=0, validation_data=(x[:7], y[:7])
        ).history
    return history, model.get_weights()


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: keras.optimizers.SGD(0.5, 0.9),
        lambda: optimizers.SAM(keras.optimizers.SGD(0.5), rho=0.1),
        pytest.param(lambda: optimizers.Adan(0.01), marks=pytest.mark.slow),
    ],
    ids=["SGD", "SAM", "Adan"],
)
@pytest.mark.parametrize("samples", [21, pytest.param(17, marks=pytest.mark.slow)])
def test_batches_that_do_not_divide_train_as_on_one_device(two_devices, optimizer, samples):
    """With 17 samples the last batch has one, and a replica none."""
    one = fitted(tf.distribute.get_strategy(), optimizer, samples)
    two = fitted(two_devices, optimizer, samples)
    for name, values in one[0].items():
        np.testing.assert_allclose(two[0][name], values, rtol=2e-6, err_msg=name)
    for a, b in zip(one[1], two[1], strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-6)


def test_keras_alone_lets_samples_of_smaller_parts_count_more(two_devices):
    """The canary of `uneven`: where this fails, Keras weighs replicas by their samples, and ours can go."""
    weights = []
    for strategy in (tf.distribute.get_strategy(), two_devices):
        model, (x, y) = compiled(strategy, lambda: keras.optimizers.SGD(0.5)), data(11)
        model.fit(x, y, batch_size=8, shuffle=False, verbose=0)
        weights.append(model.get_weights()[0])
    assert np.abs(weights[0] - weights[1]).max() > 1e-3


def test_keras_alone_fails_where_the_first_batch_does_not_divide(two_devices):
    model, (x, y) = compiled(two_devices, keras.optimizers.SGD), data(7)
    with pytest.raises((tf.errors.OpError, ValueError)):
        model.evaluate(x, y, batch_size=7, verbose=0)
    with distribute.training(model):
        two = model.evaluate(x, y, batch_size=7, verbose=0)
    one = compiled(tf.distribute.get_strategy(), keras.optimizers.SGD).evaluate(x, y, batch_size=7, verbose=0)
    np.testing.assert_allclose(two, one, rtol=1e-6)


def overflowing(strategy):
    """Return a model with a loss scale, and a batch of which the second half alone overflows."""
    with strategy.scope():
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones")])
        model.compile(
            keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.01), initial_scale=2.0), "mse"
        )
    return model, np.array([[1], [1], [3e30], [3e30]], "float32"), np.zeros((4, 1), "float32")


def test_an_overflow_on_any_replica_skips_the_step_on_all(two_devices):
    model, x, y = overflowing(two_devices)
    with distribute.training(model):
        model.fit(x, y, batch_size=4, shuffle=False, verbose=0)
        assert model.get_weights()[0].item() == 1.0
        assert float(model.optimizer.dynamic_scale.numpy()) == 1.0
        model.fit(x[:2], y[:2], batch_size=2, shuffle=False, verbose=0)
    assert 0.9 < model.get_weights()[0].item() < 1.0


def test_keras_alone_makes_nan_of_an_overflow_on_the_second_replica(two_devices):
    """The canary of `check_finite`."""
    model, x, y = overflowing(two_devices)
    model.fit(x, y, batch_size=4, shuffle=False, verbose=0)
    assert not np.isfinite(model.get_weights()[0]).all()


def test_the_model_is_as_before_afterwards(two_devices):
    model, (x, y) = compiled(two_devices, keras.optimizers.Adam), data(8)
    before = {*vars(model)}, {*vars(model.optimizer)}
    with distribute.training(model):
        model.fit(x, y, batch_size=8, verbose=0)
        assert "make_train_function" in vars(model)
    gone = {
        "make_train_function",
        "make_test_function",
        "_maybe_symbolic_build",
        "scale_loss",
        "check_finite",
    }
    assert not gone & ({*vars(model)} | {*vars(model.optimizer)})
    assert before[0] <= {*vars(model)}


def test_one_device_is_left_alone():
    model = compiled(tf.distribute.get_strategy(), keras.optimizers.SGD)
    with distribute.training(model):
        assert "make_train_function" not in vars(model)


def test_several_steps_at_once_need_the_steps_of_an_epoch(two_devices):
    """Two of three steps, then the third; the same in evaluation."""
    model, (x, y) = compiled(two_devices, keras.optimizers.SGD, steps_per_execution=2), data(21)
    message = r"steps_per_execution=2, .* pass tfopt\.distribute\.training\(model, steps_per_epoch=\.\.\.\)"
    with pytest.raises(InvalidArgumentError, match=message), distribute.training(model):
        pass
    with distribute.training(model, steps_per_epoch=3):
        history = model.fit(
            x, y, batch_size=8, epochs=2, shuffle=False, verbose=0, validation_data=(x[:7], y[:7]),
            validation_batch_size=2, steps_per_epoch=3,
        ).history  # fmt: skip
    single = compiled(two_devices, keras.optimizers.SGD)
    with distribute.training(single):
        expected = single.fit(
            x, y, batch_size=8, epochs=2, shuffle=False, verbose=0, validation_data=(x[:7], y[:7]),
            validation_batch_size=2,
        ).history  # fmt: skip
    assert model.optimizer.iterations.numpy() == 6
    for name, values in expected.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-6, err_msg=name)


def test_xla_compiles_the_step_of_one_device(two_devices):
    model = compiled(two_devices, keras.optimizers.SGD, jit_compile=True)
    with (
        pytest.raises(InvalidArgumentError, match=r'for 2 devices of one process.*leave it at "auto"'),
        distribute.training(model),
    ):
        pass
    model, (x, y) = compiled(two_devices, keras.optimizers.SGD), data(8)
    with distribute.training(model):
        model.fit(x, y, batch_size=8, verbose=0)


def test_another_keras_is_named(two_devices, monkeypatch, caplog):
    model = compiled(two_devices, keras.optimizers.SGD)
    monkeypatch.setattr(keras_adapter.keras, "__version__", "3.99.0")
    with distribute.training(model):
        assert "tested with Keras 3.15, and this is 3.99.0" in caplog.text
    monkeypatch.setattr(keras_adapter, "_NEEDED", ("_symbolic_build", "_moved_elsewhere"))
    with (
        pytest.raises(
            UnsupportedModel, match=r"Keras 3\.99\.0 has no _moved_elsewhere.*Install keras==3\.15"
        ),
        distribute.training(model),
    ):
        pass
