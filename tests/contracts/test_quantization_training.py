"""What training a quantization-aware model promises, whatever finds the ranges. A new way is one row."""

import contextlib

import keras
import numpy as np
import pytest

import tfopt
from tfopt.callbacks import QuantizationSchedule
from tfopt.quantization import Scheme, calibrate

# name: (scheme, schedule)
WAYS = {
    "observed": (Scheme(), None),
    "lsq": (Scheme(activation_range="lsq"), None),
    "pact": (Scheme(activation_range="pact"), None),
    "symmetric": (Scheme(symmetric=True), None),
    "mse": (Scheme(observer="mse"), None),
    "scheduled": (Scheme(), {"start_at": 3, "freeze_ranges_at": 6}),
    "lsq scheduled": (Scheme(activation_range="lsq"), {"start_at": 3, "freeze_ranges_at": 6}),
}
QUICK = {"scheduled"}

RNG = np.random.default_rng(0)
X = RNG.normal(size=(32, 6)).astype("float32")
Y = RNG.normal(size=(32, 3)).astype("float32")


@pytest.fixture(
    params=[name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in WAYS]
)
def make(request):
    """A factory of one calibrated and compiled model and of its callbacks."""
    scheme, schedule = WAYS[request.param]

    def build(strategy=None, policy="float32", **arguments):
        keras.utils.set_random_seed(0)
        keras.config.set_dtype_policy(policy)
        with strategy.scope() if strategy else contextlib.nullcontext():
            inputs = keras.Input((6,), name="x")
            hidden = keras.layers.Dense(8, activation="relu", name="hidden")(inputs)
            hidden = keras.layers.Dense(8, activation="tanh", name="second")(hidden)
            outputs = keras.layers.Dense(3, dtype="float32", name="head")(hidden)
            model = tfopt.quantize_aware(keras.Model(inputs, outputs), scheme)
            calibrate(model, X, batch_size=8)
            model.compile(keras.optimizers.SGD(0.02, momentum=0.9), "mse", **arguments)
        return model

    build.callbacks = lambda: [QuantizationSchedule(**schedule)] if schedule else []
    yield build
    keras.config.set_dtype_policy("float32")


def train(make, model, epochs=2, initial_epoch=0):
    fit = {"batch_size": 8, "epochs": epochs, "initial_epoch": initial_epoch, "shuffle": False, "verbose": 0}
    model.fit(X, Y, callbacks=make.callbacks(), **fit)
    return model


def distance(one, other):
    return max(np.abs(a - b).max() for a, b in zip(one.get_weights(), other.get_weights(), strict=True))


@pytest.mark.slow
def test_training_moves_the_weights(make):
    assert distance(make(), train(make, make())) > 1e-3


def test_two_devices_equal_one(make, two_devices):
    """Ranges are those of the whole batch, and so are gradients of trained ranges."""
    assert distance(train(make, make()), train(make, make(two_devices))) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [{"jit_compile": True}, {"run_eagerly": True}])
def test_compiled_equals_eager(make, arguments):
    # Where a value lies between two integers, rounding in float32 decides.
    assert distance(train(make, make()), train(make, make(**arguments))) < 0.02


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_trains_and_keeps_ranges_in_float32(make, policy):
    plain, mixed = train(make, make()), train(make, make(policy=policy))
    assert distance(plain, mixed) < 0.1
    quantizer = mixed.get_layer("hidden.relu.quantizer")
    assert {variable.dtype for variable in quantizer.variables} == {"float32"}
    assert float(quantizer.batches) > 8


def test_training_goes_on_from_a_saved_model_exactly(make, tmp_path):
    whole = train(make, make(run_eagerly=True), epochs=2)
    part = make(run_eagerly=True)
    fit = {"batch_size": 8, "shuffle": False, "verbose": 0}

    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = True

    part.fit(X, Y, epochs=2, callbacks=[*make.callbacks(), Stop()], **fit)
    part.save(tmp_path / "part.keras")
    loaded = keras.models.load_model(tmp_path / "part.keras")
    loaded.run_eagerly = True
    train(make, loaded, epochs=2, initial_epoch=1)
    assert distance(whole, loaded) == 0
