"""L-BFGS against exact solutions, scikit-learn, SciPy on plain NumPy, and torch's figures."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import minimize
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from tfopt.errors import InvalidArgumentError
from tfopt.trainers import LBFGS


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_linear_regression_solves_the_normal_equations(dense, points, dtype):
    x, y = points()
    model = dense(dtype=dtype)
    result = LBFGS(tolerance=2e-6).minimize(model, "mse", (x, y), verbose=0)
    exact = np.linalg.lstsq(np.c_[x, np.ones(len(x))], y, rcond=None)[0]
    np.testing.assert_allclose(np.vstack(model.get_weights()), exact, atol=1e-5)
    assert result.converged
    assert result.gradient_norm <= 2e-6


@pytest.mark.parametrize("strength", [0.1, 10.0])
def test_logistic_regression_has_the_coefficients_of_scikit_learn(dense, strength):
    x, y = load_iris(return_X_y=True)
    x = (x - x.mean(0)) / x.std(0)
    theirs = LogisticRegression(C=strength, tol=1e-10, max_iter=5000).fit(x, y)
    penalty = keras.regularizers.L2(1 / (2 * strength * len(x)))
    model = dense(4, 3, dtype="float64", kernel_regularizer=penalty)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    result = LBFGS(max_iter=500, tolerance=1e-9).minimize(model, loss, (x, y), batch_size=64, verbose=0)
    assert result.converged
    kernel, bias = model.get_weights()
    np.testing.assert_allclose(kernel.T, theirs.coef_, atol=1e-5)
    # Biases are not penalized: a constant added to all changes nothing.
    np.testing.assert_allclose(bias - bias.mean(), theirs.intercept_ - theirs.intercept_.mean(), atol=1e-5)


def test_takes_the_steps_of_scipy(one_weight, golden):
    a, b, start = golden["quadvec/A"], golden["quadvec/b"], golden["quadvec/x0"]
    path = []
    minimize(
        lambda x: (0.5 * x @ a @ x - b @ x, a @ x - b),
        start,
        jac=True,
        method="L-BFGS-B",
        callback=lambda intermediate_result: path.append(intermediate_result.fun),
        options={"maxcor": 4, "gtol": 1e-9, "ftol": 0},
    )

    def loss(model):
        x = model.w.value
        return 0.5 * tf.reduce_sum(x * tf.linalg.matvec(a, x)) - tf.reduce_sum(b * x)

    result = LBFGS(tolerance=1e-9, history_size=4).minimize(one_weight(start), loss, verbose=0)
    # Later, differences of rounding have grown.
    np.testing.assert_allclose(result.history[1:26], path[:25], rtol=1e-9)


def test_is_as_fast_as_torch(problem, golden):
    name, model, loss = problem
    theirs = golden[f"lbfgs/{name}/loss"]
    result = LBFGS(max_iter=60, tolerance=1e-10).minimize(model, loss, verbose=0)
    assert result.history[0] == pytest.approx(theirs[0])
    np.testing.assert_allclose(result.loss, golden[f"newton-cg/{name}/loss"][-1], atol=1e-12)
    # Line searches differ; for the loss that torch has after 20 iterations, half as many more will do.
    assert result.history[min(30, result.iterations)] <= max(theirs[20], result.loss + 1e-9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_iter": 0}, "max_iter to be a whole number >= 1, got 0"),
        ({"max_iter": 2.5}, "max_iter"),
        ({"max_iter": True}, "max_iter"),
        ({"tolerance": -1e-3}, "tolerance to be a finite number >= 0, got -0.001"),
        ({"tolerance": float("nan")}, "tolerance"),
        ({"tolerance": "small"}, "tolerance"),
        ({"history_size": 0}, "history_size"),
        ({"jit_compile": "auto"}, "jit_compile"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(InvalidArgumentError, match=message):
        LBFGS(**arguments)
