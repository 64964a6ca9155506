"""The trainable weights of a model as one vector."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfopt
from tfopt.errors import InvalidArgumentError, UnsupportedModel
from tfopt.trainers.weights import WeightVector


def model(**dense):
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, **dense), keras.layers.Dense(1)])


def test_what_is_written_is_read_and_in_the_model():
    made = model()
    weights = WeightVector(made)
    assert weights.size == 3 * 2 + 2 + 2 + 1
    vector = np.arange(weights.size, dtype="float64")
    weights.write(vector)
    np.testing.assert_array_equal(weights.read(), vector)
    np.testing.assert_array_equal(made.get_weights()[0].ravel(), vector[:6])


def test_pruned_weights_are_no_part_and_stay_zero():
    made = tfopt.prune(model(), 0.5)
    zeros = [w == 0 for w in made.get_weights()[::2]]
    weights = WeightVector(made)
    assert weights.size == 11 - sum(int(z.sum()) for z in zeros)
    weights.write(np.ones(weights.size))
    for zero, kernel in zip(zeros, made.get_weights()[::2], strict=True):
        np.testing.assert_array_equal(kernel, ~zero)
    np.testing.assert_array_equal(weights.select(weights.spread(np.ones(weights.size))), 1)


def test_joining_undoes_splitting_and_none_is_zero():
    weights = WeightVector(model())
    entries = tf.range(11, dtype="float64")
    parts = weights.split(entries)
    assert [part.shape for part in parts] == [(3, 2), (2,), (2, 1), (1,)]
    np.testing.assert_array_equal(weights.join(parts), entries)
    assert not np.any(weights.join([None] * 4))


def test_vectors_are_equal_once_they_are_rounded():
    weights = WeightVector(model())
    assert weights.equal(np.ones(11), np.ones(11) + 1e-9)
    assert not weights.equal(np.ones(11), np.ones(11) + 1e-6)


@pytest.mark.parametrize(
    ("made", "error", "message"),
    [
        (lambda: "model", InvalidArgumentError, "Expected a keras.Model, got str"),
        (lambda: keras.Sequential([keras.layers.Dense(1)]), InvalidArgumentError, "no weights yet"),
        (lambda: model(dtype="float16"), UnsupportedModel, "computes in float16"),
        (lambda: model(kernel_constraint="non_neg"), UnsupportedModel, "the constraint NonNeg"),
        (
            lambda: tfopt.prune(model(), 0.5, schedule=tfopt.pruning.Cubic()),
            UnsupportedModel,
            "pruned further while it trains",
        ),
    ],
)
def test_what_cannot_be_trained_is_named(made, error, message):
    with pytest.raises(error, match=message):
        WeightVector(made())


def test_a_frozen_model_has_nothing_to_train():
    made = model()
    made.trainable = False
    with pytest.raises(InvalidArgumentError, match="no trainable weights"):
        WeightVector(made)
