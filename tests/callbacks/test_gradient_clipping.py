"""GradientClipping: what reaches the weights. SGD of rate 1 shows the clipped gradient itself."""

import contextlib
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.at_length import some
from tfopt.callbacks import GradientClipping
from tfopt.clipping import METHODS
from tfopt.errors import InvalidArgumentError, TrainingError
from tfopt.pipeline.training.state import capture, restore


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


@pytest.mark.parametrize("poison", some([np.inf, np.nan, 1e30], [np.nan]))
@pytest.mark.parametrize("method", METHODS)
def test_skips_an_update_that_is_not_finite(method, poison):
    model = linear(momentum=0.9)
    x = [[1.0, 1.0], [poison, 1.0], [1.0, 1.0]]
    with pytest.warns(UserWarning, match="inf or NaN"):
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
        ("global_norm", {"a": ("norm", 3.0)}, 3.0, 1.0),
        ("norm", {"a": "value", "inner": ("global_norm", None)}, np.sqrt(2), 1.0),
        ("norm", {"a": lambda update: 2.0 + update}, 2.0, 1.0),
        ("value", {"*": ("global_norm", 1.0)}, 5 / np.sqrt(5**2 + 50**2), 50 / np.sqrt(5**2 + 50**2)),
        ("norm", {"a": ("zclip", 2.5)}, 5.0, 1.0),
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


@pytest.mark.parametrize("accumulated", [None, 2])
@pytest.mark.parametrize(
    "schedule",
    [
        keras.optimizers.schedules.PiecewiseConstantDecay([0, 1], [1.0, 2.0, 3.0]),
        lambda update: update + 1,
        lambda update: 1.0 if update == 0 else 2.0 if update == 1 else 3.0,
    ],
)
def test_schedule_is_of_updates(schedule, accumulated):
    """Thresholds of 1, 2 and 3, and the poisoned update does not count."""
    x = np.repeat([[9.0, 0.0], [9.0, 0.0], [np.nan, 0.0], [9.0, 0.0]], accumulated or 1, axis=0)
    model = linear(gradient_accumulation_steps=accumulated)
    weights, _ = step(model, x, GradientClipping("norm", schedule), batch_size=1)
    np.testing.assert_allclose(weights, [6.0, 0.0], rtol=1e-6)


@pytest.mark.parametrize(("first", "second"), [(lambda update: 2.0, 0.5), (2.0, lambda update: 0.5)])
def test_schedule_and_number_can_replace_each_other_while_training(first, second):
    clipping = GradientClipping("norm", first)

    def replace(epoch, logs):
        clipping.threshold = second

    callbacks = [clipping, keras.callbacks.LambdaCallback(on_epoch_end=replace)]
    weights, _ = step(linear(), [[9.0, 0.0]], *callbacks, epochs=2)
    np.testing.assert_allclose(weights, [2.5, 0.0], rtol=1e-6)


def test_config_can_be_written_as_json():
    schedule = keras.optimizers.schedules.ExponentialDecay(1.0, 10, 0.9)
    clipping = GradientClipping("zclip", schedule, rules={"a": ("norm", schedule), "b": None}, alpha=0.9)
    config = json.loads(json.dumps(clipping.get_config()))
    assert config["threshold"]["class_name"] == config["rules"]["a"][1]["class_name"] == "ExponentialDecay"
    assert (config["rules"]["b"], config["alpha"]) == (None, 0.9)


def spiky(steps):
    """Gradients along one axis, of a size that jumps."""
    x = np.zeros((steps, 2))
    x[:, 0] = np.exp(np.random.default_rng(3).normal(0, 1, steps))
    return x


@pytest.mark.parametrize("method", ["autoclip", "zclip"])
def test_memory_goes_on_over_epochs_and_starts_anew_with_each_fit(method):
    options = {"warmup_steps": 2} if method == "zclip" else {"history": 5}
    threshold, x = (0.5 if method == "zclip" else 50.0), spiky(12)
    clip, state, total = METHODS[method].stateful(**options), None, 0.0
    state = clip.initial_state()
    for value in x[:, 0].astype("float32"):
        (clipped,), state, _ = clip([tf.constant([value])], state, threshold)
        total += float(clipped[0])
    assert total < 0.9 * x.sum()
    clipping = GradientClipping(method, threshold, **options)
    for _ in range(2):
        weights, _ = step(linear(), x, clipping, batch_size=1)
        np.testing.assert_allclose(weights, [total, 0.0], rtol=1e-5)
    model = linear()
    halves = [step(model, half, clipping, batch_size=1)[0] for half in (x[:6], x[6:])]
    assert abs(halves[1][0] - total) > 1e-3


@pytest.mark.parametrize("method", ["autoclip", "zclip"])
def test_memory_can_be_restored_as_the_pipeline_does(method):
    options = {"warmup_steps": 2} if method == "zclip" else {}
    x, saved, arrays = spiky(12), {}, {}
    first, second = (GradientClipping(method, 0.5, **options) for _ in range(2))
    save = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: saved.update(capture(first, arrays, "clipping/"))
    )
    load = keras.callbacks.LambdaCallback(on_train_begin=lambda logs: restore(second, saved, arrays))
    model = linear()
    step(model, x[:6], first, save, batch_size=1)
    resumed, _ = step(model, x[6:], second, load, batch_size=1)
    whole, _ = step(linear(), x, GradientClipping(method, 0.5, **options), batch_size=1)
    np.testing.assert_allclose(resumed, whole, rtol=1e-6)


def test_zclip_knows_each_optimizer_of_several_by_itself():
    def train(rate_of_other):
        one, other = keras.optimizers.SGD(1.0), keras.optimizers.SGD(rate_of_other)
        optimizer = keras.optimizers.MultiOptimizer(lambda v: one if "a" in v.path else other)
        inputs = keras.Input((2,))
        model = keras.Model(inputs, keras.layers.Add()([unit("a")(inputs), unit("b")(inputs * 10.0)]))
        model.compile(optimizer, loss=lambda _, y: -y)
        step(model, spiky(12), GradientClipping("zclip", 0.5, warmup_steps=2), batch_size=1)
        return [model.get_layer(name).kernel.numpy()[0, 0] for name in "ab"]

    a, b = train(0.1)
    np.testing.assert_allclose(a, b, rtol=1e-4)
    assert a < 0.9 * spiky(12).sum()


@pytest.mark.parametrize("limit", [1, 3])
def test_stops_after_so_many_in_a_row(limit, two_devices):
    poison = [np.nan, 0.0]
    for model in (linear(), linear(two_devices)):
        x = [[1.0, 0.0], *[poison] * (limit - 1), [1.0, 0.0], *[poison] * (limit + 5)]
        clipping = GradientClipping("norm", max_nonfinite_steps=limit)
        with pytest.raises(TrainingError, match=f"^{limit} updates in a row.*max_nonfinite_steps"):
            step(model, np.repeat(x, 2, axis=0), clipping, batch_size=2)
        np.testing.assert_array_equal(model.get_weights()[0].ravel(), [2.0, 0.0])
        # It has let go of the optimizer.
        assert step(model, [[3.0, 4.0]] * 2)[0][0] == 5.0


def test_never_stops_where_asked():
    weights, logs = step(
        linear(), [[np.nan, 0.0]] * 30, GradientClipping("norm", max_nonfinite_steps=None), batch_size=1
    )
    assert logs["nonfinite_steps"] == 30
    np.testing.assert_array_equal(weights, 0.0)


def scaled(strategy=None, scale=2.0**15):
    with strategy.scope() if strategy else contextlib.nullcontext():
        model = linear()
        optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(1.0), initial_scale=scale)
        model.compile(optimizer, loss=lambda _, y: -y)
    return model


def test_a_loss_scale_that_is_still_found_is_no_reason_to_stop():
    """The gradient of 1e18 overflows at a scale above 2^68."""
    model, clipping = scaled(scale=2.0**72), GradientClipping("norm", max_nonfinite_steps=2)
    weights, _ = step(model, [[1e18, 0.0]] * 6, clipping, batch_size=1)
    assert weights[0] > 0
    with pytest.raises(TrainingError, match=r"^2 updates in a row"):
        step(scaled(scale=8.0), [[np.nan, 0.0]] * 9, clipping, batch_size=1)


def test_loss_scale_falls_when_only_the_second_replica_overflows(two_devices):
    """Keras looks at the first one only."""
    model = scaled(two_devices)
    x = [[1.0, 0.0], [1e36, 0.0]] * 5
    weights, logs = step(model, x, GradientClipping("norm"), batch_size=2)
    assert logs["nonfinite_steps"] > 0
    assert float(model.optimizer.dynamic_scale.numpy()) < 2**15
    assert np.isfinite(weights).all()


def test_the_log_tells_of_each_skipped_update(caplog):
    x = [[1.0, 0.0], [np.nan, 0.0], [np.inf, 0.0]]
    with (
        caplog.at_level("INFO", "tfopt.callbacks._core.skipped_updates"),
        pytest.warns(UserWarning, match="inf or NaN"),
    ):
        step(linear(), x, GradientClipping("norm"), batch_size=1)
    assert [record.getMessage() for record in caplog.records if record.name.startswith("tfopt")] == [
        f"Skipped an update with inf or NaN in the gradients, {count} in this epoch" for count in (1, 2)
    ]
