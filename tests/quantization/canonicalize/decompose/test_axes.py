"""Operations along axes: the canonical model computes the same, of operations that int8 has a rule for."""

import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops

import tfopt
from tfopt.quantization import calibrate
from tfopt.quantization.canonicalize.canonicalize import canonical

VECTOR = np.array([0.5, -1.0, 2.0], "float32")
OPERATIONS = {
    "logaddexp": lambda x: ops.logaddexp(x, -x),
    "diff": lambda x: ops.diff(x, axis=1),
    "diff_twice": lambda x: ops.diff(x, n=2),
    "cross": lambda x: ops.cross(x, x[:, ::-1]),
    "cross_with_constant": lambda x: ops.cross(x, VECTOR),
    "diagonal": lambda x: ops.diagonal(x, axis1=1, axis2=2),
    "trace": lambda x: ops.trace(x, axis1=2, axis2=1),
    "count_nonzero": lambda x: ops.count_nonzero(ops.relu(x), axis=1),
    "softmax_of_axes": lambda x: L.Softmax(axis=(1, 2))(x),
    "softmax_of_axes_masked": lambda x: L.Softmax(axis=(1, 2))(x, mask=x[:, :1] > 0),
    "softmax_of_axes_masked_by_constant": lambda x: L.Softmax(axis=(-2, -1))(x, mask=VECTOR > 0),
    "softmax_of_rows_masked": lambda x: L.Softmax(axis=1)(x, mask=x > 0),
    "attention_over_grids": lambda x: L.MultiHeadAttention(2, 4)(x[:, None], x[:, None])[:, 0],
    **{f"rot90_{k}": lambda x, k=k: ops.rot90(x, k=k, axes=(1, 2)) for k in (-1, 0, 1, 2, 3)},
}
X = np.random.default_rng(0).normal(size=(64, 3, 3)).astype("float32")


def _model(function):
    inputs = keras.Input((3, 3))
    return keras.Model(inputs, function(L.Dense(3)(inputs)))


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_canonical_model_computes_the_same(name):
    model = _model(OPERATIONS[name])
    np.testing.assert_allclose(canonical(model)[0](X), model(X), atol=5e-6)
    assert tfopt.quantize_aware(model)


@pytest.mark.parametrize(
    "name",
    [name if name == "diagonal" else pytest.param(name, marks=pytest.mark.slow) for name in OPERATIONS],
)
def test_the_file_does_what_the_model_does(name):
    keras.utils.set_random_seed(0)
    quantized = tfopt.quantize_aware(_model(OPERATIONS[name]))
    calibrate(quantized, X)
    difference = tfopt.to_tflite(quantized).verify(quantized, X)
    assert difference.max_lsb is None or difference.max_lsb <= 1
    assert difference.snr_db > 30
