"""Lookahead, Cautious, TrustRatio and GradientCentralization against their papers in NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfopt import optimizers

RANDOM = np.random.default_rng(0)
START = {"kernel": RANDOM.normal(size=(4, 3)), "bias": RANDOM.normal(size=3)}
GRADIENTS = {
    "kernel": RANDOM.normal(size=(12, 4, 3)) * np.array([1e-3, 1.0, 1e2]),
    "bias": RANDOM.normal(size=(12, 3)),
}


def sgdm(name, rate=0.1, momentum=0.9):
    """Yield each step of SGD with momentum, to be subtracted, and the gradient."""
    velocity = 0.0
    for gradient in GRADIENTS[name]:
        velocity = momentum * velocity + rate * gradient
        yield velocity, gradient


def assert_follows(path, reference, deviation):
    for name, start in START.items():
        theirs = [start]
        for step, gradient in sgdm(name):
            theirs.append(reference(name, theirs, step, gradient))
        assert deviation(path[name], np.stack(theirs)) < 2e-5


def test_lookahead(replay, deviation):
    slow = dict(START)

    def reference(name, path, step, _):
        fast = path[-1] - step
        if len(path) % 3 == 0:
            fast = slow[name] = slow[name] + 0.25 * (fast - slow[name])
        return fast

    optimizer = optimizers.Lookahead(keras.optimizers.SGD(0.1, 0.9), sync_period=3, slow_step_size=0.25)
    assert_follows(replay(optimizer, START, GRADIENTS), reference, deviation)


class OurSGD(optimizers.Optimizer):
    """A rule of tfopt's that is SGD with momentum, to hold against Keras's."""

    slots = ("velocity",)

    def update(self, group):
        velocity = 0.9 * group.state["velocity"] + group.step.learning_rate * group.gradient
        return velocity, {"velocity": velocity}


@pytest.mark.parametrize("inner", [lambda: keras.optimizers.SGD(0.1, 0.9), lambda: OurSGD(0.1)])
def test_cautious(inner, replay, deviation):
    def reference(_, path, step, gradient):
        mask = step * gradient > 0
        return path[-1] - step * mask / max(mask.mean(), 0.5)

    assert_follows(replay(optimizers.Cautious(inner(), floor=0.5), START, GRADIENTS), reference, deviation)


def test_trust_ratio(replay, deviation):
    def reference(name, path, step, _):
        if name == "bias":
            return path[-1] - step
        unit = step / 0.1
        return path[-1] - 0.1 * min(np.linalg.norm(path[-1]) / np.linalg.norm(unit), 0.05) * unit

    class Named(keras.optimizers.SGD):
        """The variables of the test have no names of their own."""

    optimizer = optimizers.TrustRatio(Named(0.1, 0.9), clip=0.05, exclude=["bias"])
    variables = [keras.Variable(value, dtype="float32", name=name) for name, value in START.items()]
    path = {name: [value] for name, value in START.items()}
    for gradients in zip(*GRADIENTS.values(), strict=True):
        optimizer.apply([tf.constant(g, "float32") for g in gradients], variables)
        for name, variable in zip(path, variables, strict=True):
            path[name].append(variable.numpy())
    assert_follows({name: np.stack(values) for name, values in path.items()}, reference, deviation)


def test_trust_ratio_of_what_has_no_norm_is_one():
    zeros, ones = keras.Variable(np.zeros(2, "float32")), keras.Variable(np.ones(2, "float32"))
    optimizers.TrustRatio(keras.optimizers.SGD(0.1)).apply([tf.ones(2), tf.zeros(2)], [zeros, ones])
    np.testing.assert_allclose(zeros.numpy(), -0.1)
    np.testing.assert_array_equal(ones.numpy(), 1.0)


@pytest.mark.parametrize(("unit_axis", "axes"), [(-1, (0, 1)), (0, (1, 2))])
def test_gradient_centralization(unit_axis, axes):
    gradient = RANDOM.normal(size=(3, 4, 5)).astype("float32")
    kernel, bias = keras.Variable(np.zeros((3, 4, 5), "float32")), keras.Variable(np.zeros(5, "float32"))
    optimizer = optimizers.GradientCentralization(keras.optimizers.SGD(1.0), unit_axis)
    optimizer.apply([tf.constant(gradient), tf.ones(5)], [kernel, bias])
    np.testing.assert_allclose(-kernel.numpy(), gradient - gradient.mean(axes, keepdims=True), atol=1e-6)
    np.testing.assert_array_equal(bias.numpy(), -1.0)
