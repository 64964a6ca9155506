"""Momentum by a schedule, against NumPy and against optimizers that were built with the value."""

import keras
import numpy as np
import pytest

from tfopt import optimizers
from tfopt.callbacks import ScheduleMomentum
from tfopt.errors import InvalidArgumentError, UnsupportedModel
from tfopt.schedules import OneCycle

CYCLE = OneCycle(0.1, total_steps=12).momentum(0.95, 0.6)
X = np.random.default_rng(0).normal(size=(24, 3)).astype("float32")
Y = np.random.default_rng(1).normal(size=(24, 1)).astype("float32")
START = np.random.default_rng(2).normal(size=(3, 1)).astype("float32")


def linear(optimizer, **compile_arguments):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, use_bias=False)])
    model.set_weights([START])
    model.compile(optimizer, "mse", **compile_arguments)
    return model


def fit(model, *callbacks, **arguments):
    fitted = {"batch_size": 4, "epochs": 2, "shuffle": False, "verbose": 0, **arguments}
    return model.fit(X, Y, callbacks=list(callbacks), **fitted).history


def reference(rule):
    """Weights after 12 updates by `rule(gradient, momentum, step)` in float64."""
    weights = START.astype("float64")
    for step in range(12):
        rows = slice(4 * (step % 6), 4 * (step % 6) + 4)
        gradient = 2 * X[rows].T @ (X[rows] @ weights - Y[rows]) / 4
        weights = weights + rule(gradient, float(CYCLE(step)), step)
    return weights


class HeavyBall:
    def __init__(self, nesterov=False):
        self.velocity, self.nesterov = 0.0, nesterov

    def __call__(self, gradient, momentum, step):
        self.velocity = momentum * self.velocity - 0.05 * gradient
        return momentum * self.velocity - 0.05 * gradient if self.nesterov else self.velocity


class Adam:
    """As PyTorch's under OneCycleLR: the bias is corrected with the beta of the update."""

    m = v = 0.0

    def __call__(self, gradient, beta, step):
        self.m = beta * self.m + (1 - beta) * gradient
        self.v = 0.999 * self.v + 0.001 * gradient**2
        m, v = self.m / (1 - beta ** (step + 1)), self.v / (1 - 0.999 ** (step + 1))
        return -0.05 * m / (np.sqrt(v) + 1e-7)


@pytest.mark.parametrize("arguments", [{}, {"jit_compile": True}])
@pytest.mark.parametrize(
    ("optimizer", "rule"),
    [
        (lambda: keras.optimizers.SGD(0.05, momentum=0.9), HeavyBall),
        (lambda: keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True), lambda: HeavyBall(nesterov=True)),
        (lambda: keras.optimizers.Adam(0.05), Adam),
    ],
)
def test_equals_numpy_with_a_momentum_of_its_own_at_each_update(optimizer, rule, arguments):
    model = linear(optimizer(), **arguments)
    fit(model, ScheduleMomentum(CYCLE))
    plain = linear(optimizer())
    fit(plain)
    np.testing.assert_allclose(model.get_weights()[0], reference(rule()), rtol=1e-4, atol=2e-6)
    assert np.abs(model.get_weights()[0] - plain.get_weights()[0]).max() > 1e-2


BUILT = {
    "SGD": lambda value: keras.optimizers.SGD(0.05, momentum=value),
    "RMSprop": lambda value: keras.optimizers.RMSprop(0.05, momentum=value),
    "Adam": lambda value: keras.optimizers.Adam(0.05, beta_1=value, amsgrad=True),
    "Adamax": lambda value: keras.optimizers.Adamax(0.05, beta_1=value),
    "Nadam": lambda value: keras.optimizers.Nadam(0.05, beta_1=value),
    "Lion": lambda value: keras.optimizers.Lion(0.05, beta_1=value),
    "Muon": lambda value: keras.optimizers.Muon(0.05, momentum=value),
    "AdaBelief": lambda value: optimizers.AdaBelief(0.05, beta_1=value),
    "AdamW8bit": lambda value: optimizers.AdamW8bit(0.05, beta_1=value),
    "Adan": lambda value: optimizers.Adan(0.05, beta_1=value),
    "LARS": lambda value: optimizers.LARS(0.05, momentum=value),
    "Momentum": lambda value: optimizers.Momentum(0.05, momentum=value, debias=True),
    "NadamW": lambda value: optimizers.NadamW(0.05, beta_1=value),
}


@pytest.mark.parametrize("name", BUILT)
def test_no_part_of_an_optimizer_keeps_the_number_it_was_built_with(name):
    wanted, model = linear(BUILT[name](0.7)), linear(BUILT[name](0.95))
    fit(wanted)
    fit(model, ScheduleMomentum(lambda step: 0.7))
    np.testing.assert_allclose(model.get_weights()[0], wanted.get_weights()[0], rtol=2e-5, atol=1e-6)


def test_works_in_bfloat16():
    keras.config.set_dtype_policy("bfloat16")
    try:
        wanted, model = linear(BUILT["Adam"](0.5)), linear(BUILT["Adam"](0.9))
        fit(wanted)
        fit(model, ScheduleMomentum(lambda step: 0.5))
    finally:
        keras.config.set_dtype_policy("float32")
    close = {"rtol": 0.05, "atol": 0.02}
    np.testing.assert_allclose(*[np.float32(m.get_weights()[0]) for m in (model, wanted)], **close)


def test_the_optimizer_keeps_its_config_and_resumes(tmp_path):
    whole, model = (linear(keras.optimizers.SGD(0.05, momentum=0.9)) for _ in range(2))
    fit(whole, ScheduleMomentum(CYCLE))
    checkpoint = keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras")
    history = fit(model, ScheduleMomentum(CYCLE), checkpoint, epochs=1)
    assert history["momentum"] == pytest.approx([float(CYCLE(5))])
    assert type(model.optimizer.momentum) is float
    resumed = keras.models.load_model(tmp_path / "1.keras")
    assert resumed.optimizer.get_config()["momentum"] == 0.9
    fit(resumed, ScheduleMomentum(CYCLE), initial_epoch=1)
    assert np.array_equal(resumed.get_weights()[0], whole.get_weights()[0])


def test_after_training_it_is_as_before():
    model, plain = (linear(keras.optimizers.SGD(0.05, momentum=0.9)) for _ in range(2))
    fit(model, ScheduleMomentum(lambda step: 0.9))
    fit(plain)
    for one in (model, plain):
        fit(one)
    np.testing.assert_allclose(model.get_weights()[0], plain.get_weights()[0], rtol=1e-6)


def test_a_fit_that_broke_off_does_not_change_the_number():
    def interrupt(batch, logs):
        raise KeyboardInterrupt

    model = linear(keras.optimizers.SGD(0.05, momentum=0.9))
    with pytest.raises(KeyboardInterrupt):
        fit(
            model,
            ScheduleMomentum(lambda s: 0.5),
            keras.callbacks.LambdaCallback(on_train_batch_end=interrupt),
        )
    fit(model, ScheduleMomentum(CYCLE))
    assert model.optimizer.momentum == 0.9


class Frozen(keras.optimizers.SGD):
    """Reads its momentum once, where only Python looks."""

    def update_step(self, gradient, variable, learning_rate):
        self.assign_sub(variable, gradient * learning_rate * float(self.momentum))


@pytest.mark.parametrize(
    ("optimizer", "arguments", "message"),
    [
        (lambda: keras.optimizers.SGD(), {}, "built with momentum=0"),
        (lambda: keras.optimizers.Adagrad(), {}, "no momentum or beta_1"),
        (lambda: keras.optimizers.Adam(), {"run_eagerly": True}, "run_eagerly"),
        (lambda: keras.optimizers.Adam(), {"steps_per_execution": 2}, "steps_per_execution=1"),
        (lambda: Frozen(momentum=0.9), {}, "never reads its momentum"),
    ],
)
def test_what_cannot_be_scheduled_is_refused(optimizer, arguments, message):
    with pytest.raises((InvalidArgumentError, UnsupportedModel), match=message):
        fit(linear(optimizer(), **arguments), ScheduleMomentum(CYCLE))


def test_a_momentum_lies_below_one():
    with pytest.raises(InvalidArgumentError, match=r"in \[0, 1\), got 1.0 at 0"):
        fit(linear(keras.optimizers.Adam()), ScheduleMomentum(lambda step: 1.0))
