import keras
import numpy as np
import pytest
import tensorflow as tf

from tfopt.data import from_arrays
from tfopt.errors import DataError, InvalidArgumentError, UnsupportedModel
from tfopt.pipeline.preflight import planned
from tfopt.pipeline.run_config import RunConfig
from tfopt.pipeline.training.compilation import Compilation
from tfopt.stages import Train

RNG = np.random.default_rng(0)
DATA = from_arrays(RNG.random((40, 4)), np.arange(40) % 3, name="four")


def plan(model, data=DATA, loss="sparse_categorical_crossentropy"):
    config = RunConfig(
        caller="Pipeline",
        name="test",
        data=data,
        stages=[Train()],
        compilation=Compilation.of(loss, [], optimizer=keras.optimizers.SGD()),
        callbacks=(),
        batch_size=8,
        seed=0,
        strategy=tf.distribute.get_strategy(),
    )
    return planned(config, model)


def dense(units=3, features=4):
    return keras.Sequential([keras.Input((features,)), keras.layers.Dense(units)], name="dense")


def test_a_model_that_fits():
    assert plan(dense()).config.data is DATA


@keras.saving.register_keras_serializable("test_preflight")
class Halved(keras.layers.Layer):
    """Forgets its factor when saved."""

    def __init__(self, factor=1.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, x):
        return x * self.factor

    def get_config(self):
        return {"name": self.name}


class NeedsArgument(keras.layers.Layer):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def call(self, x):
        return x * self.factor


def with_layer(layer):
    inputs = keras.Input((4,))
    return keras.Model(inputs, layer(keras.layers.Dense(3)(inputs)), name="custom")


class AsksForNumbers(keras.Model):
    def call(self, x):
        return keras.ops.convert_to_numpy(x)


@pytest.mark.parametrize(
    ("model", "kind", "message"),
    [
        (
            dense(features=5),
            InvalidArgumentError,
            r"takes inputs of shape \(5,\), the data 'four' has \(4,\)",
        ),
        (dense(units=5), InvalidArgumentError, "has 5 outputs, the data 'four' has 3 classes. Give its last"),
        (dense(units=1), InvalidArgumentError, "has 1 outputs"),
        (AsksForNumbers(), UnsupportedModel, "functional"),
        ("dense", InvalidArgumentError, r"model must be a keras\.Model, got 'dense'"),
        (with_layer(Halved(0.5)), UnsupportedModel, "computes something else after it was saved"),
        (
            with_layer(NeedsArgument(0.5)),
            UnsupportedModel,
            "cannot be saved and loaded.*NeedsArgument.*register_keras",
        ),
        (with_layer(keras.layers.Lambda(lambda x: 2 * x)), UnsupportedModel, "cannot be saved and loaded"),
    ],
)
def test_what_is_refused(model, kind, message):
    with pytest.raises(kind, match=message):
        plan(model)


def test_one_sigmoid_tells_two_classes_apart():
    two = from_arrays(RNG.random((40, 4)), np.arange(40) % 2)
    plan(dense(units=1), two, loss="binary_crossentropy")
    with pytest.raises(InvalidArgumentError, match="has 2 classes"):
        plan(dense(units=1), two)


def test_inputs_by_name_are_put_in_the_models_order():
    b, a = keras.Input((2,), name="b"), keras.Input((5,), name="a")
    model = keras.Model([b, a], keras.layers.Dense(3)(keras.layers.Concatenate()([b, a])))
    x = {"a": RNG.random((40, 5)), "b": RNG.random((40, 2))}
    data = plan(model, from_arrays(x, np.arange(40) % 3)).config.data
    assert data.input_shape == ((2,), (5,))
    with pytest.raises(DataError, match=r"inputs are b, a, the data's a, c"):
        plan(model, from_arrays({"a": x["a"], "c": x["b"]}, np.arange(40) % 3))


def test_targets_that_are_no_classes():
    data = from_arrays(RNG.random((40, 4)), (RNG.random((40, 1)), RNG.random((40, 1))), num_classes=None)
    with pytest.raises(InvalidArgumentError, match="has 1 outputs, the data 'arrays' has 2 targets"):
        plan(dense(units=1), data, loss="mse")
