"""CMA-ES over the weights of a model: losses with and without gradients, and what a run leaves behind."""

import keras
import numpy as np
import pytest

import tfopt
from tfopt.errors import InvalidArgumentError, NonFiniteError
from tfopt.trainers import Evolution

layers, ops = keras.layers, keras.ops


def test_finds_the_minimum_of_functions_of_the_weights(problem):
    name, model, loss = problem
    result = Evolution(600, 1e-9, seed=1).minimize(model, loss, verbose=0)
    best = tfopt.trainers.LBFGS(500, 1e-9).minimize(model, loss, verbose=0)
    assert result.loss == pytest.approx(best.loss, abs=1e-6), name
    assert result.converged
    assert result.gradient_norm is None


def test_learns_through_thresholds_from_the_accuracy_alone():
    keras.utils.set_random_seed(2)
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], "float32")
    y = np.array([0, 1, 1, 0], "float32")
    model = keras.Sequential(
        [
            keras.Input((2,)),
            layers.Dense(4),
            layers.Lambda(ops.sign),
            layers.Dense(1),
            layers.Lambda(ops.sign),
        ]
    )

    def errors(model, x, y):
        return ops.mean(ops.cast(ops.not_equal(model(x)[:, 0] > 0, y > 0), "float32"))

    result = Evolution(300, sigma=1.0, population_size=20, seed=3).minimize(model, errors, (x, y), verbose=0)
    assert result.loss == 0 < result.history[0]
    assert ((model.predict(x, verbose=0)[:, 0] > 0) == y).all()


def test_a_run_is_its_seed_alone(dense, points):
    def run(seed):
        np.random.seed(0)
        before = np.random.get_state()[1].tolist()
        result = Evolution(5, seed=seed).minimize(dense(), "mse", points(), verbose=0)
        assert np.random.get_state()[1].tolist() == before
        return result

    assert run(0).history == run(0).history != run(1).history


def test_result_and_progress(dense, points, capsys):
    seen = []
    model, (x, y) = dense(), points()
    result = Evolution(4).minimize(model, "mse", (x, y), callback=lambda *values: seen.append(values))
    assert "4/4" in capsys.readouterr().out
    assert [generation for generation, _ in seen] == [1, 2, 3, 4]
    assert result.history[1:] == [loss for _, loss in seen]
    assert sorted(result.history, reverse=True) == result.history
    assert not result.converged
    assert "max_iter=4" in result.message
    assert result.loss == pytest.approx(np.mean((model(x) - y) ** 2))
    batched = Evolution(4).minimize(dense(), "mse", (x, y), batch_size=3, verbose=0)
    assert batched.history == pytest.approx(result.history)


@pytest.mark.parametrize("error", [StopIteration, KeyboardInterrupt])
def test_the_best_weights_are_kept_where_a_run_is_stopped(dense, points, error):
    model, (x, y), lowest = dense(), points(), []

    def stop(generation, loss):
        lowest.append(loss)
        if generation == 3:
            raise error

    trainer = Evolution(50)
    if error is StopIteration:
        assert trainer.minimize(model, "mse", (x, y), callback=stop, verbose=0).message == (
            "Stopped by the callback."
        )
    else:
        with pytest.raises(error):
            trainer.minimize(model, "mse", (x, y), callback=stop, verbose=0)
    assert np.mean((model(x) - y) ** 2) == pytest.approx(lowest[-1])


def test_pruned_weights_stay_zero(mlp, points):
    model = tfopt.prune(mlp(), 0.5)
    zeros = [layer.kernel.numpy() == 0 for layer in model.layers if hasattr(layer, "kernel")]
    Evolution(5).minimize(model, "mse", points(), verbose=0)
    kernels = [layer.kernel.numpy() for layer in model.layers if hasattr(layer, "kernel")]
    assert all((kernel[zero] == 0).all() for kernel, zero in zip(kernels, zeros, strict=True))


def test_a_loss_that_is_flat_says_so(dense):
    result = Evolution(100).minimize(dense(), lambda model: ops.zeros(()), verbose=0)
    assert not result.converged
    assert "larger sigma" in result.message


def test_some_samples_may_have_no_loss_but_not_a_whole_generation(dense):
    def loss(bound):
        def root(model):
            first = ops.convert_to_tensor(model.trainable_variables[0])
            return ops.sum(ops.where(first > bound, float("nan"), ops.square(first - 0.1)))

        return root

    model = dense()
    model.trainable_variables[0].assign(ops.zeros_like(model.trainable_variables[0]))
    assert Evolution(30).minimize(model, loss(0.2), verbose=0).loss < 0.01
    model.trainable_variables[0].assign(ops.zeros_like(model.trainable_variables[0]))
    with pytest.raises(NonFiniteError, match="smaller sigma"):
        Evolution(30, sigma=1e6).minimize(model, loss(0.2), verbose=0)
    with pytest.raises(NonFiniteError, match="at the start"):
        Evolution(30).minimize(model, loss(-1.0), verbose=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"population_size": 1}, "at least 2, got 1"),
        ({"sigma": 0.0}, "sigma"),
        ({"max_iter": 0}, "max_iter"),
        ({"seed": -1}, "seed"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(InvalidArgumentError, match=message):
        Evolution(**arguments)


def test_too_many_weights_for_a_covariance():
    model = keras.Sequential([keras.Input((100,)), layers.Dense(101)])
    with pytest.raises(InvalidArgumentError, match="diagonal=True"):
        Evolution(1).minimize(model, lambda model: ops.sum(ops.square(model.layers[0].kernel)), verbose=0)
    result = Evolution(1, diagonal=True).minimize(
        model, lambda model: ops.sum(ops.square(model.layers[0].kernel)), verbose=0
    )
    assert result.iterations == 1
    with pytest.raises(InvalidArgumentError, match="callback"):
        Evolution(1).minimize(model, "mse", callback=3)
