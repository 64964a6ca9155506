"""The multipliers of LayerwiseLearningRate, and that they multiply the step."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfopt import optimizers
from tfopt.errors import InvalidArgumentError


def network(kind="functional"):
    keras.utils.set_random_seed(0)
    names = ("stem", "block1_conv", "block1_norm", "block2", "head")
    layers = [keras.layers.Dense(2, name=name) for name in names]
    if kind == "sequential":
        return keras.Sequential([keras.Input((2,)), *layers])
    x = inputs = keras.Input((2,))
    for layer in layers:
        x = layer(x)
    return keras.Model(inputs, x)


def multipliers(model, *arguments, **named):
    """Return the share of SGD's step that each layer's weights moved."""
    optimizer = optimizers.LayerwiseLearningRate(keras.optimizers.SGD(0.1), *arguments, **named)
    before = [layer.kernel.numpy() for layer in model.layers if layer.weights]
    optimizer.apply([tf.ones(v.shape) for v in model.trainable_variables], model.trainable_variables)
    after = [layer.kernel.numpy() for layer in model.layers if layer.weights]
    return [round(float((b - a).mean()) / 0.1, 4) for b, a in zip(before, after, strict=True)]


@pytest.mark.parametrize("kind", ["functional", "sequential"])
def test_decays_from_the_last_layer_down(kind):
    assert multipliers(network(kind), decay=0.5) == [0.0625, 0.125, 0.25, 0.5, 1.0]


def test_a_rule_comes_before_the_decay():
    rules = {"head": 10.0, "stem": 0.0}
    assert multipliers(network(), rules, decay=0.5) == [0.0, 0.25, 0.5, 1.0, 10.0]


def test_blocks_count_as_one_step_each():
    blocks = ("stem", "block1*", "block2", "head")
    assert multipliers(network(), decay=0.5, blocks=blocks) == [0.125, 0.25, 0.25, 0.5, 1.0]


@pytest.mark.parametrize(
    "inner",
    [
        lambda: keras.optimizers.AdamW(0.1, weight_decay=0.2),
        lambda: optimizers.Adan(0.1, weight_decay=0.2),
        lambda: optimizers.Lookahead(keras.optimizers.AdamW(0.1, weight_decay=0.2)),
    ],
)
def test_multiplies_the_step_of_an_optimizer_that_divides_by_the_gradient(inner):
    kernels = [keras.Variable(np.ones(3, "float32"), name="kernel") for _ in range(2)]
    gradient = tf.constant([1e-3, 1.0, -50.0])
    inner().apply([gradient], kernels[:1])
    optimizers.LayerwiseLearningRate(inner(), {"kernel": 0.25}).apply([gradient], kernels[1:])
    np.testing.assert_allclose(1 - kernels[1].numpy(), 0.25 * (1 - kernels[0].numpy()), rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rules": {"tail": 0.5}}, "'tail'"),
        ({"decay": 0.5, "blocks": ("stem", "head")}, "in no block and no rule: block1_conv"),
        ({"decay": 0.5, "blocks": ("stem", "block*", "head", "tail")}, "'tail'"),
    ],
)
def test_what_matches_nothing_is_an_error(arguments, message):
    with pytest.raises(InvalidArgumentError, match=message):
        multipliers(network(), **arguments)
