"""SAM against the authors' figures (two gradients a step), and its second pass inside `fit`."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfopt import optimizers
from tfopt.errors import UnsupportedModel

GOLDEN = Path(__file__).parents[1] / "golden_two_gradients"
RATES = {"rosenbrock": 1e-4, "quadvec": 1e-3, "quadmat": 1e-3}
# file: (arguments, inner optimizer at a rate)
MODES = {
    "sam-sgd_author": ({"rho": 0.05}, lambda rate: keras.optimizers.SGD(rate, 0.9)),
    "sam-adam_author": ({"rho": 0.05}, lambda rate: keras.optimizers.Adam(0.01, epsilon=1e-8)),
    "asam-sgd_author": ({"rho": 0.5, "mode": "asam"}, lambda rate: keras.optimizers.SGD(rate, 0.9)),
    "asam-eta-sgd_author": (
        {"rho": 0.5, "mode": "asam", "eta": 0.01},
        lambda rate: keras.optimizers.SGD(rate, 0.9),
    ),
    "gsam-sgd_author": ({"mode": "gsam", "alpha": 0.4}, lambda rate: keras.optimizers.SGD(rate, 0.9)),
}
CASES = [
    (name, problem)
    for name in MODES
    for problem in sorted({key.split("/")[0] for key in np.load(GOLDEN / f"{name}.npz")})
]


@pytest.mark.parametrize(("name", "problem"), CASES)
def test_follows_the_authors(name, problem, deviation):
    arguments, inner = MODES[name]
    figures = np.load(GOLDEN / f"{name}.npz")
    (parameter,) = {key.split("/")[2] for key in figures if key.startswith(f"{problem}/grad/")}
    theirs = figures[f"{problem}/{parameter}"]
    variable = keras.Variable(theirs[0], dtype="float32")
    optimizer = optimizers.SAM(inner(RATES[problem]), **arguments)
    optimizer.build([variable])
    path = [variable.numpy()]
    pairs = zip(figures[f"{problem}/grad/{parameter}"], figures[f"{problem}/grad2/{parameter}"], strict=True)
    for first, second in pairs:
        again = tf.constant(second, "float32")
        optimizer.apply_twice([tf.constant(first, "float32")], [variable], lambda *_, again=again: [again])
        path.append(variable.numpy())
    assert deviation(np.stack(path), theirs) < 2e-5


def perturbation(gradients, weights, rho, mode, eta):
    """Where the second gradient is taken, in NumPy from the papers."""
    scales = [np.ones_like(w) for w in weights]
    if mode == "asam":
        scales = [np.abs(w) if eta is None else np.abs(w) + eta if w.ndim > 1 else 1.0 for w in weights]
    norm = np.sqrt(sum(((t * g) ** 2).sum() for t, g in zip(scales, gradients, strict=True)))
    return [rho * t**2 * g / norm for t, g in zip(scales, gradients, strict=True)]


@pytest.mark.parametrize(("mode", "eta"), [("sam", None), ("gsam", None), ("asam", None), ("asam", 0.1)])
def test_takes_the_second_gradient_where_the_paper_says(mode, eta):
    random = np.random.default_rng(0)
    weights = [random.normal(size=(4, 3)), random.normal(size=3)]
    gradients = [random.normal(size=(4, 3)), 100 * random.normal(size=3)]
    variables = [keras.Variable(w) for w in weights]
    optimizer = optimizers.SAM(keras.optimizers.SGD(0.1), rho=0.3, mode=mode, eta=eta)
    optimizer.build(variables)
    seen = []

    def again(_, at):
        seen.extend(at)
        return [tf.ones_like(value) for value in at]

    optimizer.apply_twice([tf.constant(g, "float32") for g in gradients], variables, again)
    steps = perturbation(gradients, weights, 0.3, mode, eta)
    for value, weight, step in zip(seen, weights, steps, strict=True):
        np.testing.assert_allclose(value, weight + step, rtol=1e-5)


def classifier():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    x = keras.layers.Dense(8, kernel_regularizer=keras.regularizers.L2(0.01))(inputs)
    x = keras.layers.BatchNormalization()(x)
    return keras.Model(inputs, keras.layers.Dense(3)(keras.ops.tanh(x)))


@pytest.fixture
def batch():
    random = np.random.default_rng(0)
    return random.normal(size=(16, 4)).astype("float32"), random.integers(0, 3, 16)


def test_fit_equals_a_loop_that_moves_the_weights(batch):
    """The second pass of `fit` moves no weight; this loop does, and takes care of everything by hand."""
    x, y = batch
    weights = np.linspace(0.5, 1.5, 16).astype("float32")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model = classifier()
    model.compile(optimizers.SAM(keras.optimizers.SGD(0.1), rho=0.1), loss, metrics=["accuracy"])
    history = model.fit(x, y, sample_weight=weights, batch_size=16, epochs=4, shuffle=False, verbose=0)

    other, losses = classifier(), []
    for _ in range(4):

        def gradients():
            with tf.GradientTape() as tape:
                value = loss(y, other(x, training=True), weights) + sum(other.losses)
            return value, tape.gradient(value, other.trainable_variables)

        value, first = gradients()
        losses.append(float(value))
        statistics = [v.numpy() for v in other.non_trainable_variables]
        before = [v.numpy() for v in other.trainable_variables]
        steps = perturbation([g.numpy() for g in first], before, 0.1, "sam", None)
        for variable, step in zip(other.trainable_variables, steps, strict=True):
            variable.assign_add(step)
        _, second = gradients()
        for variable, value, gradient in zip(other.trainable_variables, before, second, strict=True):
            variable.assign(value - 0.1 * gradient)
        for variable, value in zip(other.non_trainable_variables, statistics, strict=True):
            variable.assign(value)
    for ours, theirs in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-6)
    np.testing.assert_allclose(history.history["loss"], losses, rtol=1e-5)


def test_minimize_equals_fit(batch):
    x, y = batch
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    fitted, looped = classifier(), classifier()
    fitted.compile(optimizers.SAM(keras.optimizers.SGD(0.1, 0.9)), loss)
    fitted.fit(x, y, batch_size=16, epochs=3, shuffle=False, verbose=0)
    optimizer = optimizers.SAM(keras.optimizers.SGD(0.1, 0.9))

    @tf.function
    def step():
        return optimizer.minimize(
            lambda: loss(y, looped(x, training=True)) + sum(looped.losses), looped.trainable_variables
        )

    optimizer.build(looped.trainable_variables)
    for _ in range(3):
        step()
    for ours, theirs in zip(looped.trainable_variables, fitted.trainable_variables, strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), atol=2e-6)


def test_says_where_it_cannot_take_the_second_gradient(batch):
    variable = keras.Variable(np.ones(2, "float32"))
    optimizer = optimizers.SAM(keras.optimizers.SGD(0.1))
    with pytest.raises(UnsupportedModel, match="minimize"):
        optimizer.apply([tf.ones(2)], [variable])

    class Own(keras.Model):
        def train_step(self, data):
            x, y = data
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.square(self(x)[:, 0] - tf.cast(y, tf.float32)))
            self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
            return {"loss": loss}

    inputs = keras.Input((4,))
    model = Own(inputs, keras.layers.Dense(1)(inputs))
    model.compile(optimizers.SAM(keras.optimizers.SGD(0.1)), "mse")
    with pytest.raises(UnsupportedModel, match="override train_step"):
        model.fit(*batch, verbose=0)
