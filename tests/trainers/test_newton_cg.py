"""Newton-CG against SciPy's figures, and its Hessian-vector products against whole Hessians."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfopt.errors import InvalidArgumentError, UnsupportedOperation
from tfopt.trainers import NewtonCG
from tfopt.trainers.batches import batches
from tfopt.trainers.full_batch import FullBatch
from tfopt.trainers.objectives import objective
from tfopt.trainers.weights import WeightVector


def test_takes_the_steps_of_scipy(problem, golden):
    name, model, loss = problem
    theirs = golden[f"newton-cg/{name}/loss"]
    result = NewtonCG(max_iter=200, tolerance=1e-7).minimize(model, loss, verbose=0)
    # Rosenbrock's valley makes differences of rounding grow.
    steps = 20 if name == "rosenbrock" else result.iterations
    np.testing.assert_allclose(result.history[:steps], theirs[:steps], rtol=1e-6)
    np.testing.assert_allclose(model.w.numpy(), golden[f"newton-cg/{name}/solution"], atol=1e-6)
    assert result.converged
    assert result.hessian_products >= result.iterations


def test_trust_region_takes_fewer_steps_down_the_valley(problem, golden):
    name, model, loss = problem
    result = NewtonCG(max_iter=60, tolerance=1e-7, trust_region=True).minimize(model, loss, verbose=0)
    np.testing.assert_allclose(model.w.numpy(), golden[f"newton-cg/{name}/solution"], atol=1e-6)
    assert result.converged


def full_batch(model, x, y, batch_size=None):
    weights = WeightVector(model)
    data = batches((x, y), batch_size, weights.dtype, aligned=True)
    target = objective(model, "mse", data, weights.dtype, training=False)
    return FullBatch(target, weights, data, False), weights


@pytest.mark.parametrize("batch_size", [None, 16])
def test_products_are_those_of_the_hessian(mlp, points, batch_size):
    model = mlp()
    x, y = points()
    function, weights = full_batch(model, x, y, batch_size)
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            loss = tf.reduce_mean((model(x) - y) ** 2)
        gradient = tf.concat(
            [tf.reshape(g, (-1,)) for g in inner.gradient(loss, model.trainable_variables)], 0
        )
    blocks = outer.jacobian(gradient, model.trainable_variables)
    hessian = np.concatenate([b.numpy().reshape(weights.size, -1) for b in blocks], axis=1)
    vector = np.random.default_rng(1).normal(size=weights.size)
    np.testing.assert_allclose(function.product(vector), hessian @ vector, rtol=1e-9, atol=1e-12)

    start, step = weights.read(), 1e-5
    slopes = []
    for sign in (1, -1):
        weights.write(start + sign * step * vector)
        slopes.append(function.gradient()[1])
    np.testing.assert_allclose((slopes[0] - slopes[1]) / (2 * step), hessian @ vector, rtol=1e-5, atol=1e-7)


def test_a_model_without_second_derivatives_is_refused():
    class Once(keras.layers.Layer):
        def call(self, x):
            # The gradient of this operation is one that TensorFlow cannot differentiate.
            return tf.raw_ops.FractionalAvgPool(
                value=x, pooling_ratio=[1.0, 1.5, 1.5, 1.0], deterministic=True
            )[0]

    inputs = keras.Input((6, 6, 1))
    kernel = keras.layers.Conv2D(1, 1)(inputs)
    model = keras.Model(inputs, keras.layers.Flatten()(Once()(kernel)))
    x = np.ones((4, 6, 6, 1), "float32")
    with pytest.raises(UnsupportedOperation, match="second derivative"):
        NewtonCG().minimize(model, "mse", (x, np.zeros((4, 16))), verbose=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_iter": -1}, "NewtonCG: expected max_iter"),
        ({"tolerance": float("inf")}, "tolerance"),
        ({"trust_region": "yes"}, "trust_region to be True or False"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(InvalidArgumentError, match=message):
        NewtonCG(**arguments)
