"""Where the weights of a schedule-free optimizer stand while `fit` runs."""

import contextlib

import keras
import numpy as np
import pytest

from tests.at_length import some
from tfopt.callbacks import EvaluateAtAverage, GradientClipping
from tfopt.errors import InvalidArgumentError
from tfopt.optimizers import Lookahead, ScheduleFreeAdamW, ScheduleFreeSGD

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(32, 3)).astype("float32")
Y = RANDOM.normal(size=(32, 1)).astype("float32")


def averaging(**others):
    """At momentum 0 the weights in training are the steps, and the average is their mean."""
    return ScheduleFreeSGD(0.1, momentum=0.0, **others)


def several():
    kernels, biases = averaging(), averaging()
    return keras.optimizers.MultiOptimizer(lambda variable: biases if "bias" in variable.path else kernels)


OPTIMIZERS = {
    "plain": averaging,
    "loss scale": lambda: keras.optimizers.LossScaleOptimizer(averaging()),
    "several": several,
    "wrapped": lambda: Lookahead(averaging(), sync_period=100),
}


def compiled(optimizer, strategy=None):
    keras.utils.set_random_seed(0)
    with strategy.scope() if strategy else contextlib.nullcontext():
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), keras.layers.Dense(1)])
        model.compile(optimizer if isinstance(optimizer, str) else optimizer(), "mse")
    return model


def fit(model, *callbacks, epochs=3, **arguments):
    fit_arguments = {"batch_size": 8, "epochs": epochs, "shuffle": False, "verbose": 0, **arguments}
    return model.fit(X, Y, callbacks=list(callbacks), **fit_arguments).history


def evaluate(model, weights):
    """The loss of other weights, without an optimizer in reach."""
    other = compiled("sgd")
    other.set_weights(weights)
    return other.evaluate(X, Y, verbose=0)


class Watch(keras.callbacks.Callback):
    """Notes the weights before and after each batch and at the end of each epoch."""

    def __init__(self):
        super().__init__()
        self.before, self.after, self.shown = [], [], []

    def on_train_batch_begin(self, batch, logs=None):
        self.before.append(self.model.get_weights())

    def on_train_batch_end(self, batch, logs=None):
        self.after.append(self.model.get_weights())

    def on_epoch_end(self, epoch, logs=None):
        self.shown.append(self.model.get_weights())

    def mean(self, batches):
        return [np.mean(each, axis=0) for each in zip(*self.after[:batches], strict=True)]


def assert_close(one, other, tolerance=1e-6):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    ("name", "devices"),
    some(
        [*((name, 1) for name in OPTIMIZERS), ("plain", 2), ("loss scale", 2)],
        [("plain", 1), ("loss scale", 2)],
    ),
)
def test_all_that_looks_at_the_model_sees_the_average(name, devices, two_devices, tmp_path):
    model, watch = compiled(OPTIMIZERS[name], two_devices if devices == 2 else None), Watch()
    saving = keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.weights.h5", save_weights_only=True)
    history = fit(model, EvaluateAtAverage(), saving, watch, validation_data=(X, Y), validation_freq=2)
    for epoch, shown in enumerate(watch.shown, start=1):
        assert_close(shown, watch.mean(4 * epoch))
        saved = compiled("sgd")
        saved.load_weights(tmp_path / f"{epoch}.weights.h5")
        assert_close(shown, saved.get_weights(), tolerance=0)
    assert history["val_loss"] == pytest.approx([evaluate(model, watch.mean(8))])
    assert_close(model.get_weights(), watch.mean(12))
    # And every gradient is taken where the last update ended.
    for before, after in zip(watch.before[1:], watch.after[:-1], strict=True):
        assert_close(before, after)


def test_without_it_the_model_ends_at_the_average(tmp_path):
    model, watch = compiled(averaging), Watch()
    history = fit(model, watch, validation_data=(X, Y))
    assert history["val_loss"] == pytest.approx([evaluate(model, watch.after[4 * n - 1]) for n in (1, 2, 3)])
    assert_close(model.get_weights(), watch.mean(12))
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(evaluate(model, watch.mean(12)))
    model.save(tmp_path / "model.keras")
    assert_close(keras.models.load_model(tmp_path / "model.keras").get_weights(), watch.mean(12))
    model.export(tmp_path / "exported", verbose=False)
    served = keras.layers.TFSMLayer(tmp_path / "exported", call_endpoint="serve")(X)
    np.testing.assert_allclose(served, model.predict(X, verbose=0), atol=1e-6)


def test_goes_on_from_the_average_it_was_left_at():
    """The first gradient of a second fit() is taken there; the update itself starts where it should."""
    model, watch = compiled(averaging), Watch()
    fit(model, watch, epochs=1)
    fit(model, watch, epochs=1)
    assert_close(model.get_weights(), watch.mean(8))


def test_gradients_are_taken_at_the_same_weights_in_one_fit_or_two():
    one, two = compiled(lambda: ScheduleFreeAdamW(0.1)), compiled(lambda: ScheduleFreeAdamW(0.1))
    fit(one, EvaluateAtAverage(), epochs=2)
    fit(two, EvaluateAtAverage(), epochs=1)
    two.evaluate(X, Y, verbose=0)
    fit(two, EvaluateAtAverage(), epochs=1)
    assert_close(one.get_weights(), two.get_weights(), tolerance=0)


def test_resumes_after_an_interrupt(tmp_path):
    """BackupAndRestore loads the model after training began."""

    def interrupt(epoch, logs):
        if epoch == 1:
            raise KeyboardInterrupt

    def backup():
        return keras.callbacks.BackupAndRestore(tmp_path / "backup")

    uninterrupted, first, second = (compiled(lambda: ScheduleFreeAdamW(0.1)) for _ in range(3))
    fit(uninterrupted, EvaluateAtAverage())
    with pytest.raises(KeyboardInterrupt):
        fit(
            first,
            EvaluateAtAverage(),
            backup(),
            keras.callbacks.LambdaCallback(on_epoch_begin=interrupt),
        )
    fit(second, EvaluateAtAverage(), backup())
    assert_close(uninterrupted.get_weights(), second.get_weights(), tolerance=0)


def test_works_beside_clipping():
    model, watch = compiled(averaging), Watch()
    fit(model, EvaluateAtAverage(), GradientClipping("global_norm", 0.1), watch)
    assert_close(model.get_weights(), watch.mean(12))


@pytest.mark.parametrize("callbacks", [[], [EvaluateAtAverage()]])
def test_moving_average_of_weights_has_the_last_word(callbacks):
    model, watch = compiled(lambda: averaging(use_ema=True, ema_momentum=0.5)), Watch()
    fit(model, *callbacks, watch)
    average = watch.after[0]
    for weights in watch.after[1:]:
        average = [0.5 * a + 0.5 * w for a, w in zip(average, weights, strict=True)]
    assert_close(model.get_weights(), average)


def test_evaluates_at_the_average_by_itself():
    """Given to evaluate() or predict() of a model that broke off in training."""
    model, watch = compiled(averaging), Watch()
    model.train_on_batch(X, Y)
    watch.after.append(model.get_weights())
    model.train_on_batch(X, Y)
    watch.after.append(model.get_weights())
    loss = model.evaluate(X, Y, verbose=0, callbacks=[EvaluateAtAverage()])
    assert loss == pytest.approx(evaluate(model, watch.mean(2)))


@pytest.mark.parametrize("run", [fit, lambda m, c: m.evaluate(X, Y, verbose=0, callbacks=[c])])
def test_needs_a_schedule_free_optimizer(run):
    with pytest.raises(InvalidArgumentError, match="ScheduleFreeAdamW"):
        run(compiled("adam"), EvaluateAtAverage())
