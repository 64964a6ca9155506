"""GradientClipping: what reaches the weights. SGD of rate 1 shows the clipped gradient itself."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfopt.callbacks import GradientClipping
from tfopt.errors import InvalidArgumentError


def linear(strategy=None, **optimizer_arguments):
    """y = w x + 0 with loss -mean(y): the gradient of w is minus the mean of x."""

    def make():
        inputs = keras.Input((2,))
        outputs = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros", name="w")(inputs)
        model = keras.Model(inputs, outputs)
        model.compile(keras.optimizers.SGD(1.0, **optimizer_arguments), loss=lambda _, y: -y)
        return model

    if strategy is None:
        return make()
    with strategy.scope():
        return make()


def step(model, x, *callbacks, epochs=1, batch_size=None):
    """Train and return (weights, logs of the last epoch)."""
    x = np.asarray(x, "float32")
    fit = {"batch_size": batch_size or len(x), "epochs": epochs, "shuffle": False, "verbose": 0}
    history = model.fit(x, np.zeros(len(x)), callbacks=list(callbacks), **fit).history
    return model.get_weights()[0].ravel(), {name: values[-1] for name, values in history.items()}


def test_clips_to_the_threshold():
    weights, logs = step(linear(), [[3.0, 4.0]], GradientClipping("global_norm", 2.5))
    np.testing.assert_allclose(weights, [1.5, 2.0], rtol=1e-6)
    assert logs["nonfinite_steps"] == 0


def test_clips_the_sum_over_replicas(two_devices):
    """Each replica's own gradient is (10, 0) or (-8, 6); clipping each would turn the sum around."""
    x = [[20.0, 0.0], [-16.0, 12.0]]
    weights, _ = step(linear(two_devices), x, GradientClipping("norm", 1.0))
    np.testing.assert_allclose(weights, np.array([2.0, 6.0]) / np.sqrt(40), rtol=1e-6)


def test_clips_the_mean_of_accumulated_batches():
    x = [[20.0, 0.0], [-16.0, 12.0]]
    model = linear(gradient_accumulation_steps=2)
    weights, _ = step(model, x, GradientClipping("norm", 1.0), batch_size=1)
    np.testing.assert_allclose(weights, np.array([2.0, 6.0]) / np.sqrt(40), rtol=1e-6)


def test_threshold_can_change_while_training():
    clipping = GradientClipping("global_norm", 1.0)

    def lower(epoch, logs):
        clipping.threshold = 0.5

    weights, _ = step(
        linear(), [[9.0, 0.0]], clipping, keras.callbacks.LambdaCallback(on_epoch_end=lower), epochs=2
    )
    np.testing.assert_allclose(weights, [1.5, 0.0], rtol=1e-6)
    assert clipping.get_config()["threshold"] == 0.5


@pytest.mark.parametrize("poison", [np.inf, np.nan, 1e30])
@pytest.mark.parametrize("method", ["value", "norm", "global_norm", "adaptive"])
def test_skips_an_update_that_is_not_finite(method, poison):
    model = linear(momentum=0.9)
    x = [[1.0, 1.0], [poison, 1.0], [1.0, 1.0]]
    poisoned, logs = step(model, x, GradientClipping(method), batch_size=1)
    clean, _ = step(linear(momentum=0.9), [x[0], x[2]], GradientClipping(method), batch_size=1)
    np.testing.assert_array_equal(poisoned, clean)
    assert logs["nonfinite_steps"] == 1
    assert int(model.optimizer.iterations.numpy()) == 2


def test_skips_what_only_one_replica_saw(two_devices):
    model = linear(two_devices)
    weights, logs = step(model, [[1.0, 1.0], [np.inf, 1.0]], GradientClipping("norm"))
    np.testing.assert_array_equal(weights, 0.0)
    assert logs["nonfinite_steps"] == 1


def test_skips_a_whole_accumulated_update_in_step():
    x = [[1.0, 0.0], [np.nan, 0.0], [1.0, 0.0], [3.0, 0.0]]
    model = linear(gradient_accumulation_steps=2)
    weights, logs = step(model, x, GradientClipping("norm", 100.0), batch_size=1)
    np.testing.assert_array_equal(weights, [2.0, 0.0])
    assert logs["nonfinite_steps"] == 1
    assert int(model.optimizer.iterations.numpy()) == 1


def branches():
    """Two layers with the gradients (3, 4) and (30, 40), one of them in a nested model."""
    inner = keras.Sequential([keras.Input((2,)), unit("b")], name="inner")
    inputs = keras.Input((2,))
    outputs = keras.layers.Add()([unit("a")(inputs), inner(inputs * 10.0)])
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.SGD(1.0), loss=lambda _, y: -y)
    return model


def unit(name):
    return keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros", name=name)


@pytest.mark.parametrize(
    ("method", "rules", "a", "b"),
    [
        ("norm", {}, 1.0, 1.0),
        ("norm", {"a": None}, 5.0, 1.0),
        ("norm", {"inner/*": 20.0, "a": 2.0}, 2.0, 20.0),
        ("global_norm", {"inner/b": None}, 1.0, 50.0),
        ("global_norm", {}, 5 / np.sqrt(5**2 + 50**2), 50 / np.sqrt(5**2 + 50**2)),
    ],
)
def test_rules_for_layers(method, rules, a, b):
    model = branches()
    clipping = GradientClipping(method, 1.0, rules=rules)
    model.fit(np.array([[3.0, 4.0]]), np.zeros(1), callbacks=[clipping], verbose=0)
    norms = [
        np.linalg.norm(model.get_layer("a").kernel),
        np.linalg.norm(model.get_layer("inner").get_layer("b").kernel),
    ]
    np.testing.assert_allclose(norms, [a, b], rtol=1e-5)


def test_rule_without_a_layer_is_an_error():
    with pytest.raises(InvalidArgumentError, match=r"'haed'.*: w"):
        step(linear(), [[1.0, 1.0]], GradientClipping("adaptive", rules={"haed": None}))


def test_subclassed_model():
    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = unit("dense")

        def call(self, x):
            return self.dense(x)

    model = Subclassed()
    model.compile(keras.optimizers.SGD(1.0), loss=lambda _, y: -y)
    weights, _ = step(model, [[3.0, 4.0]], GradientClipping("norm", rules={"dense": 2.0}))
    np.testing.assert_allclose(np.linalg.norm(weights), 2.0, rtol=1e-6)


def test_constraint_holds_in_a_skipped_update():
    model = linear()
    model.layers[-1].kernel.constraint = lambda w: w * tf.constant([[1.0], [0.0]])
    weights, _ = step(model, [[1.0, 1.0], [np.nan, 1.0]], GradientClipping("norm"), batch_size=1)
    assert weights[0] > 0
    assert weights[1] == 0
