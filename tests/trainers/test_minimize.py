"""What all full-batch trainers do with a model: which weights move, how a run ends, what is left."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfopt
from tfopt.errors import InvalidArgumentError, NonFiniteError, UnsupportedModel
from tfopt.trainers import LBFGS, NewtonCG

layers = keras.layers
TRAINERS = {
    "LBFGS": LBFGS,
    "NewtonCG": NewtonCG,
    "trust region": lambda *arguments: NewtonCG(*arguments, trust_region=True),
}


@pytest.fixture(params=TRAINERS)
def trainer(request):
    """A factory of a trainer of each kind, from (max_iter, tolerance)."""
    return TRAINERS[request.param]


def test_solves_a_differential_equation(trainer):
    """u'' = -sin(x) on [0, pi] with u = 0 at both ends: u = sin(x). The loss differentiates by x."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((1,), dtype="float64"),
            layers.Dense(6, "tanh", dtype="float64"),
            layers.Dense(1, dtype="float64"),
        ]
    )

    def loss(model, x):
        with tf.GradientTape() as second:
            second.watch(x)
            with tf.GradientTape() as first:
                first.watch(x)
                u = model(x)
            slope = first.gradient(u, x)
        curvature = second.gradient(slope, x)
        ends = model(tf.constant([[0.0], [np.pi]], "float64"))
        return tf.reduce_mean((curvature + tf.sin(x)) ** 2) + tf.reduce_sum(ends**2)

    x = np.linspace(0, np.pi, 16)[:, None]
    result = trainer(100, 1e-4).minimize(model, loss, x, verbose=0)
    assert result.loss < 1e-3 * result.history[0]
    np.testing.assert_allclose(model(x), np.sin(x), atol=3e-2)


def test_result(trainer, mlp, points):
    seen = []
    model, (x, y) = mlp(), points()
    result = trainer(6, 1e-12).minimize(
        model, "mse", (x, y), callback=lambda *values: seen.append(values), verbose=0
    )
    assert result.iterations == 6 == len(seen)
    assert not result.converged
    assert "max_iter=6" in result.message
    assert result.history[1:] == [loss for _, loss, _ in seen]
    assert [iteration for iteration, _, _ in seen] == [1, 2, 3, 4, 5, 6]
    assert result.history[-1] == result.loss < result.history[0]
    assert result.gradient_norm == seen[-1][2]
    assert result.loss == pytest.approx(np.mean((model(x) - y) ** 2))
    assert result.evaluations >= 6
    again = trainer(1, 10.0).minimize(model, "mse", (x, y), verbose=0)
    assert (again.iterations, again.converged, again.history) == (0, True, [pytest.approx(result.loss)])


def test_shows_its_progress(trainer, dense, points, capsys):
    trainer(3, 1e-12).minimize(dense(), "mse", points())
    assert "3/3" in (shown := capsys.readouterr().out)
    assert "gradient_norm" in shown
    trainer(3, 1e-12).minimize(dense(), "mse", points(), verbose=0)
    assert not capsys.readouterr().out


def test_float32_ends_where_rounding_does(trainer, dense, points):
    result = trainer(200, 0.0).minimize(dense(), "mse", points(), verbose=0)
    assert not result.converged
    assert result.iterations < 200
    assert result.message.startswith("No ")
    assert result.gradient_norm < 1e-5


def test_frozen_layers_stay(trainer, mlp, points):
    model = mlp()
    model.layers[0].trainable = False
    before = model.layers[0].get_weights()
    trainer(3, 0.0).minimize(model, "mse", points(), verbose=0)
    for old, new in zip(before, model.layers[0].get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_pruned_weights_stay_zero_and_the_others_are_optimal(trainer, dense, points):
    x, y = points(inputs=4, outputs=1)
    model = tfopt.prune(dense(4, 1, dtype="float64", use_bias=False), sparsity=0.5, rules={"**": 0.5})
    kernel = model.layers[0].kernel
    kept = kernel.numpy()[:, 0] != 0
    assert kept.sum() == 2
    kernel.assign(np.ones((4, 1)))
    result = trainer(50, 1e-9).minimize(model, "mse", (x, y), verbose=0)
    assert result.converged
    expected = np.zeros(4)
    expected[kept] = np.linalg.lstsq(x[:, kept], y[:, 0], rcond=None)[0]
    np.testing.assert_allclose(kernel.numpy()[:, 0], expected, atol=1e-7)


def test_rows_of_an_embedding_that_repeat_are_summed(trainer):
    model = keras.Sequential([keras.Input((2,)), layers.Embedding(3, 1, dtype="float64"), layers.Flatten()])
    x = np.array([[0, 0], [1, 0]])
    trainer(50, 1e-9).minimize(model, "mse", (x, np.array([[1.0, 3.0], [7.0, 5.0]])), verbose=0)
    np.testing.assert_allclose(model.layers[0].embeddings.numpy()[:2, 0], [3.0, 7.0], atol=1e-7)


def test_dropout_and_batch_normalization_are_those_of_inference(trainer, points):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((3,)), layers.BatchNormalization(), layers.Dropout(0.5), layers.Dense(2)]
    )
    x, y = points()
    result = trainer(3, 0.0).minimize(model, "mse", (x, y), verbose=0)
    assert result.loss == pytest.approx(np.mean((model(x) - y) ** 2), rel=1e-5)
    np.testing.assert_array_equal(model.layers[0].moving_mean, 0)


def explodes(model):
    """A loss that is lowest where it can no longer be computed."""
    return keras.ops.sum(keras.ops.where(model.w > -3.0, (model.w + 10) ** 2, np.nan))


def test_nan_keeps_the_best_weights(trainer, one_weight):
    model = one_weight([1.0, 2.0])
    with pytest.raises(NonFiniteError, match="holds the best weights so far"):
        trainer(50, 1e-9).minimize(model, explodes, verbose=0)
    assert np.isfinite(model.w.numpy()).all()
    assert (model.w.numpy() <= [1.0, 2.0]).all()


def test_nan_at_the_start(trainer, one_weight):
    model = one_weight([1.0, np.nan])
    with pytest.raises(NonFiniteError, match="at the start"):
        trainer(50, 1e-9).minimize(model, explodes, verbose=0)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interruption_keeps_the_best_weights(trainer, mlp, points, error):
    model, (x, y) = mlp(), points()
    seen = []

    def interrupt(iteration, loss, gradient_norm):
        seen.append(loss)
        if iteration == 3:
            raise error

    with pytest.raises(error):
        trainer(50, 1e-9).minimize(model, "mse", (x, y), callback=interrupt, verbose=0)
    assert np.mean((model(x) - y) ** 2) == pytest.approx(min(seen))


def test_the_callback_can_end_a_run(trainer, mlp, points):
    def stop(iteration, loss, gradient_norm):
        if iteration == 2:
            raise StopIteration

    result = trainer(50, 1e-9).minimize(mlp(), "mse", points(), callback=stop, verbose=0)
    assert result.message.startswith("Stopped by the callback")
    assert result.iterations >= 2


def test_xla(mlp, points):
    plain, compiled = mlp(), mlp()
    for model, jit in ((plain, False), (compiled, True)):
        NewtonCG(3, 0.0, jit_compile=jit).minimize(model, "mse", points(), verbose=0)
    for ours, theirs in zip(plain.get_weights(), compiled.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-9)


def _unbuilt():
    return keras.Sequential([layers.Dense(2)])


def _frozen():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    model.trainable = False
    return model


def _with(**arguments):
    return keras.Sequential([keras.Input((3,)), layers.Dense(2, **arguments)])


def _scheduled():
    return tfopt.prune(_with(), sparsity=0.5, schedule=tfopt.pruning.Cubic())


BAD = {
    "no model": (lambda: "model", InvalidArgumentError, "Expected a keras.Model"),
    "unbuilt": (_unbuilt, InvalidArgumentError, "has no weights yet"),
    "nothing to train": (_frozen, InvalidArgumentError, "no trainable weights"),
    "mixed precision": (lambda: _with(dtype="mixed_float16"), UnsupportedModel, "computes in float16"),
    "bfloat16": (lambda: _with(dtype="bfloat16"), UnsupportedModel, "computes in bfloat16"),
    "constraint": (lambda: _with(kernel_constraint="non_neg"), UnsupportedModel, "constraint NonNeg"),
    "pruned while training": (_scheduled, UnsupportedModel, "prune it first"),
}


@pytest.mark.parametrize(("build", "error", "message"), BAD.values(), ids=BAD)
def test_models_that_are_refused(build, error, message, points):
    with pytest.raises(error, match=message):
        LBFGS().minimize(build(), "mse", points(), verbose=0)


def test_replicated_models_are_refused(two_devices, dense, points):
    with two_devices.scope():
        model = dense()
    with pytest.raises(InvalidArgumentError, match="one device"):
        LBFGS().minimize(model, "mse", points(), verbose=0)


def test_bad_callback(dense, points):
    with pytest.raises(InvalidArgumentError, match="callback"):
        LBFGS().minimize(dense(), "mse", points(), callback=[], verbose=0)
