"""Convolutions as multiplications of matrices."""

import keras
import numpy as np
import pytest
from keras import layers

from tfopt.post_training.patches import as_matrices, from_matrices, rows

IMAGE, SERIES = (6, 5, 4), (7, 4)
LAYERS = {
    "Dense": (layers.Dense(3, use_bias=False), SERIES),
    "Conv2D": (layers.Conv2D(6, (3, 2), use_bias=False), IMAGE),
    "same, with strides": (layers.Conv2D(6, 3, strides=2, padding="same", use_bias=False), IMAGE),
    "dilated": (layers.Conv2D(6, 2, dilation_rate=2, use_bias=False), IMAGE),
    "groups": (layers.Conv2D(6, 3, groups=2, use_bias=False), IMAGE),
    "Conv1D": (layers.Conv1D(6, 3, use_bias=False), SERIES),
    "causal": (layers.Conv1D(6, 3, padding="causal", dilation_rate=2, use_bias=False), SERIES),
    "DepthwiseConv2D": (layers.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False), IMAGE),
    "DepthwiseConv1D": (layers.DepthwiseConv1D(3, use_bias=False), SERIES),
}


@pytest.mark.parametrize(("layer", "shape"), LAYERS.values(), ids=LAYERS)
def test_rows_times_matrices_is_what_the_layer_returns(layer, shape):
    x = keras.ops.convert_to_tensor(np.random.default_rng(0).normal(size=(2, *shape)).astype("float32"))
    expected = np.asarray(layer(x))
    kernel = layer.kernel.numpy()
    matrices = as_matrices(layer, kernel)
    made = rows(layer, x) @ matrices  # (groups, outputs, channels of a group)
    made = np.moveaxis(made, 0, 1).reshape(expected.shape)
    np.testing.assert_allclose(made, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(from_matrices(layer, matrices, kernel.shape), kernel)
