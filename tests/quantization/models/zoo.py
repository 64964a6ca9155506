"""Small models that between them hold every operation that int8 has a rule for."""

import keras
from keras import layers as L

SHAPE = (8, 8, 3)


def _sequential(*layers):
    return keras.Sequential([keras.Input(SHAPE), *layers])


def _residual(add, relu_behind):
    inputs = keras.Input(SHAPE)
    x = L.ReLU()(L.BatchNormalization()(L.Conv2D(8, 3, padding="same", use_bias=False)(inputs)))
    y = L.BatchNormalization()(L.Conv2D(8, 3, padding="same", use_bias=False)(x))
    z = add(x, y)
    if relu_behind:
        z = L.ReLU()(z)
    return keras.Model(inputs, L.Conv2D(3, 1)(z))


def _dense_blocks():
    x = inputs = keras.Input(SHAPE)
    for _ in range(2):
        y = L.Conv2D(4, 3, padding="same")(L.ReLU()(L.BatchNormalization()(x)))
        x = L.Concatenate()([x, y])
    return keras.Model(inputs, L.Dense(5)(L.GlobalAveragePooling2D()(x)))


def _branches_of_different_ranges():
    inputs = keras.Input(SHAPE)
    a = L.Conv2D(4, 1, activation="sigmoid")(inputs)
    b = L.Conv2D(4, 1, activation="relu")(inputs)
    return keras.Model(inputs, L.Conv2D(2, 1)(L.Concatenate()([a, b])))


def _sum_of_three():
    inputs = keras.Input(SHAPE)
    return keras.Model(inputs, L.Conv2D(2, 1)(L.Add()([L.Conv2D(4, 1)(inputs) for _ in range(3)])))


def _shared():
    inputs = keras.Input(SHAPE)
    convolution = L.Conv2D(3, 3, padding="same", activation="relu")
    return keras.Model(inputs, L.Conv2D(2, 1)(convolution(convolution(inputs))))


def _nested():
    inner = _sequential(L.Conv2D(4, 3), L.BatchNormalization(), L.ReLU())
    inputs = keras.Input(SHAPE)
    return keras.Model(inputs, L.Dense(3, activation="softmax")(L.Flatten()(inner(inputs))))


MODELS = {
    "conv_bn_relu": lambda: _sequential(
        L.Conv2D(8, 3, use_bias=False), L.BatchNormalization(), L.ReLU(), L.Conv2D(4, 1)
    ),
    "conv_relu_bn": lambda: _sequential(
        L.Conv2D(8, 3, activation="relu"), L.BatchNormalization(), L.ReLU(max_value=6), L.Conv2D(4, 1)
    ),
    "bn_first": lambda: _sequential(L.BatchNormalization(), L.Conv2D(4, 1)),
    "mlp": lambda: _sequential(
        L.Flatten(), L.Dense(16, activation="relu"), L.Dropout(0.1), L.Dense(10, activation="softmax")
    ),
    "dense_bn": lambda: _sequential(
        L.Flatten(), L.Dense(16), L.BatchNormalization(), L.ReLU(), L.BatchNormalization(), L.Dense(10)
    ),
    "separable": lambda: _sequential(
        L.SeparableConv2D(8, 3, padding="same", activation="relu6", depth_multiplier=2), L.Conv2D(4, 1)
    ),
    "mobilenet_block": lambda: _sequential(
        L.ZeroPadding2D(((0, 1), (0, 1))),
        L.DepthwiseConv2D(3, strides=2, depth_multiplier=2),
        L.BatchNormalization(),
        L.ReLU(max_value=6),
        L.Conv2D(4, 1),
    ),
    "pooling": lambda: _sequential(
        L.Conv2D(8, 3, activation="relu"), L.AveragePooling2D(2), L.MaxPooling2D(3), L.Flatten(), L.Dense(4)
    ),
    "reshaping": lambda: _sequential(
        L.Conv2D(8, 3), L.Cropping2D(1), L.Reshape((16, 8)), L.Permute((2, 1)), L.Flatten(), L.Dense(4)
    ),
    "sigmoid_tanh": lambda: _sequential(
        L.Conv2D(8, 3, activation="tanh"), L.Conv2D(8, 3, activation="sigmoid"), L.Conv2D(3, 1)
    ),
    "relu_alone": lambda: _sequential(L.MaxPooling2D(), L.ReLU(), L.Conv2D(3, 1)),
    "residual": lambda: _residual(lambda a, b: L.Add()([a, b]), relu_behind=True),
    "residual_by_operator": lambda: _residual(lambda a, b: a + b, relu_behind=False),
    "dense_blocks": _dense_blocks,
    "branches_of_different_ranges": _branches_of_different_ranges,
    "sum_of_three": _sum_of_three,
    "shared": _shared,
    "nested": _nested,
}

QUICK = {
    "conv_bn_relu",
    "bn_first",
    "dense_bn",
    "mobilenet_block",
    "reshaping",
    "sigmoid_tanh",
    "residual",
    "branches_of_different_ranges",
    "shared",
    "nested",
}
"""The models for the quick tests."""
