"""PReLU behind a transposition stays one operator in integers."""

import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops

import tfopt

BEFORE = {
    "input": lambda x: L.Permute((2, 1, 3))(x),
    "convolution": lambda x: L.Permute((2, 1, 3))(L.Conv2D(4, 3, padding="same")(x)),
    "reshaped": lambda x: L.Reshape((6, 6, 4))(ops.transpose(L.Reshape((36, 4))(x), (0, 2, 1))),
    "relu": lambda x: L.Permute((3, 1, 2))(L.ReLU()(L.Conv2D(6, 3, padding="same")(x))),
}


@pytest.mark.parametrize("name", BEFORE)
def test_a_prelu_behind_a_transposition_is_in_integers(name):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 6, 4))
    model = keras.Model(inputs, L.Dense(3)(L.PReLU("uniform", shared_axes=[1, 2])(BEFORE[name](inputs))))
    x = np.random.default_rng(0).normal(size=(32, 6, 6, 4)).astype("float32")
    file = tfopt.to_tflite(model, "int8", x)
    assert not file.summary().float_operators
    assert file.verify(model, x, classification=False).snr_db > 25
