"""Small models in the style of Keras's own examples: patches, masks, positions, blocks of users' layers."""

import keras
import numpy as np
from keras import layers as L
from keras import ops

IMAGE = (12, 12, 3)
TOKENS = 8


def _registered(layer):
    return keras.saving.register_keras_serializable(package="user_zoo")(layer)


def _on_images(body, shape=IMAGE):
    inputs = keras.Input(shape)
    return keras.Model(inputs, body(inputs))


def _on_tokens(body, mask_zero=True):
    tokens = keras.Input((TOKENS,), dtype="int32")
    return keras.Model(tokens, L.Dense(3)(body(L.Embedding(20, 8, mask_zero=mask_zero)(tokens))))


@_registered
class Patches(L.Layer):
    def __init__(self, size, strides=None, padding="valid", **kwargs):
        super().__init__(**kwargs)
        self.size, self.strides, self.padding = size, strides, padding

    def get_config(self):
        own = {"size": self.size, "strides": self.strides, "padding": self.padding}
        return {**super().get_config(), **own}

    def call(self, images):
        x = ops.image.extract_patches(images, self.size, strides=self.strides, padding=self.padding)
        return ops.reshape(x, (ops.shape(x)[0], ops.shape(x)[1] * ops.shape(x)[2], ops.shape(x)[3]))


@_registered
class Positions(L.Layer):
    """As KerasHub's PositionEmbedding: a slice of a variable, broadcast over the batch."""

    def build(self, shape):
        initializer = keras.initializers.RandomNormal(0, 1)
        self.embeddings = self.add_weight(shape=(shape[1] + 2, shape[2]), initializer=initializer)

    def call(self, x):
        shape = ops.shape(x)
        positions = ops.slice(ops.convert_to_tensor(self.embeddings), (0, 0), (shape[-2], shape[-1]))
        return ops.broadcast_to(positions, shape)


@_registered
class Mixer(L.Layer):
    """As in the example on MLP-Mixer: Sequential models in a layer, and one norm used twice."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.steps = keras.Sequential([L.Dense(9, activation="gelu"), L.Dense(9), L.Dropout(0.1)])
        self.channels = keras.Sequential([L.Dense(8, activation="gelu"), L.Dense(8), L.Dropout(0.1)])
        self.norm = L.LayerNormalization()

    def call(self, x, training=False):
        y = ops.transpose(self.norm(x), (0, 2, 1))
        x = x + ops.transpose(self.steps(y, training=training), (0, 2, 1))
        return x + self.channels(self.norm(x))


@_registered
class WindowAttention(L.Layer):
    """As in the example on Swin transformers: one Dense for all, a bias from a table, windows by shapes."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.qkv, self.project = L.Dense(24), L.Dense(8)
        self.table = self.add_weight(shape=(9, 2), initializer="uniform")
        self.index = np.arange(16) % 9

    def call(self, x):
        qkv = ops.transpose(ops.reshape(self.qkv(x), (-1, 4, 3, 2, 4)), (2, 0, 3, 1, 4))
        q, k, v = qkv[0] * 0.5, qkv[1], qkv[2]
        bias = ops.transpose(ops.reshape(ops.take(self.table, self.index, axis=0), (4, 4, -1)), (2, 0, 1))
        scores = keras.activations.softmax(q @ ops.transpose(k, (0, 1, 3, 2)) + ops.expand_dims(bias, 0))
        return self.project(ops.reshape(ops.transpose(scores @ v, (0, 2, 1, 3)), (-1, 4, 8)))


def _swin():
    def body(x):
        x = L.Conv2D(8, 3, strides=3)(x)
        windows = ops.roll(x, shift=(-1, -1), axis=(1, 2))
        windows = ops.transpose(ops.reshape(windows, (-1, 2, 2, 2, 2, 8)), (0, 1, 3, 2, 4, 5))
        windows = WindowAttention()(ops.reshape(windows, (-1, 4, 8)))
        windows = ops.transpose(ops.reshape(windows, (-1, 2, 2, 2, 2, 8)), (0, 1, 3, 2, 4, 5))
        x = x + ops.roll(ops.reshape(windows, (-1, 4, 4, 8)), shift=(1, 1), axis=(1, 2))
        return L.Dense(3)(L.GlobalAveragePooling2D()(x))

    return _on_images(body)


def _on_patches(body, **patches):
    def whole(x):
        x = L.Dense(8)(Patches(4, **patches)(x))
        return L.Dense(3)(body(x))

    return lambda: _on_images(whole)


@_registered
class Pooling(L.Layer):
    """Attention pooling."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.attention = L.Dense(1)

    def call(self, x):
        weights = ops.transpose(ops.softmax(self.attention(x), axis=1), (0, 2, 1))
        return ops.squeeze(ops.matmul(weights, x), -2)


@_registered
class MaskedBlock(L.Layer):
    """A layer that says nothing of masks; what is in it reads them all the same."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.attention, self.recurrence = L.MultiHeadAttention(2, 4), L.GRU(6)

    def call(self, x):
        return self.recurrence(x) + ops.max(self.attention(x, x), axis=1)[:, :6]


def _attention_with(masked):
    def body():
        q, mask = keras.Input((5, 8)), keras.Input((5,), dtype="bool")
        k, v = L.Dense(8)(q), L.Dense(8)(q)
        scores = masked(ops.matmul(L.Dense(8)(q), ops.transpose(k, (0, 2, 1))) / 8**0.5, mask)
        return keras.Model([q, mask], L.Dense(3)(ops.matmul(ops.softmax(scores), v)))

    return body


def _number(mask):
    return ops.cast(mask, "float32")


def _causal_dot_attention():
    x = keras.Input((5, 8))
    y = L.Attention()([L.Dense(8)(x), L.Dense(8)(x)], use_causal_mask=True)
    return keras.Model(x, L.Dense(3)(y))


def _volumes():
    def body(x):
        x = L.MaxPooling3D(2)(L.Conv3D(4, 3, padding="same", activation="relu")(x))
        x = L.AveragePooling3D((2, 1, 1))(L.UpSampling3D((1, 2, 2))(x))
        return L.Dense(3)(L.GlobalAveragePooling3D()(x))

    return _on_images(body, (4, 6, 6, 2))


class Classifier(keras.Model):
    """As in TensorFlow's guides: `training` has no default, and is asked about."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = L.Conv2D(4, 3), L.BatchNormalization()
        self.dropout, self.head = L.Dropout(0.3), L.Dense(3)

    def call(self, x, training):
        x = ops.relu(self.norm(self.conv(x), training=training))
        x = ops.mean(x, axis=(1, 2))
        if training:
            x = self.dropout(x, training=training)
        return self.head(x)


def _subclassed():
    model = Classifier()
    model(np.zeros((1, *IMAGE), "float32"), training=False)
    return model


def _features():
    number, category = keras.Input((4,)), keras.Input((1,), dtype="int32")
    one_hot = L.CategoryEncoding(20, output_mode="one_hot")(category)
    return keras.Model([number, category], L.Dense(3)(L.Concatenate()([number, one_hot])))


@_registered
class OwnKernels(L.Layer):
    """A layer that calls the functions of convolutions and products on weights of its own."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(3, 3, shape[-1], 6), name="kernel")
        self.depthwise = self.add_weight(shape=(3, 3, 6, 1), name="depthwise")
        self.matrix, self.bias = (self.add_weight(shape=size) for size in ((6, 4), (4,)))

    def call(self, x):
        x = ops.relu(ops.conv(x, self.kernel, strides=2, padding="same"))
        x = ops.depthwise_conv(x, self.depthwise, padding="same")
        return ops.dot(x, self.matrix) + ops.tensordot(x, self.matrix, axes=1) + self.bias


@_registered
class Equalized(L.Layer):
    """A kernel that is multiplied by a number, as StyleGAN's equalized learning rate has it."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(3, 3, shape[-1], 6), initializer="random_normal", name="kernel")
        self.bias = self.add_weight(shape=(6,), initializer="random_normal", name="bias")

    def call(self, x):
        return ops.conv(x, 0.3 * self.kernel, padding="same") + self.bias


@_registered
class Standardized(Equalized):
    """A kernel that is computed: weight standardization. The convolution stays in float."""

    def call(self, x):
        mean, variance = ops.moments(ops.convert_to_tensor(self.kernel), axes=[0, 1, 2], keepdims=True)
        return ops.conv(x, (self.kernel - mean) * ops.rsqrt(variance + 1e-3), padding="same") + self.bias


@_registered
class InstanceNorm(L.Layer):
    def call(self, x):
        mean, variance = ops.moments(x, axes=[1, 2], keepdims=True)
        return (x - mean) / ops.sqrt(variance + 1e-3)


@_registered
class FlashAttention(L.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.parts = [L.EinsumDense("btd,dhk->bthk", (None, 2, 4)) for _ in range(3)]

    def call(self, x):
        y = ops.dot_product_attention(*(part(x) for part in self.parts), is_causal=True)
        return ops.average(ops.reshape(y, (-1, 5, 8)), axis=1)


def _functions():
    x = keras.Input((6, 8))
    y = L.Dense(8)(x)
    y = ops.select([y > 0.0, y < -1.0], [y, y + 0.7], 0.3 * y)  # without jumps, which rounding would make
    y = ops.fmax(y, ops.tensordot(y, np.eye(8, dtype="float32"), axes=1))
    y = 0.5 * y * (1.0 + ops.erf(y / 2**0.5))  # GELU, written out
    y = L.AdaptiveAveragePooling1D(1)(y)
    return keras.Model(x, L.Dense(3)(ops.squeeze(y)))


def _cosine():
    one, other = keras.Input((5,)), keras.Input((5,))
    return keras.Model([one, other], L.Dot(1, normalize=True)([L.Dense(6)(one), L.Dense(6)(other)]))


MODELS = {
    "patches": _on_patches(lambda x: L.GlobalAveragePooling1D()(x)),
    "patches_that_overlap": _on_patches(lambda x: L.GlobalMaxPooling1D()(x), strides=3, padding="same"),
    "broadcast_positions": _on_patches(lambda x: Pooling()(x + Positions()(x))),
    "mixer": _on_patches(lambda x: L.GlobalAveragePooling1D()(Mixer()(x))),
    "swin": _swin,
    "masked_lstm": lambda: _on_tokens(L.LSTM(6)),
    "masked_gru_backwards": lambda: _on_tokens(
        lambda x: L.Flatten()(L.GRU(4, go_backwards=True, return_sequences=True)(x))
    ),
    "masked_bidirectional": lambda: _on_tokens(
        lambda x: L.Bidirectional(L.SimpleRNN(4))(L.Bidirectional(L.LSTM(3, return_sequences=True))(x))
    ),
    "masked_attention_of_tokens": lambda: _on_tokens(
        lambda x: L.GlobalAveragePooling1D()(L.MultiHeadAttention(2, 4)(x, x))
    ),
    "masked_dot_attention": lambda: _on_tokens(lambda x: L.GlobalAveragePooling1D()(L.Attention()([x, x]))),
    "masked_in_a_layer": lambda: _on_tokens(MaskedBlock()),
    "masking": lambda: _on_images(lambda x: L.Dense(3)(L.LSTM(4)(L.Masking()(x))), (6, 3)),
    "mask_added": _attention_with(lambda s, mask: s + (1.0 - _number(mask))[:, None] * -1e9),
    "mask_subtracted": _attention_with(lambda s, mask: s - 1e9 * _number(~mask)[:, None]),
    "mask_chosen": _attention_with(lambda s, mask: ops.where(ops.logical_not(mask)[:, None], -1e9, s)),
    "mask_constant": _attention_with(lambda s, _: s + (1.0 - np.tri(5, dtype="float32")) * -1e9),
    "causal_dot_attention": _causal_dot_attention,
    "volumes": _volumes,
    "subclassed_with_training": _subclassed,
    "features": _features,
    "cosine": _cosine,
    "own_kernels": lambda: _on_images(lambda x: L.Dense(3)(L.GlobalAveragePooling2D()(OwnKernels()(x)))),
    "equalized": lambda: _on_images(lambda x: L.Conv2D(3, 1)(L.ReLU()(Equalized()(x)))),
    "standardized": lambda: _on_images(lambda x: L.Conv2D(3, 1)(L.ReLU()(Standardized()(x)))),
    "own_normalization": lambda: _on_images(lambda x: L.Conv2D(3, 1)(InstanceNorm()(L.Conv2D(4, 3)(x)))),
    "flash_attention": lambda: _on_images(lambda x: L.Dense(3)(FlashAttention()(x)), (5, 8)),
    "functions": _functions,
    "conv_lstm": lambda: _on_images(
        lambda x: L.Conv2D(2, 1, activation="sigmoid")(L.ConvLSTM2D(4, 3, padding="same")(x)), (3, 6, 6, 2)
    ),
}

NORMALIZATION = {"NEG", "SQUARED_DIFFERENCE", "MEAN", "ADD", "RSQRT", "MUL"}

AVERAGE_UNDER_A_MASK = {"SELECT_V2", "SUM", "DIV"}

LEFT_IN_FLOAT = {
    "mixer": NORMALIZATION | {"RESHAPE", "TRANSPOSE"},
    "masked_attention_of_tokens": AVERAGE_UNDER_A_MASK,
    "masked_dot_attention": AVERAGE_UNDER_A_MASK,
    "mask_subtracted": {"RESHAPE"},
    "volumes": {"CONV_3D", "ADD", "RESHAPE"},
    "cosine": {"SQUARE", "SUM", "SUB", "ADD", "RSQRT", "MUL", "RESHAPE"},
    "own_normalization": {"ADD", "MAXIMUM", "MEAN", "MINIMUM", "MUL", "POW", "SQRT", "SQUARED_DIFFERENCE"},
    "standardized": {"CONV_2D"},
    "functions": {"ABS", "ADD", "DIV", "EXP", "MUL", "NEG", "SIGN", "SUB"},
}
"""Model -> the operators of its file that LiteRT computes in float."""

MAX_LSB = {"swin": 3, "mixer": 3}
"""Model -> how far its file may be off, where rounding is amplified; 2 elsewhere."""

SLOW = {"masked_bidirectional", "masked_gru_backwards", "masked_lstm", "masking", "mixer", "swin"}
"""The models that take seconds to rewrite."""

QUICK = {"masked_dot_attention"}
"""The models for the quick tests."""
