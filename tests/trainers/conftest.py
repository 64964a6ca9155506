"""Test functions as Keras models, whose loss takes the model alone, and small networks."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

GOLDEN = np.load(Path(__file__).parent / "golden" / "full_batch.npz")


class Variables(keras.Model):
    """A subclassed model that is nothing but one weight."""

    def __init__(self, start, dtype="float64"):
        super().__init__(dtype=dtype)
        self.w = self.add_weight(shape=np.shape(start), dtype=dtype, name="w")
        self.w.assign(start)
        self.built = True

    def call(self, x):
        return x


def _rosenbrock(model):
    x = model.w
    return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2


def _quadvec(model):
    x = tf.convert_to_tensor(model.w)
    return 0.5 * tf.tensordot(x, tf.linalg.matvec(GOLDEN["quadvec/A"], x), 1) - tf.tensordot(
        GOLDEN["quadvec/b"], x, 1
    )


def _quadmat(model):
    w = tf.convert_to_tensor(model.w)
    moved = GOLDEN["quadmat/A"] @ w @ GOLDEN["quadmat/B"]
    return 0.5 * tf.reduce_sum(w * moved) - tf.reduce_sum(GOLDEN["quadmat/C"] * w)


# name: (loss, start)
PROBLEMS = {
    "rosenbrock": (_rosenbrock, GOLDEN["rosenbrock/x0"]),
    "quadvec": (_quadvec, GOLDEN["quadvec/x0"]),
    "quadmat": (_quadmat, GOLDEN["quadmat/W0"]),
}


@pytest.fixture(scope="session")
def golden():
    """Figures of SciPy 1.17 (Newton-CG) and torch 2.13 (LBFGS) in float64, with the problems' constants."""
    return GOLDEN


@pytest.fixture(params=PROBLEMS)
def problem(request):
    """A name, a model at its start, and the loss."""
    loss, start = PROBLEMS[request.param]
    return request.param, Variables(start), loss


@pytest.fixture(scope="session")
def one_weight():
    """A factory of models that are nothing but one weight."""
    return Variables


@pytest.fixture(scope="session")
def dense():
    """A factory of linear models."""

    def build(inputs=3, outputs=2, *, dtype="float32", seed=0, **kwargs):
        keras.utils.set_random_seed(seed)
        layer = keras.layers.Dense(outputs, dtype=dtype, name="head", **kwargs)
        return keras.Sequential([keras.Input((inputs,)), layer])

    return build


@pytest.fixture(scope="session")
def mlp():
    """A factory of networks with a smooth hidden layer."""

    def build(inputs=3, outputs=2, *, dtype="float64", seed=0, activation=None):
        keras.utils.set_random_seed(seed)
        hidden = keras.layers.Dense(5, "tanh", dtype=dtype, name="hidden")
        head = keras.layers.Dense(outputs, activation, dtype=dtype, name="head")
        return keras.Sequential([keras.Input((inputs,), dtype=dtype), hidden, head])

    return build


@pytest.fixture(scope="session")
def points():
    """A factory of inputs and targets."""

    def draw(samples=50, inputs=3, outputs=2, seed=0):
        random = np.random.default_rng(seed)
        return random.normal(size=(samples, inputs)), random.normal(size=(samples, outputs))

    return draw
