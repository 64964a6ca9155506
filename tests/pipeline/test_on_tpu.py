import keras
import numpy as np
import pytest
import tensorflow as tf

import tfopt
from tfopt.errors import InvalidArgumentError, UnsupportedModel


class TPUStrategy(tf.distribute.OneDeviceStrategy):
    """Stands for that of a TPU, by its name."""


@pytest.fixture(scope="module")
def tpu():
    return TPUStrategy("CPU:0")


@pytest.fixture(scope="module")
def data():
    x = np.random.default_rng(0).normal(size=(20, 4)).astype("float32")
    return tfopt.data.from_arrays(x, np.arange(20) % 3, scale="none", name="points")


@keras.saving.register_keras_serializable(package="tests")
class Sorted(keras.layers.Layer):
    """Sorts in Python."""

    def call(self, x):
        return tf.ensure_shape(tf.numpy_function(np.sort, [tf.stop_gradient(x)], tf.float32), [None, 8])

    def compute_output_shape(self, shape):
        return shape


def network(*between, **compiled):
    keras.utils.set_random_seed(0)
    layers = [keras.Input((4,)), keras.layers.Dense(8), *between, keras.layers.Dense(3, "softmax")]
    model = keras.Sequential(layers, name="network")
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], **compiled)
    return model


def run(model, data, strategy, folder, **others):
    pipeline = tfopt.Pipeline([tfopt.Train(epochs=1)])
    return pipeline.run(model, data, out=folder, strategy=strategy, batch_size=8, quiet=True, **others)


def test_python_in_a_layer_is_named_before_training(data, tpu, tmp_path):
    model = network(Sorted(name="in_order"))
    with pytest.raises(UnsupportedModel, match=r"no PyFunc, .* in 'in_order': write that part"):
        run(model, data, tpu, tmp_path)


def test_float16_and_eager_steps(data, tpu, tmp_path):
    with pytest.raises(UnsupportedModel, match='pass precision="mixed_bfloat16"'):
        run(network(), data, tpu, tmp_path, precision="mixed_float16")
    with pytest.raises(InvalidArgumentError, match="run_eagerly=True, and a TPU runs compiled steps only"):
        run(network(run_eagerly=True), data, tpu, tmp_path)


@pytest.mark.slow
def test_what_was_advised_trains(data, tpu, tmp_path):
    recorded = run(network(), data, tpu, tmp_path, precision="mixed_bfloat16", drop_remainder=True)
    assert recorded.typed.strategy.name == "tpu"
    assert len(recorded.typed.stages[-1].history["loss"]) == 1
