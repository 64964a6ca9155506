"""A model with every kind of kernel, and one whose channels are badly scaled."""

import keras
import numpy as np
import pytest

layers = keras.layers


@pytest.fixture(scope="session")
def images():
    return np.random.default_rng(0).normal(size=(32, 10, 8, 3)).astype(np.float32)


def _random_norms(model):
    rng = np.random.default_rng(1)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            for variable in layer.weights:
                signs = rng.choice([-1, 1], variable.shape) if variable.path.endswith("gamma") else 1
                variable.assign(rng.uniform(0.3, 2, variable.shape) * signs)


@pytest.fixture(scope="session")
def many_kinds():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((10, 8, 3))
    x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False, name="conv")(inputs)
    x = layers.ReLU()(layers.BatchNormalization(name="norm")(x))
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise")(x)
    x = layers.LeakyReLU()(layers.BatchNormalization(scale=False, name="unscaled")(x))
    x = layers.Conv2D(8, 3, padding="same", groups=2, dilation_rate=2, activation="relu", name="grouped")(x)
    x = layers.Conv2DTranspose(6, 2, strides=2, activation="relu", name="transposed")(x)
    x = layers.SeparableConv2D(6, 3, activation="relu", name="separable")(x)
    x = layers.Reshape((8, 6))(x)
    x = layers.Conv1D(6, 3, padding="causal", use_bias=False, name="causal")(x)
    x = layers.BatchNormalization(center=False, name="uncentred")(x)
    x = layers.PReLU(shared_axes=[1])(layers.DepthwiseConv1D(3, name="depthwise1d")(x))
    x = layers.Flatten()(layers.MaxPooling1D(2)(x))
    x = layers.Dense(12, activation="relu", name="hidden")(x)
    x = layers.BatchNormalization(name="last_norm")(layers.Dense(7, use_bias=False, name="unbiased")(x))
    model = keras.Model(inputs, layers.Dense(4, name="head")(x), name="many_kinds")
    _random_norms(model)
    return model


@pytest.fixture(scope="session")
def badly_scaled():
    """A model whose channels differ a thousandfold in one layer and are made up for in the next."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((10, 8, 3))
    x = layers.Conv2D(16, 3, name="first", use_bias=False)(inputs)
    x = layers.ReLU()(layers.BatchNormalization(name="norm")(x))
    x = layers.DepthwiseConv2D(3, activation="relu", name="second")(x)
    x = layers.Conv2D(16, 1, activation="relu", name="third")(x)
    model = keras.Model(inputs, layers.Dense(4, name="head")(layers.GlobalAveragePooling2D()(x)))
    scales = 10.0 ** np.random.default_rng(2).uniform(-1.5, 1.5, 16).astype(np.float32)
    norm, second = model.get_layer("norm"), model.get_layer("second")
    norm.gamma.assign(norm.gamma * scales)
    second.kernel.assign(second.kernel / scales[:, None])
    return model
