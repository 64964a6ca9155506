"""When quantization begins, and when ranges and batch normalizations stop moving."""

import copy

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfopt
from tfopt.callbacks import QuantizationSchedule
from tfopt.errors import InvalidArgumentError
from tfopt.pipeline.training import state
from tfopt.quantization import calibrate, freeze_batch_norm, freeze_ranges

RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 4, 4, 1)).astype("float32")
Y = RNG.normal(size=(24, 2)).astype("float32")
STEPS = 6  # an epoch


def float_model():
    keras.utils.set_random_seed(0)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((4, 4, 1), name="x"),
            layers.Conv2D(2, 3, use_bias=False, name="conv"),
            layers.BatchNormalization(momentum=0.5, name="norm"),
            layers.ReLU(name="relu"),
            layers.Flatten(name="flat"),
            layers.Dense(2, name="head"),
        ]
    )


def quantized(scheme="int8", optimizer=None, run_eagerly=True):
    """Eager steps are slow, and tracing one is slower still."""
    model = tfopt.quantize_aware(float_model(), scheme)
    calibrate(model, X, batch_size=4)
    optimizer = optimizer or keras.optimizers.SGD(0.05, momentum=0.9)
    model.compile(optimizer, "mse", run_eagerly=run_eagerly)
    optimizer.build(model.trainable_variables)
    return model


def fit(model, *callbacks, **arguments):
    return model.fit(X, Y, batch_size=4, shuffle=False, verbose=0, callbacks=list(callbacks), **arguments)


class Record(keras.callbacks.Callback):
    """What each step made."""

    def on_train_begin(self, logs=None):
        self.losses, self.kernels, self.ranges, self.means, self.scales = [], [], [], [], []

    def on_train_batch_end(self, batch, logs=None):
        self.losses.append(logs["loss"])
        conv = self.model.get_layer("conv")
        self.kernels.append(getattr(conv, "layer", conv).kernel.numpy())
        norm = self.model.get_layer("norm")
        self.means.append(tuple(norm.moving_mean.numpy()))
        self.scales.append(tuple(norm.gamma.numpy()))
        if conv is not getattr(conv, "layer", conv):
            self.ranges.append(self.model.get_layer("relu.quantizer").lower().maximum)


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one.get_weights(), other.get_weights(), strict=True))


@pytest.fixture(scope="module")
def scheduled():
    """A model that was trained by a schedule of all kinds, in traced steps, and what each step made."""
    model, record = quantized(run_eagerly=False), Record()
    before = model.get_layer("relu.quantizer").lower().maximum
    schedule = QuantizationSchedule(start_at=4, freeze_batch_norm_at=0.5, freeze_ranges_at=13)
    fit(model, schedule, record, epochs=3)
    record.before = before
    return model, record


def test_before_its_start_the_model_trains_as_the_float_model(scheduled):
    _, record = scheduled
    plain, expected = float_model(), Record()
    plain.compile(keras.optimizers.SGD(0.05, momentum=0.9), "mse", run_eagerly=True)
    fit(plain, expected)
    for step in range(4):
        np.testing.assert_allclose(record.kernels[step], expected.kernels[step], atol=1e-6)
    assert np.abs(record.kernels[4] - expected.kernels[4]).max() > 1e-5
    assert len({record.before, *record.ranges[:4]}) == 5  # ranges are observed meanwhile


def test_ranges_stop_at_their_step(scheduled):
    model, record = scheduled
    assert len(set(record.ranges[:13])) == 13
    assert set(record.ranges[12:]) == {record.ranges[12]}
    assert model.get_layer("relu.quantizer").lower().maximum == record.ranges[12]


def test_batch_normalizations_stop_at_their_step_and_go_on_scaling(scheduled):
    model, record = scheduled
    assert len(set(record.means[:9])) == 9
    assert set(record.means[8:]) == {record.means[8]}
    assert len(set(record.scales)) == 3 * STEPS
    # Training and inference are the same function now.
    np.testing.assert_array_equal(model(X, training=True), model(X, training=False))


def test_what_is_frozen_can_be_let_go(scheduled):
    model, record = scheduled
    again = quantized()
    again.set_weights(model.get_weights())
    again(X, training=True)
    assert again.get_layer("relu.quantizer").lower().maximum == record.ranges[-1]
    freeze_ranges(again, False)
    again(2 * X, training=True)
    assert again.get_layer("relu.quantizer").lower().maximum != record.ranges[-1]
    freeze_batch_norm(again)
    mean = again.get_layer("norm").moving_mean.numpy()
    again(2 * X, training=True)
    np.testing.assert_array_equal(again.get_layer("norm").moving_mean, mean)
    freeze_batch_norm(again, False)
    again(2 * X, training=True)
    assert not np.array_equal(again.get_layer("norm").moving_mean, mean)


def test_afterwards_a_fit_quantizes_from_its_first_step_on(scheduled):
    model, _ = scheduled
    assert all(getattr(layer, "gate", None) is None for layer in model.layers)
    model, again = quantized(), quantized()
    fit(model, QuantizationSchedule(start_at=100))
    again.set_weights(model.get_weights())
    for own, others in zip(again.optimizer.variables, model.optimizer.variables, strict=True):
        own.assign(others)
    fit(model)
    fit(again)
    assert same(model, again)


def test_a_fit_that_was_broken_off_leaves_nothing_behind():
    class Break(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise KeyboardInterrupt

    model, again = quantized(), quantized()
    with pytest.raises(KeyboardInterrupt):
        fit(model, QuantizationSchedule(start_at=100), Break())
    again.set_weights(model.get_weights())
    for own, others in zip(again.optimizer.variables, model.optimizer.variables, strict=True):
        own.assign(others)
    fit(model)
    fit(again)
    assert same(model, again)
    assert not any(getattr(layer, "gate", None) for layer in model.layers)


def test_trained_ranges_stop_at_their_step_though_momentum_moves_their_variables():
    record = Record()
    model = quantized(tfopt.quantization.Scheme(activation_range="lsq"), keras.optimizers.Adam(0.01))
    fit(model, QuantizationSchedule(freeze_ranges_at=4), record)
    assert len(set(record.ranges[:4])) == 4
    assert set(record.ranges[4:]) == {record.ranges[3]}


def test_a_frozen_batch_normalization_is_saved_as_a_plain_one(tmp_path):
    model = quantized()
    assert freeze_batch_norm(model)
    assert not freeze_batch_norm(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded.get_layer("norm")) is keras.layers.BatchNormalization
    np.testing.assert_array_equal(loaded(X), model(X))
    assert freeze_batch_norm(loaded)


@pytest.mark.parametrize("epoch", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_resumed_fit_ends_as_if_it_had_not_been_interrupted(tmp_path, epoch):
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, done, logs=None):
            self.model.stop_training = done + 1 == epoch

    schedule = QuantizationSchedule(start_at=8, freeze_batch_norm_at=0.3, freeze_ranges_at=10)
    whole, part, resumed = quantized(), quantized(), quantized()
    fit(whole, schedule, epochs=3)
    fit(part, schedule, Stop(), epochs=3)
    part.save_weights(tmp_path / "part.weights.h5")
    resumed.load_weights(tmp_path / "part.weights.h5")
    assert not same(resumed, whole)

    class Restore(keras.callbacks.Callback):
        """What a pipeline's checkpoint does, after the callbacks have begun."""

        def on_train_begin(self, logs=None):
            state.restore(again, captured, {})

    again = copy.deepcopy(schedule)
    captured = state.capture(schedule, {}, "")
    fit(resumed, again, Restore(), epochs=3, initial_epoch=epoch)
    assert same(resumed, whole)


def test_it_is_saved_copied_and_used_again():
    schedule = QuantizationSchedule(0.25, freeze_ranges_at=4, freeze_batch_norm_at=0.5)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule))
    assert again.get_config() == schedule.get_config()
    first, second, third = quantized(), quantized(), quantized()
    fit(first, copy.deepcopy(schedule))
    fit(second, schedule)
    fit(third, schedule)
    assert same(first, second)
    assert same(first, third)


def test_what_cannot_be_done_is_an_error():
    plain = float_model()
    plain.compile("sgd", "mse")
    with pytest.raises(InvalidArgumentError, match=r"tfopt\.quantize_aware"):
        fit(plain, QuantizationSchedule())
    unknown = tf.data.Dataset.from_generator(
        lambda: ((X[i : i + 4], Y[i : i + 4]) for i in range(0, 24, 4)),
        output_signature=(tf.TensorSpec((None, 4, 4, 1)), tf.TensorSpec((None, 2))),
    )
    with pytest.raises(InvalidArgumentError, match=r"freeze_ranges_at=0\.5 .*steps_per_epoch"):
        quantized().fit(unknown, verbose=0, callbacks=[QuantizationSchedule(freeze_ranges_at=0.5)])
    with pytest.raises(InvalidArgumentError, match="epoch 2 starts"):
        quantized().fit(
            unknown,
            verbose=0,
            initial_epoch=2,
            epochs=3,
            callbacks=[QuantizationSchedule(freeze_ranges_at=5)],
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"start_at": -1}, "start_at .*got -1"),
        ({"start_at": None}, "start_at .*got None"),
        ({"start_at": True}, "start_at"),
        ({"freeze_ranges_at": 1.5}, "freeze_ranges_at .*got 1.5"),
        ({"freeze_batch_norm_at": "0.5"}, "freeze_batch_norm_at .*got '0.5'"),
        ({"freeze_batch_norm_at": float("nan")}, "got nan"),
    ],
)
def test_bad_moments_are_refused(arguments, message):
    with pytest.raises(InvalidArgumentError, match=message):
        QuantizationSchedule(**arguments)
