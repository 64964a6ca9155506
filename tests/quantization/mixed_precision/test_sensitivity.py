"""The loss with one layer at a time made coarser, and the choice of a scheme for each."""

import itertools

import keras
import numpy as np
import pytest

import tfopt
from tfopt.errors import DataError, GoalError, InvalidArgumentError
from tfopt.quantization.mixed_precision.bit_allocation import weight_bytes


@pytest.fixture(scope="module")
def problem():
    """A classifier of three layers that separates its classes, and its data."""
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 8, 256)
    x = (np.eye(8)[labels] @ rng.normal(size=(8, 12)) + 0.8 * rng.normal(size=(256, 12))).astype("float32")
    model = keras.Sequential(
        [
            keras.Input((12,)),
            keras.layers.Dense(32, "relu", name="wide"),
            keras.layers.Dense(6, "relu", name="narrow"),
            keras.layers.Dense(8, name="head"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.02), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x, labels, epochs=12, verbose=0)
    return model, x, labels


def _on_grid(kernel, bits):
    step = np.abs(kernel).max(axis=0) / (2 ** (bits - 1) - 1)
    return step * np.floor(kernel / step + 0.5)


def _loss(kernels, biases, x, labels):
    for index, (kernel, bias) in enumerate(zip(kernels, biases, strict=True)):
        x = x @ kernel + bias
        x = np.maximum(x, 0) if index < len(kernels) - 1 else x
    x = x - x.max(axis=1, keepdims=True)
    logarithms = x - np.log(np.exp(x).sum(axis=1, keepdims=True))
    return -logarithms[np.arange(len(labels)), labels].mean()


def test_each_layer_alone_is_measured(problem):
    model, x, labels = problem
    before = model.get_weights()
    table = tfopt.sensitivity(model, (x, labels), ["int8", "int4", 0.5], batch_size=100)

    kernels, biases = before[::2], before[1::2]
    reference = _loss(kernels, biases, x, labels)
    assert table.loss == pytest.approx(reference, abs=1e-5)
    for index, path in enumerate(["wide", "narrow", "head"]):
        row = next(layer for layer in table.layers if layer.path == path)
        magnitudes = np.sort(np.abs(kernels[index]).ravel())
        half = np.where(np.abs(kernels[index]) < magnitudes[magnitudes.size // 2], 0, kernels[index])
        changed = {
            "int8": _on_grid(kernels[index], 8),
            "int4": _on_grid(kernels[index], 4),
            "50% zeros": half,
        }
        for setting, kernel in changed.items():
            expected = _loss([*kernels[:index], kernel, *kernels[index + 1 :]], biases, x, labels) - reference
            assert row.increases[setting] == pytest.approx(expected, abs=2e-5)
    most = [max(layer.increases.values()) for layer in table.layers]
    assert most == sorted(most, reverse=True)
    assert all(layer.path in str(table) for layer in table.layers)
    for now, was in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, was)


def test_without_labels_the_noise_in_the_outputs_counts(problem):
    model, x, _ = problem
    table = tfopt.sensitivity(model, x)
    assert table.loss == 0
    for layer in table.layers:
        assert 0 < layer.increases["int8"] < layer.increases["int4"] < 1


def test_of_all_choices_that_fit_the_best_is_found(problem):
    model, x, labels = problem
    schemes = ("int8", "int4", "ternary")
    table = tfopt.sensitivity(model, (x, labels), schemes)
    every = [
        (
            sum(max(layer.increases[name], 0) for layer, name in zip(table.layers, names, strict=True)),
            sum(weight_bytes(layer, name) for layer, name in zip(table.layers, names, strict=True)),
        )
        for names in itertools.product(schemes, repeat=3)
    ]
    limit = 330
    chosen = tfopt.mixed_precision(model, (x, labels), max_bytes=limit, schemes=schemes)
    assert chosen.weight_bytes <= limit
    increase = sum(max(layer.increase, 0) for layer in chosen.layers)
    assert increase == pytest.approx(min(loss for loss, size in every if size <= limit), abs=1e-6)
    assert set(chosen.rules) == {"wide", "narrow", "head"}
    assert chosen.model.get_layer("wide").scheme == tfopt.quantization.SCHEMES[chosen.rules["wide"]]
    assert tfopt.to_tflite(chosen.model).predict(x[:1]).shape == (1, 8)


def test_layers_stay_wide_until_the_drop_is_small_enough(problem):
    model, x, labels = problem
    schemes = ("int8", "ternary")
    free = tfopt.mixed_precision(model, (x, labels), max_drop=1.0, schemes=schemes)
    assert set(free.rules.values()) == {"ternary"}
    strict = tfopt.mixed_precision(model, (x, labels), max_drop=0.02, schemes=schemes)
    assert strict.drop <= 0.02 < free.drop
    assert free.weight_bytes < strict.weight_bytes
    assert f"{strict.metric:.4f} in float" in str(strict)


def test_a_goal_out_of_reach_keeps_the_closest_attempt(problem):
    model, x, labels = problem
    with pytest.raises(GoalError, match="the smallest has 312") as size:
        tfopt.mixed_precision(model, x, max_bytes=100)
    assert set(size.value.best.rules.values()) == {"int4"}
    with pytest.raises(GoalError, match="still drops") as drop:
        tfopt.mixed_precision(model, (x, labels), max_drop=0.0, schemes=("ternary", "binary"))
    assert drop.value.best.drop > 0


@pytest.mark.parametrize(
    ("function", "data", "options", "error", "message"),
    [
        ("sensitivity", "labelled", {"settings": []}, InvalidArgumentError, "at least one setting"),
        ("sensitivity", "labelled", {"settings": ["int9"]}, InvalidArgumentError, "'int4'.*got 'int9'"),
        ("sensitivity", "labelled", {"settings": [1.5]}, InvalidArgumentError, r"in \(0, 1\), got 1.5"),
        ("sensitivity", "nothing", {}, DataError, "at least one sample"),
        ("sensitivity", "nan", {}, DataError, "NaN"),
        ("mixed_precision", "labelled", {}, InvalidArgumentError, "either max_bytes or max_drop"),
        ("mixed_precision", "labelled", {"max_bytes": 1, "max_drop": 1}, InvalidArgumentError, "either"),
        ("mixed_precision", "inputs", {"max_drop": 0.1}, InvalidArgumentError, "needs labels"),
        ("mixed_precision", "labelled", {"max_drop": -1}, InvalidArgumentError, ">= 0, got -1"),
        ("mixed_precision", "labelled", {"max_bytes": 0}, InvalidArgumentError, ">= 1, got 0"),
        ("mixed_precision", "labelled", {"max_bytes": 1, "schemes": ["int8"]}, InvalidArgumentError, ">= 2"),
    ],
)
def test_what_cannot_be_done_is_said(problem, function, data, options, error, message):
    model, x, labels = problem
    made = {"labelled": (x, labels), "inputs": x, "nothing": (x[:0], labels[:0]), "nan": (x * np.nan, labels)}
    with pytest.raises(error, match=message):
        getattr(tfopt, function)(model, made[data], **options)
