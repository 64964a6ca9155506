"""Which operations compute spectra, lead to them or read them before the first trained layer."""

import keras
import numpy as np
from keras import layers as L
from keras import ops

from tfopt.graph import as_functional, nodes
from tfopt.quantization.canonicalize.canonicalize import canonical
from tfopt.quantization.operators.traits import Kind, kind
from tfopt.quantization.planning.spectra import of_spectra


def _found(function, shape):
    inputs = keras.Input(shape)
    model, _ = canonical(as_functional(keras.Model(inputs, function(inputs))))
    graph = nodes(model)
    found = of_spectra(model, {id(node.operation): kind(node.operation) or Kind.FLOAT for node in graph})
    return [type(node.operation).__name__ for node in graph if id(node.operation) in found]


def test_from_the_sound_to_the_first_trained_layer():
    def front(x):
        real, imaginary = ops.rfft(x * 2.0)
        return L.Dense(3)(ops.log(ops.square(real) + ops.square(imaginary) + 1.0))

    found = _found(front, (16,))
    assert found[:2] == ["Scaling", "RFFT"]
    assert found.count("Multiply") == 2
    assert "Dense" not in found


def test_after_trained_layers_a_transform_mixes_features():
    def mixed(x):
        return ops.fft((x, 0.5 * x))[0]

    assert _found(lambda x: mixed(L.Dense(16)(x)), (4, 16)) == []
    assert "Dense" in _found(mixed, (4, 16))


def test_a_mask_that_a_network_computes_is_laid_on_a_spectrum():
    def masked(x):
        real, _ = ops.rfft(x)
        return real * L.Dense(9, activation="sigmoid")(L.Dense(9)(real))

    assert _found(masked, (16,))[-1] == "Multiply"


def test_a_model_without_sounds_has_none():
    assert _found(lambda x: L.Dense(3)(ops.relu(x) * np.float32(2.0)), (4,)) == []
