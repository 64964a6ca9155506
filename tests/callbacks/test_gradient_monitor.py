"""GradientMonitor: the figures in the logs."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tfopt.callbacks import GradientClipping, GradientMonitor
from tfopt.schedules import WarmupCosine


def fit(x, *callbacks, optimizer=None, batch_size=1, epochs=1, strategy=None):
    """Train y = w x + 0 with loss -mean(y), whose gradient is minus the mean of x; return the history."""

    def make():
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, use_bias=False)])
        model.compile(optimizer() if optimizer else keras.optimizers.SGD(0.25), loss=lambda _, y: -y)
        return model

    if strategy is None:
        model = make()
    else:
        with strategy.scope():
            model = make()
    x = np.asarray(x, "float32")
    arguments = {"batch_size": batch_size, "epochs": epochs, "shuffle": False, "verbose": 0}
    return model.fit(x, np.zeros(len(x)), callbacks=list(callbacks), **arguments).history


def test_mean_norm_and_rate_of_each_epoch():
    history = fit([[3.0, 4.0], [0.0, 1.0]], GradientMonitor(), epochs=2)
    np.testing.assert_allclose(history["grad_norm"], [3.0, 3.0], rtol=1e-6)
    assert history["learning_rate"] == [0.25, 0.25]
    assert history["nonfinite_steps"] == [0.0, 0.0]
    assert "clip_rate" not in history


@pytest.mark.parametrize("monitor_first", [True, False])
def test_beside_clipping_in_any_order(monitor_first):
    callbacks = [GradientMonitor(), GradientClipping("global_norm", 2.0)]
    history = fit([[3.0, 4.0], [0.0, 1.0]], *(callbacks if monitor_first else callbacks[::-1]))
    assert history["clip_threshold"] == [2.0]
    np.testing.assert_allclose(history["grad_norm"], [3.0], rtol=1e-6)
    np.testing.assert_allclose(history["clipped_grad_norm"], [1.5], rtol=1e-6)
    np.testing.assert_allclose(history["clip_rate"], [0.5])


def test_clip_rate_counts_entries():
    history = fit([[3.0, 0.5]], GradientMonitor(), GradientClipping("value", 1.0))
    np.testing.assert_allclose(history["clip_rate"], [0.5])


def test_nonfinite_updates_do_not_spoil_the_mean():
    x = [[3.0, 4.0], [np.inf, 0.0], [np.nan, 0.0]]
    history = fit(x, GradientMonitor(), GradientClipping("norm", 100.0))
    np.testing.assert_allclose(history["grad_norm"], [5.0])
    assert history["nonfinite_steps"] == [2.0]


def test_no_finite_update():
    history = fit([[np.nan, 0.0]], GradientMonitor())
    assert np.isnan(history["grad_norm"][0])
    assert history["nonfinite_steps"] == [1.0]


def scheduled():
    return keras.optimizers.SGD(WarmupCosine(1.0, warmup_steps=4, total_steps=8))


def test_shows_the_schedule():
    history = fit([[1.0, 1.0]] * 2, GradientMonitor(), optimizer=scheduled, epochs=3)
    np.testing.assert_allclose(history["learning_rate"], [0.5, 1.0, 0.5], rtol=1e-6)


def test_replicas_share_one_figure(two_devices):
    x = [[6.0, 0.0], [0.0, 8.0]]
    history = fit(x, GradientMonitor(), optimizer=scheduled, batch_size=2, strategy=two_devices)
    np.testing.assert_allclose(history["grad_norm"], [5.0], rtol=1e-6)
    np.testing.assert_allclose(history["learning_rate"], [0.25], rtol=1e-6)


def test_each_rate_of_several_optimizers():
    one, other = keras.optimizers.SGD(0.25, name="one"), keras.optimizers.SGD(0.5, name="other")
    optimizer = keras.optimizers.MultiOptimizer(lambda variable: one if "kernel" in variable.path else other)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(optimizer, "mse")
    history = model.fit(np.ones((1, 2)), np.ones(1), callbacks=[GradientMonitor()], verbose=0).history
    assert (history["learning_rate_one"], history["learning_rate_other"]) == ([0.25], [0.5])


@pytest.mark.parametrize("interval", [1, 2, 50])
def test_measures_the_first_update_of_an_epoch_and_each_after_the_interval(interval):
    """SGD of rate 0.25 on a gradient of norm 5, 0.5, 0.5: the weights are 0, then as large as the sum."""

    class Start(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.set_weights([np.array([[3.0], [4.0]])])

    history = fit([[3.0, 4.0], [0.3, 0.4], [0.3, 0.4]], GradientMonitor(interval), Start(), epochs=2)
    np.testing.assert_allclose(history["effective_learning_rate"], [0.25, 0.25], rtol=1e-5)
    each = np.array([0.25 * 5 / 5, 0.25 * 0.5 / 6.25, 0.25 * 0.5 / 6.375])
    np.testing.assert_allclose(history["update_ratio"], [each[::interval].mean()] * 2, rtol=1e-4)


def two_layers(**compile_arguments):
    keras.utils.set_random_seed(0)
    inner = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="b")], name="inner")
    inputs = keras.Input((2,))
    model = keras.Model(inputs, inner(keras.layers.Dense(3, activation="tanh", name="a")(inputs)))
    model.compile(loss="mse", **compile_arguments)
    return model


@pytest.mark.parametrize("arguments", [{}, {"jit_compile": True}, {"run_eagerly": True}])
def test_layers(arguments):
    x, y = np.ones((4, 2), "float32"), np.ones((4, 2), "float32")
    model = two_layers(optimizer=keras.optimizers.Adam(0.01), **arguments)
    before = model.get_weights()
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model(x) - y))
    gradients = tape.gradient(loss, [v.value for v in model.trainable_variables])
    monitor = GradientMonitor()
    model.fit(x, y, callbacks=[monitor, GradientClipping("global_norm", 0.1)], verbose=0)

    def norm(arrays):
        return np.sqrt(sum(np.sum(np.square(a)) for a in arrays))

    assert [*monitor.layers] == ["a", "inner/b"]
    shrunk = 0.1 / norm(gradients)
    for place, figures in zip((slice(0, 2), slice(2, 4)), monitor.layers.values(), strict=True):
        moved = norm(new - old for new, old in zip(model.get_weights()[place], before[place], strict=True))
        expected = {
            "grad_norm": norm(gradients[place]),
            "clipped_grad_norm": shrunk * norm(gradients[place]),
            "weight_norm": norm(before[place]),
            "update_norm": moved,
            "update_ratio": moved / norm(before[place]),
        }
        assert figures.keys() == expected.keys()
        np.testing.assert_allclose([*figures.values()], [*expected.values()], rtol=1e-4)


def test_waits_for_a_finite_update():
    monitor = GradientMonitor()
    with pytest.warns(UserWarning, match="NaN"):
        fit([[np.nan, 0.0], [3.0, 4.0]], monitor, GradientClipping("norm"))
    (figures,) = monitor.layers.values()
    np.testing.assert_allclose([figures["grad_norm"], figures["clipped_grad_norm"]], [5.0, 1.0], rtol=1e-5)


def test_layers_of_several_optimizers_and_replicas(two_devices):
    def layers(strategy=None):
        monitor = GradientMonitor(interval=2)
        with strategy.scope() if strategy else contextlib.nullcontext():
            one, other = keras.optimizers.SGD(0.1), keras.optimizers.Adam(0.01)
            model = two_layers(
                optimizer=keras.optimizers.MultiOptimizer(lambda v: one if "kernel" in v.path else other)
            )
        x = np.random.default_rng(0).normal(size=(12, 2))
        model.fit(x, x, batch_size=4, shuffle=False, callbacks=[monitor], verbose=0)
        return monitor.layers

    one, two = layers(), layers(two_devices)
    for layer, figures in one.items():
        assert min(figures.values()) > 0
        np.testing.assert_allclose([*two[layer].values()], [*figures.values()], rtol=1e-4)


def test_measuring_does_not_disturb():
    x = np.random.default_rng(0).normal(size=(12, 2))
    weights = []
    for callbacks in ([], [GradientMonitor(interval=1)]):
        model = two_layers(optimizer=keras.optimizers.Adam(0.01))
        model.fit(x, x, batch_size=4, shuffle=False, callbacks=callbacks, verbose=0)
        weights.append(model.get_weights())
    for plain, watched in zip(*weights, strict=True):
        np.testing.assert_array_equal(plain, watched)


def test_threshold_of_a_method_that_learns():
    x = np.zeros((12, 2))
    x[:, 0] = [1.0, 3.0] * 6
    history = fit(x, GradientMonitor(), GradientClipping("autoclip", 50.0))
    np.testing.assert_allclose(history["clip_threshold"], [2.0], rtol=1e-5)


def test_shows_the_loss_scale():
    def scaling():
        return keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.25), initial_scale=64.0)

    history = fit([[3.0, 4.0], [np.inf, 4.0]], GradientMonitor(), optimizer=scaling)
    assert history["loss_scale"] == [32.0]
    np.testing.assert_allclose(history["grad_norm"], [5.0])


def test_writes_for_tensorboard(tmp_path):
    x = [[3.0, 4.0]] * 5
    fit(x, GradientMonitor(interval=2, log_dir=tmp_path))
    events = EventAccumulator(str(tmp_path), size_guidance={"tensors": 0}).Reload()
    (layer,) = {tag.partition("/")[2] for tag in events.Tags()["tensors"]}
    written = events.Tensors(f"update_norm/{layer}")
    assert [event.step for event in written] == [1, 3, 5]
    np.testing.assert_allclose([tf.make_ndarray(e.tensor_proto) for e in written], 1.25, rtol=1e-5)
