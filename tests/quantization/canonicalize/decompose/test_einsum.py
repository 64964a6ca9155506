"""Sums of products as people write them: the canonical model computes the same, the file is integer."""

import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops

import tfopt
from tfopt.quantization import calibrate
from tfopt.quantization.canonicalize.canonicalize import canonical

RNG = np.random.default_rng(0)
MATRIX = RNG.normal(size=(6, 5)).astype("float32")
HEADS = RNG.normal(size=(4, 6, 3)).astype("float32")


def _of_one(function, shape=(4, 6)):
    inputs = keras.Input(shape)
    return keras.Model(inputs, function(inputs))


def _of_two(function, one=(4, 6), other=(4, 6)):
    inputs = [keras.Input(one), keras.Input(other)]
    return keras.Model(inputs, function(*inputs))


def _dense(equation, shape, bias_axes=None):
    return _of_one(lambda x: L.EinsumDense(equation, shape, bias_axes=bias_axes, bias_initializer="ones")(x))


MODELS = {
    "ellipsis": lambda: _of_two(lambda a, b: ops.einsum("...ij,...kj->...ik", a, b)),
    "implicit": lambda: _of_one(lambda a: ops.einsum("bij,jk", a, MATRIX)),
    "same_tensor": lambda: _of_one(lambda a: ops.einsum("bij,bkj->bik", a, a)),
    "squares": lambda: _of_one(lambda a: ops.einsum("bij,bij->bi", a, a)),
    "three": lambda: _of_two(lambda a, b: ops.einsum("bij,jk,blk->bil", a, MATRIX @ MATRIX.T, b)),
    "three_tensors": lambda: _of_two(lambda a, b: ops.einsum("bij,bkj,bkl->bil", a, b, b)),
    "by_channel": lambda: _of_one(lambda a: ops.einsum("bij,j->bij", a, MATRIX[:, 0])),
    "by_row": lambda: _of_one(lambda a: ops.einsum("bij,i->bij", a, MATRIX[:4, 0])),
    "outer": lambda: _of_two(lambda a, b: ops.einsum("bi,bj->bij", a, b), (6,), (4,)),
    "labels_of_the_kernel": lambda: _of_one(lambda a: ops.einsum("bhi,hij->bhj", a, HEADS)),
    "constant_first": lambda: _of_one(lambda a: ops.einsum("hij,bhi->bjh", HEADS, a)),
    "sum": lambda: _of_one(lambda a: ops.einsum("bij->b", a)),
    "transpose": lambda: _of_one(lambda a: ops.einsum("bij->bji", a)),
    "sum_of_one_alone": lambda: _of_two(lambda a, b: ops.einsum("bij,bk->bi", a, b), (4, 6), (5,)),
    "constants": lambda: _of_one(lambda a: ops.einsum("ij,kj,bk->bi", MATRIX, MATRIX, a), (6,)),
    "dense_ellipsis": lambda: _dense("...x,xy->...y", 5, "y"),
    "dense_capitals": lambda: _dense("aBC,CD->aBD", (4, 5), "D"),
    "dense_by_row": lambda: _dense("abc,bcd->abd", (4, 5), "bd"),
    "dense_product": lambda: _dense("abc,c->abc", (4, 6)),
    "dense_sum": lambda: _dense("abc,bd->ad", (5,)),
    "dense_part_of_the_bias": lambda: _dense("abc,cde->abde", (4, 2, 3), "e"),
}
QUICK = ("three", "dense_by_row")


def _samples(model):
    arrays = [RNG.normal(size=(64, *x.shape[1:])).astype("float32") for x in model.inputs]
    return arrays if len(arrays) > 1 else arrays[0]


@pytest.mark.parametrize("name", MODELS)
def test_the_canonical_model_computes_the_same(name):
    keras.utils.set_random_seed(0)
    model = MODELS[name]()
    x = _samples(model)
    np.testing.assert_allclose(canonical(model)[0](x), model(x), atol=2e-5)


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in MODELS]
)
def test_the_file_is_integer(name):
    keras.utils.set_random_seed(0)
    model = MODELS[name]()
    x = _samples(model)
    quantized = tfopt.quantize_aware(model)
    calibrate(quantized, x)
    file = tfopt.to_tflite(quantized)
    assert not file.summary().float_operators
    assert file.verify(quantized, x).max_lsb <= 1
