"""Every operation of `keras.ops` that can be part of a model, with typical arguments, as small models."""

import keras
import numpy as np
from keras import layers as L
from keras import ops

ROWS = (4, 6)
IMAGES = (8, 8, 3)
CODES = np.random.default_rng(0).normal(size=(6, 5)).astype("float32")


def _of_one(function, shape=ROWS, dtype="float32"):
    def make():
        inputs = keras.Input(shape, dtype=dtype)
        return keras.Model(inputs, function(inputs))

    return make


def _of_two(function):
    def make():
        inputs = [keras.Input(ROWS), keras.Input(ROWS)]
        return keras.Model(inputs, function(*inputs))

    return make


def _dense(x):
    return L.Dense(6)(x)


def _above_zero(x):
    return ops.softplus(_dense(x)) + 0.1


def _unary(names, before=_dense):
    return {
        name: _of_one(lambda x, name=name: _dense(ops.cast(getattr(ops, name)(before(x)), "float32")))
        for name in names.split()
    }


def _binary(names, before=_dense):
    return {
        name: _of_two(lambda a, b, name=name: ops.cast(getattr(ops, name)(before(a), before(b)), "float32"))
        for name in names.split()
    }


def _reduced(names):
    return {
        name: _of_one(lambda x, name=name: getattr(ops, name)(_dense(x), axis=1)) for name in names.split()
    }


ELEMENTWISE = {
    **_unary(
        "abs absolute exp exp2 expm1 negative square relu relu6 sigmoid silu swish softplus softsign tanh"
    ),
    **_unary(
        "tanh_shrink hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu log_sigmoid elu"
    ),
    **_unary("selu celu gelu soft_shrink softmax log_softmax squareplus sparse_plus sparse_sigmoid sin cos"),
    **_unary("sinc erf real conj nan_to_num copy stop_gradient normalize glu isfinite isnan isinf"),
    **_unary("log log10 log1p log2 sqrt rsqrt reciprocal", _above_zero),
    **_binary("add subtract multiply maximum minimum fmax fmin hypot logaddexp"),
    **_binary("divide true_divide power", _above_zero),
}
ALONG_AXES = {
    **_reduced(
        "mean sum max min amax amin var std logsumexp norm cumsum argmax argmin any all count_nonzero"
    ),
    **_reduced("flip average sort argsort diff"),
    "matmul": _of_two(lambda a, b: ops.matmul(_dense(a), ops.transpose(_dense(b), (0, 2, 1)))),
    "tensordot": _of_one(lambda a: ops.tensordot(a, CODES, 1)),
    "dot": _of_one(lambda a: ops.dot(a, CODES)),
    "clip": _of_one(lambda a: ops.clip(_dense(a), -0.5, 0.7)),
    "where": _of_two(lambda a, b: ops.where(_dense(a) > 0, _dense(b), 0.5)),
    "concatenate": _of_two(lambda a, b: ops.concatenate([_dense(a), b], 1)),
    "stack": _of_two(lambda a, b: ops.stack([_dense(a), b], 1)),
    "split": _of_one(lambda a: ops.split(_dense(a), 2, axis=-1)[1]),
    "unstack": _of_one(lambda a: ops.unstack(_dense(a), axis=1)[2]),
    "repeat": _of_one(lambda a: ops.repeat(_dense(a), 2, axis=1)),
    "tile": _of_one(lambda a: ops.tile(_dense(a), (1, 2, 1))),
    "roll": _of_one(lambda a: ops.roll(_dense(a), 1, axis=1)),
    "pad": _of_one(lambda a: ops.pad(_dense(a), ((0, 0), (1, 1), (0, 2)))),
    "pad_reflect": _of_one(lambda a: ops.pad(_dense(a), ((0, 0), (1, 1), (0, 2)), mode="reflect")),
    "take": _of_one(lambda a: ops.take(_dense(a), [2, 0, 3], axis=1)),
    "top_k": _of_one(lambda a: ops.top_k(_dense(a), 3)[0]),
    "tril": _of_one(lambda a: ops.tril(L.Dense(4)(a))),
    "moments": _of_one(lambda a: ops.concatenate(ops.moments(_dense(a), axes=[1]), -1)),
    "layer_normalization": _of_one(lambda a: ops.layer_normalization(_dense(a))),
    "rms_normalization": _of_one(lambda a: ops.rms_normalization(_dense(a))),
    "conv": _of_one(lambda a: ops.conv(a, np.ones((3, 3, 3, 4), "float32")), IMAGES),
    "max_pool": _of_one(lambda a: ops.max_pool(L.Conv2D(2, 1)(a), 2), IMAGES),
    "average_pool": _of_one(lambda a: ops.average_pool(L.Conv2D(2, 1)(a), 2), IMAGES),
    "extract_patches": _of_one(lambda a: L.Conv2D(2, 1)(ops.image.extract_patches(a, (2, 2))), IMAGES),
    "resize": _of_one(lambda a: ops.image.resize(L.Conv2D(2, 1)(a), (16, 16)), IMAGES),
}
LAYERS = {
    name: _of_one(lambda x, make=make: L.Dense(3)(make()(x)), shape)
    for name, make, shape in (
        ("Conv1DTranspose", lambda: L.Conv1DTranspose(4, 3, strides=2), (8, 6)),
        ("Conv3D", lambda: L.Conv3D(4, 3), (5, 5, 5, 2)),
        ("LayerNormalization", L.LayerNormalization, ROWS),
        ("LayerNormalization_of_one", L.LayerNormalization, (4, 1)),
        ("GroupNormalization_of_one", lambda: L.GroupNormalization(6), (6,)),
        ("RMSNormalization_of_one", L.RMSNormalization, (4, 1)),
        ("UnitNormalization_of_one", L.UnitNormalization, (4, 1)),
        ("SpectralNormalization", lambda: L.SpectralNormalization(L.Dense(4)), ROWS),
        ("PReLU", L.PReLU, ROWS),
        ("ReLU", lambda: L.ReLU(max_value=3.0), ROWS),
        ("Softmax", lambda: L.Softmax(axis=1), ROWS),
        ("UpSampling2D", lambda: L.UpSampling2D(2, interpolation="bilinear"), IMAGES),
        ("AveragePooling1D", lambda: L.AveragePooling1D(2), ROWS),
        ("AdaptiveAveragePooling2D", lambda: L.AdaptiveAveragePooling2D(4), IMAGES),
        ("Resizing", lambda: L.Resizing(4, 4), IMAGES),
    )
}
MODELS = {**ELEMENTWISE, **ALONG_AXES, **LAYERS}
