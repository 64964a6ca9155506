"""The whole pipeline on every kind of Keras 3 model: Sequential, functional, several ends, nested."""

import keras
import numpy as np
import pytest

import tfopt
from tfopt import graph

layers = keras.layers


def _sequential():
    return keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            layers.Conv2D(4, 3, use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )


def _functional():
    inputs = keras.Input((6, 6, 1))
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(inputs)
    y = layers.Conv2D(4, 3, padding="same")(x)
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(layers.ReLU()(x + y))))


def _nested():
    block = keras.Sequential(
        [keras.Input((6, 6, 1)), layers.Conv2D(4, 3, name="conv"), layers.ReLU(name="relu")], name="block"
    )
    inputs = keras.Input((6, 6, 1))
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(block(inputs))))


def _several():
    left, right = keras.Input((6, 6, 1), name="left"), keras.Input((4,), name="right")
    joined = layers.Concatenate()([layers.Flatten()(layers.Conv2D(4, 3, name="conv")(left)), right])
    x = layers.Dense(8, activation="relu", name="hidden")(joined)
    return keras.Model(
        {"left": left, "right": right}, [layers.Dense(3, name="kind")(x), layers.Dense(1, name="size")(x)]
    )


def _one_input():
    rng = np.random.default_rng(0)
    labels = np.arange(90) % 3
    x = rng.normal(size=(90, 6, 6, 1)) + labels[:, None, None, None]
    return tfopt.data.from_arrays(x, labels, name="blobs")


def _several_inputs():
    rng = np.random.default_rng(0)
    labels = np.arange(90) % 3
    left = rng.normal(size=(90, 6, 6, 1)) + labels[:, None, None, None]
    x = {"left": left, "right": rng.normal(size=(90, 4))}
    return tfopt.data.from_arrays(x, (labels, labels / 3), num_classes=None, name="pairs")


STAGES = [
    tfopt.Train(epochs=2),
    tfopt.Prune(sparsity=0.5, epochs=2),
    tfopt.QuantizeAware("int8", epochs=1),
    tfopt.ExportTFLite(),
]
CLASSES = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@pytest.mark.parametrize(
    ("make", "data", "loss", "metrics"),
    [
        pytest.param(_sequential, _one_input, CLASSES, ["accuracy"], marks=pytest.mark.slow),
        pytest.param(_functional, _one_input, CLASSES, ["accuracy"], marks=pytest.mark.slow),
        (_nested, _one_input, CLASSES, ["accuracy"]),
        (_several, _several_inputs, {"kind": CLASSES, "size": "mse"}, {"kind": "accuracy", "size": "mae"}),
    ],
)
def test_every_kind_of_model_goes_through(make, data, loss, metrics, tmp_path):
    data = data()
    recipe = tfopt.Recipe(
        data=data,
        model=make,
        optimizer=keras.optimizers.Adam(0.01),
        stages=STAGES,
        loss=loss,
        metrics=metrics,
    )
    run = recipe.run(out=tmp_path, quiet=True)
    last = run.record["stages"][-1]
    assert last["verification"]["passed"]
    assert last["verification"]["float_operators"] == []
    assert last["sparsity"] >= 0.49

    x, _ = data.split("test")
    expected, got = run.model().predict(x, verbose=0), run.tflite.predict(x)
    expected = expected if isinstance(expected, list) else [expected]
    got = list(got.values()) if isinstance(got, dict) else [got]
    for one, other in zip(expected, got, strict=True):
        assert one.shape == other.shape
        assert np.abs(one - other).max() <= 0.05 * np.abs(one).max()


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(3, activation="softmax")

    def call(self, x):
        return self.dense(keras.ops.reshape(x, (-1, 36)))


def test_a_subclassed_model_is_read_into_a_functional_one(tmp_path):
    model = Subclassed()
    model.compile("adam", CLASSES)
    run = tfopt.Pipeline(STAGES).run(model, _one_input(), out=tmp_path, quiet=True)
    assert run.record["status"] == "complete"


def test_a_subclassed_model_that_trains_in_its_own_way_is_refused_before_training(tmp_path):
    class Own(Subclassed):
        def train_step(self, data):
            raise NotImplementedError

    model = Own()
    model.compile("adam", CLASSES)
    with pytest.raises(tfopt.errors.UnsupportedModel, match=r"own train_step\(\).*inputs=inputs"):
        tfopt.Pipeline(STAGES).run(model, _one_input(), out=tmp_path)
    assert not list(tmp_path.rglob("*.keras"))

    inputs = keras.Input((6, 6, 1))  # the way out, as the message gives it
    functional = keras.Model(inputs, model.call(inputs))
    assert graph.layers(functional)
