"""GradientMonitor: the figures in the logs."""

import keras
import numpy as np
import pytest

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
