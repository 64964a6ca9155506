"""The range test finds a rate that trains, and leaves no trace."""

import contextlib

import keras
import numpy as np
import pytest

from tests.at_length import some
from tfopt.callbacks import LearningRateFinder
from tfopt.errors import InvalidArgumentError

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(64, 6)).astype("float32")
Y = (X @ RANDOM.normal(size=(6, 1)) + 3).astype("float32")


def network(optimizer=None):
    """A model with everything that training changes: weights, statistics, seeds, metrics."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(8, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(1),
        ]
    )
    model.compile(optimizer or keras.optimizers.Adam(1e-2), "mse", metrics=["mae"])
    return model


def linear(rate=0.01, loss="mse"):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(rate), loss)
    return model


def state(model):
    return [np.array(v.numpy()) for v in (*model.variables, *model.optimizer.variables)]


def train(model, **arguments):
    return model.fit(X, Y, batch_size=8, epochs=2, verbose=0, **arguments).history


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: keras.optimizers.Adam(1e-2, use_ema=True, ema_overwrite_frequency=5),
        lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(1e-2, momentum=0.9)),
        lambda: keras.optimizers.Adam(1e-2, gradient_accumulation_steps=3),
    ],
)
@pytest.mark.parametrize("trained", [pytest.param(False, marks=pytest.mark.slow), True])
def test_training_afterwards_is_as_without_the_test(optimizer, trained):
    tested, plain = network(optimizer()), network(optimizer())
    if trained:
        train(tested), train(plain)
    keras.utils.set_random_seed(1)
    # Whether noise lets the loss fall does not matter here.
    with contextlib.suppress(InvalidArgumentError):
        LearningRateFinder(1e-4, 1.0, steps=10, smoothing=0.5).find(tested, X, Y, batch_size=8)
    after_test = train(tested)
    keras.utils.set_random_seed(1)
    assert after_test == train(plain)
    for one, other in zip(state(tested), state(plain), strict=True):
        np.testing.assert_array_equal(one, other)


def test_as_a_callback_it_stops_fit_and_restores():
    model = network()
    model.optimizer.build(model.trainable_variables)
    before, finder = state(model), LearningRateFinder(1e-4, 1.0, steps=20, smoothing=0.5)
    history = model.fit(X, Y, batch_size=8, epochs=100, verbose=0, callbacks=[finder])
    assert len(history.epoch) == 3
    assert len(finder.losses) == 20
    for one, other in zip(before, state(model), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_restores_after_an_error(error):
    model = network()
    model.optimizer.build(model.trainable_variables)
    before, finder = state(model), LearningRateFinder(1e-4, 1.0, steps=20)
    note = finder._note

    def fail(loss):
        note(loss)
        if len(finder.losses) == 5:
            raise error

    finder._note = fail
    with pytest.raises(error):
        finder.find(model, X, Y, batch_size=8)
    for one, other in zip(before, state(model), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("rule", some(["steepest", "minimum"], ["steepest"]))
@pytest.mark.parametrize("progression", ["exponential", "linear"])
def test_the_suggested_rate_trains(rule, progression):
    low = 1e-5 if progression == "exponential" else 1e-3
    finder = LearningRateFinder(low, 5.0, steps=40, rule=rule, progression=progression, smoothing=0.5)
    rate = finder.find(linear(), X, Y, batch_size=64)
    # Of gradient descent on a parabola: it diverges beyond 2 over the largest curvature.
    limit = 2 / np.linalg.eigvalsh(2 * np.cov(np.c_[X, np.ones(64)].T, bias=True)).max()
    assert limit / 300 < rate < limit
    model = linear(rate)
    losses = model.fit(X, Y, batch_size=64, epochs=30, verbose=0).history["loss"]
    assert losses[-1] < 0.8 * losses[0]
    assert finder.losses[-1] > 4 * min(finder.losses)
    assert finder.learning_rates[-1] < 5.0


def test_losses_are_those_of_each_update_smoothed():
    model, rates = linear(), np.geomspace(1e-3, 0.1, 12)
    weights, bias = (np.float64(w) for w in model.get_weights())
    raw = []
    for step, rate in enumerate(rates):
        rows = slice(16 * (step % 4), 16 * (step % 4) + 16)
        error = X[rows] @ weights + bias - Y[rows]
        raw.append((error**2).mean())
        weights = weights - rate * 2 * X[rows].T @ error / 16
        bias = bias - rate * 2 * error.mean(0)
    expected = [np.average(raw[: n + 1], weights=0.7 ** np.arange(n, -1, -1)) for n in range(12)]
    finder = LearningRateFinder(1e-3, 0.1, steps=12, smoothing=0.7)
    finder.find(model, X, Y, batch_size=16, shuffle=False)
    np.testing.assert_allclose(finder.learning_rates, rates)
    np.testing.assert_allclose(finder.losses, expected, rtol=1e-5)


def test_a_loss_that_is_not_finite_ends_the_test():
    finder = LearningRateFinder(1e-2, 1e30, steps=60, divergence=1e30, smoothing=0.0)
    finder.find(linear(), X, Y, batch_size=8)
    assert len(finder.losses) < 60
    assert np.isfinite(finder.losses).all()


def test_a_negative_loss_may_rise():
    finder = LearningRateFinder(1e-5, 1e-4, steps=20)
    model = linear(loss=lambda y, out: keras.ops.square(y - out) - 100.0)
    finder.find(model, X, Y, batch_size=64)
    assert len(finder.losses) == 20


def test_where_nothing_falls_there_is_no_suggestion():
    finder = LearningRateFinder(10.0, 100.0, steps=10)
    with pytest.raises(InvalidArgumentError, match="run find"):
        finder.suggestion  # noqa: B018
    with pytest.raises(InvalidArgumentError, match=r"fell nowhere|needs 4"):
        finder.find(linear(), X, Y, batch_size=64)


def test_plot(tmp_path):
    finder = LearningRateFinder(1e-4, 1.0, steps=20)
    finder.find(linear(), X, Y, batch_size=64)
    figure = finder.plot(tmp_path / "range.png")
    (curve, line) = figure.axes[0].lines
    assert list(curve.get_ydata()) == finder.losses
    assert line.get_xdata()[0] == finder.suggestion
    assert (tmp_path / "range.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(InvalidArgumentError, match="ends in one of"):
        finder.plot(tmp_path / "range.xyz")


def test_two_devices(two_devices):
    with two_devices.scope():
        model = network()
        model.optimizer.build(model.trainable_variables)
    before = state(model)
    LearningRateFinder(1e-4, 0.01, steps=12, smoothing=0.5).find(model, X, Y, batch_size=8)
    for one, other in zip(before, state(model), strict=True):
        np.testing.assert_array_equal(one, other)


def test_needs_weights_to_give_back():
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(InvalidArgumentError, match="call it on a batch"):
        LearningRateFinder().find(model, X, Y)


@pytest.mark.parametrize("argument", ["epochs", "callbacks"])
def test_find_sets_some_arguments_itself(argument):
    with pytest.raises(InvalidArgumentError, match=argument):
        LearningRateFinder().find(linear(), X, Y, **{argument: 3})


def test_the_log_tells_why_the_test_ended(caplog):
    with caplog.at_level("INFO", "tfopt.callbacks.learning_rate_finder"):
        LearningRateFinder(1e-4, 1e-3, steps=5).find(linear(), X, Y, batch_size=16)
    (record,) = (record for record in caplog.records if record.name.startswith("tfopt"))
    assert record.getMessage() == "Stopped after 5 updates, at the learning rate 0.001: all rates are tried"
