import keras
import numpy as np
import pytest

from tfopt import measure


def test_zeros_are_counted_in_kernels_alone(small_cnn):
    model = small_cnn()
    assert measure.sparsity(model) == 0.0  # though biases and offsets are zero
    kernel = model.get_layer("hidden").kernel
    kernel.assign(np.where(np.arange(64)[:, None] < 32, 0, kernel))
    weights = 36 + 36 + 16 + 1024 + 160
    assert measure.sparsity(model) == pytest.approx(512 / weights)
    table = {(row.layer, row.weights): row for row in measure.layer_table(model)}
    assert sum(row.weights for row in table.values()) == weights
    assert table["hidden", 1024].zeros == 512
    assert table["hidden", 1024].sparsity == 0.5


def test_a_shared_layer_counts_once():
    a, b, layer = keras.Input((3,)), keras.Input((3,)), keras.layers.Dense(4)
    assert [row.weights for row in measure.layer_table(keras.Model([a, b], [layer(a), layer(b)]))] == [12]


def test_a_model_without_kernels_has_sparsity_0():
    inputs = keras.Input((3,))
    assert measure.sparsity(keras.Model(inputs, keras.layers.ReLU()(inputs))) == 0.0
