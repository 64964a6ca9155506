"""Small models of layers that are made of others: attention, recurrence, einsum, and users' own code."""

import keras
import numpy as np
from keras import layers as L
from keras import ops

SEQUENCE = (5, 8)


def _model(body, shape=SEQUENCE):
    inputs = keras.Input(shape)
    return keras.Model(inputs, body(inputs))


def _over(layer, shape=SEQUENCE, units=3):
    """Return a model with a layer before a Dense."""
    return lambda: _model(lambda x: L.Dense(units)(layer()(x)), shape)


def _attended(make, **kwargs):
    def body(x):
        x = L.Add()([x, make()(x, x, **kwargs)])
        return L.Dense(3)(L.GlobalAveragePooling1D()(x))

    return lambda: _model(body)


def _cross_attention():
    a, b = keras.Input((4, 6)), keras.Input((7, 5))
    x = L.MultiHeadAttention(2, 4, value_dim=3, output_shape=6)(L.Dense(8)(a), L.Dense(8)(b))
    return keras.Model([a, b], L.Dense(3)(x))


def _masked_attention():
    x, mask = keras.Input(SEQUENCE), keras.Input((5, 5), dtype="bool")
    y = L.MultiHeadAttention(2, 4)(x, x, attention_mask=mask, use_causal_mask=True)
    return keras.Model([x, mask], L.Dense(3)(y))


def _attention_scores():
    x = keras.Input(SEQUENCE)
    y, scores = L.MultiHeadAttention(2, 4)(x, x, return_attention_scores=True)
    return keras.Model(x, [L.Dense(3)(y), scores])


def _shared_attention():
    x = keras.Input(SEQUENCE)
    attention = L.MultiHeadAttention(2, 4)
    y = attention(x, x)
    return keras.Model(x, L.Dense(3)(attention(y, y)))


@keras.saving.register_keras_serializable(package="composite_zoo")
class PositionEmbedding(L.Layer):
    """As in Keras's own examples: an embedding of `arange`."""

    def __init__(self, length, width, **kwargs):
        super().__init__(**kwargs)
        self.length = length
        self.project = L.Dense(width)
        self.position = L.Embedding(length, width, embeddings_initializer="normal")

    def call(self, x):
        return self.project(x) + self.position(ops.expand_dims(ops.arange(self.length), 0))


@keras.saving.register_keras_serializable(package="composite_zoo")
class ClassToken(L.Layer):
    def build(self, shape):
        def weight(shape):
            return self.add_weight(shape=shape, initializer=keras.initializers.RandomNormal(0, 1))

        self.token, self.position = weight((1, 1, shape[-1])), weight((1, shape[1] + 1, shape[-1]))

    def call(self, x):
        token = ops.broadcast_to(self.token, (ops.shape(x)[0], 1, ops.shape(x)[-1]))
        return ops.concatenate([token, x], axis=1) + self.position


@keras.saving.register_keras_serializable(package="composite_zoo")
class Block(L.Layer):
    """A transformer block whose parts all have one name."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.attention = L.MultiHeadAttention(2, 4, dropout=0.1, name="part")
        self.norm = L.LayerNormalization(name="part")
        self.widen = L.Dense(16, activation="gelu", name="part")
        self.narrow = L.Dense(8, name="part")

    def call(self, x, training=None):
        x = x + self.attention(x, x, training=training)
        return x + self.narrow(self.widen(self.norm(x)))


def _vit(positions):
    inputs = keras.Input((8, 8, 3))
    x = L.Reshape((16, 8))(L.Conv2D(8, 2, strides=2)(inputs))
    x = Block()(positions(x))
    return keras.Model(inputs, L.Dense(3)(x[:, 0]))


def _states():
    inputs = keras.Input(SEQUENCE)
    x, h, c = L.LSTM(4, return_sequences=True, return_state=True)(inputs)
    x = L.LSTM(4, return_sequences=True)(x, initial_state=[h, c])
    return keras.Model(inputs, [L.Dense(2)(x), L.Dense(2)(h)])


def _shared_recurrence():
    a, b = keras.Input(SEQUENCE), keras.Input(SEQUENCE)
    layer = L.GRU(4)
    return keras.Model([a, b], L.Dense(3)(L.Concatenate()([layer(a), layer(b)])))


def _dot(axes, *shapes):
    inputs = [keras.Input(shape) for shape in shapes]
    return keras.Model(inputs, L.Dot(axes)([L.Dense(6)(x) for x in inputs]))


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.conv = L.Conv2D(8, 3, activation="relu")
        self.norm = L.BatchNormalization()
        self.dropout = L.Dropout(0.3)
        self.head = L.Dense(3)

    def call(self, x, training=None):
        x = self.dropout(self.norm(self.conv(x), training=training), training=training)
        return self.head(ops.mean(x, axis=(1, 2)))


class Tokens(keras.Model):
    def __init__(self):
        super().__init__()
        self.token, self.position = L.Embedding(20, 8), L.Embedding(6, 8)
        self.head = L.Dense(3)

    def call(self, x):
        return self.head(ops.max(ops.relu(self.token(x) + self.position(ops.arange(6))), axis=1))


def _called(model, example):
    model(example)
    return model


def _subclassed_inside():
    inputs = keras.Input((8, 8, 3))
    return keras.Model(inputs, L.Dense(2)(Subclassed()(L.Conv2D(3, 1)(inputs))))


def _quotient():
    inputs = keras.Input((8, 8, 3))
    weights = L.Conv2D(4, 1, activation="sigmoid")(inputs)
    return keras.Model(inputs, L.Conv2D(2, 1)(L.Conv2D(4, 1)(inputs) / (weights + 1.0)))


def _frames():
    cnn = keras.Sequential([L.Conv2D(4, 3, activation="relu"), L.GlobalAveragePooling2D()])
    return _model(lambda x: L.Dense(3)(L.Flatten()(L.TimeDistributed(cnn)(x))), (3, 6, 6, 2))


def _product():
    return _model(lambda x: L.Dense(3)(ops.matmul(L.Dense(6)(x), ops.transpose(L.Dense(6)(x), (0, 2, 1)))))


def _einsum():
    return _model(lambda x: L.Dense(3)(ops.einsum("bij,bkj->bik", L.Dense(6)(x), L.Dense(6)(x))))


def _by_a_matrix():
    matrix = np.linspace(-1, 1, 32, dtype="float32").reshape(8, 4)
    return _model(lambda x: L.Dense(3)(ops.matmul(x, matrix)))


def _heads():
    split = L.EinsumDense("abc,cde->abde", (None, 2, 5), bias_axes="de")
    join = L.EinsumDense("abcd,cde->abe", (None, 5), bias_axes="e")
    return _model(lambda x: join(split(x)))


def _attention_by_hand():
    def body(x):
        q, k, v = (L.Dense(6)(x) for _ in range(3))
        scores = ops.matmul(q, ops.transpose(k, (0, 2, 1))) / 6**0.5
        scores = ops.where(np.tri(5, dtype="bool")[None], scores, -1e9)
        return L.Dense(3)(ops.matmul(ops.softmax(scores), v))

    return _model(body)


def _lambda():
    return _model(lambda x: L.Dense(3)(L.Lambda(lambda y: ops.relu(y) * 2.0 - ops.sigmoid(y))(L.Dense(6)(x))))


_HARD = {"recurrent_activation": "hard_sigmoid", "dropout": 0.1, "recurrent_dropout": 0.1}

MODELS = {
    "attention": _attended(lambda: L.MultiHeadAttention(2, 4, dropout=0.1)),
    "causal_attention": _attended(lambda: L.MultiHeadAttention(2, 4), use_causal_mask=True),
    "grouped_attention": _attended(lambda: L.GroupQueryAttention(4, 4, 2)),
    "gated_attention": _attended(lambda: L.MultiHeadAttention(2, 4, use_gate=True)),
    "cross_attention": _cross_attention,
    "masked_attention": _masked_attention,
    "attention_scores": _attention_scores,
    "shared_attention": _shared_attention,
    "attention_by_hand": _attention_by_hand,
    "dot_attention": lambda: _model(
        lambda x: L.Dense(3)(L.Attention(use_scale=True)([L.Dense(8)(x), L.Dense(8)(x)]))
    ),
    "additive_attention": lambda: _model(
        lambda x: L.Dense(3)(L.AdditiveAttention()([L.Dense(8)(x), L.Dense(8)(x)]))
    ),
    "vit_with_positions": lambda: _vit(PositionEmbedding(16, 8)),
    "vit_with_a_class_token": lambda: _vit(ClassToken()),
    "lstm": _over(lambda: L.LSTM(4)),
    "lstm_backwards": _over(lambda: L.LSTM(4, return_sequences=True, go_backwards=True, **_HARD)),
    "gru": _over(lambda: L.GRU(4)),
    "gru_reset_before": _over(lambda: L.GRU(4, reset_after=False, use_bias=False, return_sequences=True)),
    "simple_rnn": _over(lambda: L.SimpleRNN(4, activation="relu")),
    "bidirectional_lstm": _over(lambda: L.Bidirectional(L.LSTM(4, return_sequences=True))),
    "bidirectional_gru": _over(lambda: L.Bidirectional(L.GRU(4), merge_mode="ave")),
    "stacked_cells": _over(lambda: L.RNN([L.LSTMCell(4), L.GRUCell(3)], return_sequences=True)),
    "states": _states,
    "shared_recurrence": _shared_recurrence,
    "long_sequence": _over(lambda: L.LSTM(4), (140, 8)),
    "einsum_dense": _over(lambda: L.EinsumDense("abc,cd->abd", (None, 6), bias_axes="d", activation="relu")),
    "einsum_dense_dots": _over(lambda: L.EinsumDense("...x,xy->...y", 6, bias_axes="y")),
    "einsum_dense_over_steps": _over(lambda: L.EinsumDense("abc,bcd->abd", (5, 6), bias_axes="d")),
    "einsum_dense_heads": _heads,
    "dot": lambda: _dot(2, (4, 8), (7, 8)),
    "dot_of_vectors": lambda: _dot(1, (8,), (8,)),
    "product": _product,
    "einsum": _einsum,
    "by_a_matrix": _by_a_matrix,
    "quotient": _quotient,
    "steps_of_dense": _over(lambda: L.TimeDistributed(L.Dense(6, activation="relu"))),
    "frames": _frames,
    "lambda": _lambda,
    "subclassed": lambda: _called(Subclassed(), np.zeros((1, 8, 8, 3), "float32")),
    "subclassed_tokens": lambda: _called(Tokens(), np.zeros((1, 6), "int32")),
    "subclassed_inside": _subclassed_inside,
}

LAYER_NORMALIZATION = {"NEG", "SQUARED_DIFFERENCE", "MEAN", "ADD", "RSQRT", "MUL"}

LEFT_IN_FLOAT = {
    "quotient": {"ADD", "POW", "MUL", "MINIMUM", "MAXIMUM"},
    "vit_with_positions": LAYER_NORMALIZATION | {"RESHAPE"},
    "vit_with_a_class_token": LAYER_NORMALIZATION | {"RESHAPE"},
}
"""Model -> the operators of its file that LiteRT computes in float."""

MAX_LSB = {"vit_with_a_class_token": 5, "vit_with_positions": 4}
"""Model -> how far its file may be off, where rounding is amplified; 3 elsewhere."""

QUICK = {"causal_attention", "gru", "subclassed_tokens"}
"""The models for the quick tests."""
