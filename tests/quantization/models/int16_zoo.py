"""Small models of what surrounds the basic layers: gates, activations, arithmetic, sequences, many ends."""

import keras
import numpy as np
from keras import layers as L
from keras import ops

IMAGE = (8, 8, 4)
SEQUENCE = (12, 4)


def _model(body, shape=IMAGE):
    inputs = keras.Input(shape)
    return keras.Model(inputs, body(inputs))


def _conv(x, filters=8):
    return L.Conv2D(filters, 3, padding="same")(x)


def _activation(layer):
    """Return a model with the activation behind a convolution and behind a pooling."""

    def body(x):
        x = layer()(_conv(x))
        return L.Conv2D(3, 1)(layer()(L.MaxPooling2D()(x)))

    return lambda: _model(body)


def _between(operation, shape=IMAGE):
    """Return a model with an operation on tensors between two convolutions."""
    conv = L.Conv2D if len(shape) == 3 else L.Conv1D

    def body(x):
        return conv(3, 1)(operation(conv(8, 3, padding="same")(x)))

    return lambda: _model(body, shape)


def _squeeze_excite(gate):
    def body(x):
        x = L.ReLU()(L.BatchNormalization()(_conv(x)))
        squeezed = L.Reshape((1, 1, 8))(L.GlobalAveragePooling2D()(x))
        squeezed = L.Conv2D(4, 1, activation="relu")(squeezed)
        return L.Conv2D(3, 1)(L.Multiply()([x, gate(L.Conv2D(8, 1)(squeezed))]))

    return lambda: _model(body)


def _two(join):
    """Return a model that joins two convolutions."""

    def body(x):
        return L.Conv2D(3, 1)(join(_conv(x), L.Conv2D(8, 1)(x)))

    return lambda: _model(body)


def _preactivation():
    def body(x):
        x = _conv(x)
        for _ in range(2):
            y = _conv(L.ReLU()(L.BatchNormalization()(x)))
            x = L.Add()([x, y])
        return L.Dense(3)(L.GlobalAveragePooling2D()(L.BatchNormalization()(x)))

    return _model(body)


def _normalization():
    def body(x):
        x = L.Rescaling(0.5, offset=-1.0)(x)
        x = L.Normalization(mean=[0.1, 0.2, 0.3, 0.4], variance=[1.0, 0.5, 2.0, 1.5])(x)
        return L.Conv2D(3, 3)(x)

    return _model(body)


def _u_net():
    def body(x):
        skip = _conv(x)
        x = L.ReLU()(L.BatchNormalization()(_conv(L.MaxPooling2D()(skip))))
        x = L.Conv2DTranspose(8, 2, strides=2, activation="relu")(x)
        x = L.ReLU()(L.BatchNormalization()(L.Conv2DTranspose(8, 3, padding="same", use_bias=False)(x)))
        return L.Conv2D(3, 1)(L.Concatenate()([skip, x]))

    return _model(body)


def _temporal():
    def body(x):
        x = L.Conv1D(8, 3, padding="causal", activation="relu")(x)
        x = L.ReLU()(L.BatchNormalization()(L.Conv1D(8, 3, padding="same", use_bias=False)(x)))
        x = L.MaxPooling1D(2)(x)
        x = L.ReLU()(L.DepthwiseConv1D(3, padding="same")(x))
        x = L.SeparableConv1D(8, 3, padding="same")(x)
        x = L.AveragePooling1D(2)(x)
        return L.Dense(3)(L.GlobalAveragePooling1D()(x))

    return _model(body, SEQUENCE)


def _dilated():
    def body(x):
        x = L.Conv1D(8, 2, padding="causal", dilation_rate=1, activation="relu")(x)
        x = L.Conv1D(8, 2, padding="causal", dilation_rate=2, activation="relu")(x)
        return L.Conv1D(3, 1)(x)

    return _model(body, SEQUENCE)


def _several():
    image, vector = keras.Input(IMAGE, name="image"), keras.Input((6,), name="vector")
    x = L.GlobalAveragePooling2D()(L.Conv2D(8, 3, activation="relu")(image))
    x = L.Concatenate()([x, L.Dense(8, activation="relu")(vector)])
    return keras.Model([image, vector], [L.Dense(3, name="first")(x), L.Dense(2, name="second")(x)])


def _nested_operators():
    inner_in = keras.Input((8, 8, 8))
    inner = keras.Model(inner_in, ops.relu(L.Conv2D(8, 1)(inner_in) * 2.0 + inner_in))
    return _between(lambda x: inner(inner(x)))()


def _embedding():
    tokens = keras.Input((10,), dtype="int32")
    x = L.GlobalAveragePooling1D()(L.Embedding(20, 8)(tokens))
    return keras.Model(tokens, L.Dense(3)(L.Dense(8, activation="relu")(x)))


def _of_tokens():
    tokens = keras.Input((10,), dtype="int32")
    x = L.Embedding(21, 8)(tokens + 1)
    return keras.Model(tokens, L.Dense(3)(L.Flatten()(x)))


def _dense_on_images():
    return _model(lambda x: L.Dense(3)(L.Dense(8, activation="silu")(_conv(x))))


MODELS = {
    "squeeze_excite_sigmoid": _squeeze_excite(L.Activation("sigmoid")),
    "squeeze_excite_hard_sigmoid": _squeeze_excite(L.Activation("hard_sigmoid")),
    "squeeze_excite_by_hand": _squeeze_excite(lambda x: L.ReLU(6.0)(x + 3.0) * (1 / 6)),
    "leaky_relu": _activation(lambda: L.LeakyReLU(0.1)),
    "leaky_relu_of_relu": _activation(lambda: L.ReLU(negative_slope=0.2)),
    "prelu": _activation(lambda: L.PReLU(shared_axes=[1, 2], alpha_initializer="uniform")),
    "relu_with_a_ceiling": _activation(lambda: L.ReLU(max_value=1.0)),
    "elu": _activation(L.ELU),
    "selu": _activation(lambda: L.Activation("selu")),
    "gelu": _activation(lambda: L.Activation("gelu")),
    "gelu_operation": _activation(lambda: lambda x: ops.gelu(x, approximate=True)),
    "silu": _activation(lambda: L.Activation("silu")),
    "hard_silu": _activation(lambda: L.Activation("hard_silu")),
    "hard_sigmoid": _activation(lambda: L.Activation("hard_sigmoid")),
    "softplus": _activation(lambda: L.Activation("softplus")),
    "mish": _activation(lambda: L.Activation("mish")),
    "subtract": _two(lambda a, b: L.Subtract()([a, b])),
    "multiply": _two(lambda a, b: L.Multiply()([a, b])),
    "average": _two(lambda a, b: L.Average()([a, b])),
    "maximum": _two(lambda a, b: L.Maximum()([a, b])),
    "minimum_relu": _two(lambda a, b: L.ReLU()(L.Minimum()([a, b]))),
    "product_of_three": _two(lambda a, b: L.Multiply()([a, b, L.Activation("sigmoid")(a)])),
    "preactivation": _preactivation,
    "normalization": _normalization,
    "upsampling_nearest": _between(L.UpSampling2D(2)),
    "upsampling_bilinear": _between(L.UpSampling2D(2, interpolation="bilinear")),
    "resizing": _between(L.Resizing(6, 6)),
    "u_net": _u_net,
    "temporal": _temporal,
    "dilated": _dilated,
    "upsampling_1d": _between(L.UpSampling1D(2), SEQUENCE),
    "scaled_by_operators": _between(lambda x: 1.0 - (x * 2 + 0.5) / 3),
    "scaled_behind_pooling": _between(lambda x: 1.0 - (L.MaxPooling2D()(x) * 2 + 0.5) / 3),
    "operators": _two(lambda a, b: ops.relu(a + b) * (a - b)),
    "operations": _between(lambda x: ops.maximum(ops.sigmoid(x), 0.4) + ops.tanh(x)),
    "absolute": _between(lambda x: ops.abs(x) ** 2),
    "integer_arithmetic": _of_tokens,
    "negative_square": _between(lambda x: -ops.square(x)),
    "clip": _between(lambda x: ops.clip(x, -0.5, 1.0)),
    "clip_to_6": _between(lambda x: ops.clip(x, 0, 6)),
    "minimum_of_a_constant": _between(lambda x: ops.minimum(x, 0.3)),
    "scaled_by_channel": _between(lambda x: x * np.linspace(0.5, 2, 8, dtype="float32")),
    "means": lambda: _model(lambda x: L.Dense(3)(ops.mean(_conv(x), axis=(1, 2)))),
    "sums": lambda: _model(lambda x: L.Dense(3)(ops.sum(_conv(x), axis=(1, 2)))),
    "largest": lambda: _model(lambda x: L.Dense(3)(ops.max(_conv(x), axis=(1, 2)))),
    "slices": _between(lambda x: ops.concatenate([x[:, :, 1:], x[:, :, :1]], axis=2)),
    "split": _between(lambda x: ops.multiply(*ops.split(x, 2, axis=-1))),
    "reshaped": _between(
        lambda x: ops.reshape(ops.transpose(ops.reshape(x, (-1, 64, 8)), (0, 2, 1)), (-1, 8, 8, 8))
    ),
    "padded": _between(lambda x: ops.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])),
    "pooled_by_operations": _between(lambda x: ops.average_pool(ops.max_pool(x, 2), 2)),
    "layer_normalization": _between(L.LayerNormalization()),
    "conv_3d": lambda: _model(lambda x: L.Conv3D(4, 3, activation="relu")(x), (6, 6, 6, 2)),
    "several_ends": _several,
    "nested_operators": _nested_operators,
    "embedding": _embedding,
    "dense_on_images": _dense_on_images,
}

LEFT_IN_FLOAT = {
    "elu": {"ELU"},
    "selu": {"EXP", "SUB", "MUL", "SELECT"},
    "softplus": {"EXP", "ADD", "LOG"},
    "mish": {"EXP", "ADD", "LOG"},
    "conv_3d": {"CONV_3D", "ADD", "RESHAPE"},
    "layer_normalization": {"NEG", "SQUARED_DIFFERENCE", "MEAN", "ADD", "RSQRT", "MUL"},
}
"""Model -> the operators of its file that LiteRT computes in float."""

MAX_LSB = {"layer_normalization": 8, "nested_operators": 3, "temporal": 3}
"""Model -> how far its file may be off, where rounding is amplified; 2 elsewhere."""

QUICK = {
    "squeeze_excite_hard_sigmoid",
    "prelu",
    "normalization",
    "u_net",
    "clip",
    "several_ends",
    "embedding",
}
"""The models for the quick tests: of each rewrite, `tests/quantization/canonicalize` tells where it broke."""
