"""From a model for training to the one that is exported."""

import keras
import numpy as np

from tfopt import graph


@keras.saving.register_keras_serializable(package="test_lower")
class Doubles(keras.layers.Layer):
    """Is there for training, and is a rescaling in a file."""

    tfopt_quantizer = True

    def call(self, x):
        return 2 * x

    def lower(self):
        return keras.layers.Rescaling(2.0, name=self.name)


def test_a_layer_that_is_called_twice_is_lowered_once():
    inputs = keras.Input((3,))
    doubles = Doubles(name="doubles")
    model = keras.Model(inputs, doubles(doubles(inputs)))
    lowered = graph.lower(model)
    assert graph.is_quantized(model)
    assert not graph.is_quantized(lowered)
    assert [type(layer).__name__ for layer in lowered.layers] == ["InputLayer", "Rescaling"]
    np.testing.assert_array_equal(lowered(np.ones((1, 3))), np.full((1, 3), 4.0))


def test_losses_are_left_out():
    inputs = keras.Input((3,))
    outputs = graph.with_losses(keras.layers.Dense(2, name="head")(inputs), [graph.Loss(inputs)])
    lowered = graph.lower(keras.Model(inputs, outputs))
    assert not [layer for layer in lowered.layers if isinstance(layer, graph.AddedLosses)]
    lowered(np.ones((1, 3)))
    assert lowered.losses == []
    assert "head.losses" in [layer.name for layer in lowered.layers]


def test_half_precision_becomes_float32_with_the_same_values():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, dtype="mixed_float16")])
    lowered = graph.lower(model)
    assert lowered.outputs[0].dtype == "float32"
    np.testing.assert_array_equal(lowered.get_weights()[0], model.get_weights()[0])
