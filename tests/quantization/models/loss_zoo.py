"""Small models whose layers add to the loss by themselves, in the style of public examples."""

import keras
import numpy as np
from keras import layers as L
from keras import ops


def _registered(layer):
    return keras.saving.register_keras_serializable(package="loss_zoo")(layer)


@_registered
class VectorQuantizer(L.Layer):
    """As in the example on VQ-VAE: the nearest row of a table, by a straight-through estimator."""

    def build(self, shape):
        self.table = self.add_weight(shape=(shape[-1], 6), initializer=keras.initializers.RandomNormal(0, 1))

    def call(self, x):
        shape = ops.shape(x)
        flat = ops.reshape(x, (-1, self.table.shape[0]))
        squares = ops.sum(flat**2, axis=1, keepdims=True) + ops.sum(self.table**2, axis=0)
        nearest = ops.argmin(squares - 2 * ops.matmul(flat, self.table), axis=1)
        rows = ops.matmul(ops.one_hot(nearest, 6), ops.transpose(self.table))
        rows = ops.reshape(rows, shape)
        self.add_loss(0.25 * ops.mean((ops.stop_gradient(rows) - x) ** 2))
        self.add_loss(ops.mean((rows - ops.stop_gradient(x)) ** 2))
        return x + ops.stop_gradient(rows - x)


@_registered
class Penalty(L.Layer):
    def call(self, x):
        self.add_loss(0.1 * ops.mean(ops.square(x)))
        return x


@_registered
class Block(L.Layer):
    """A layer with one inside that adds a loss."""

    def build(self, shape):
        self.hidden, self.penalty, self.out = L.Dense(8, activation="relu"), Penalty(), L.Dense(5)
        self.hidden.build(shape)
        self.out.build((None, 8))

    def call(self, x):
        return self.out(self.penalty(self.hidden(x)))


@_registered
class Experts(L.Layer):
    """A mixture whose gate is to use all experts alike; in training alone."""

    def build(self, shape):
        self.gate = L.Dense(3)
        self.experts = [L.Dense(5, activation="relu") for _ in range(3)]
        for layer in (self.gate, *self.experts):
            layer.build(shape)

    def call(self, x, training=False):
        shares = ops.softmax(self.gate(x))
        if training:
            chosen = ops.one_hot(ops.argmax(shares, axis=-1), 3)
            self.add_loss(1.5 * ops.sum(ops.mean(chosen, axis=0) * ops.mean(shares, axis=0)))
        made = ops.stack([expert(x) for expert in self.experts], axis=-1)
        return ops.sum(made * ops.expand_dims(shares, 1), axis=-1)


@_registered
class Agreement(L.Layer):
    """Calls its layer for the loss too, and divides by the size of the batch."""

    def build(self, shape):
        self.dense = L.Dense(5)
        self.dense.build(shape)

    def call(self, x):
        y = self.dense(x)
        self.add_loss(ops.sum(ops.square(self.dense(0.8 * x) - y)) / ops.cast(ops.shape(x)[0], y.dtype))
        return y


@_registered
class Subclassed(keras.Model):
    """Adds a loss in its own call, in a layer and by a regularizer; another one in training."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.hidden = L.Dense(8, activation="relu", activity_regularizer="l2")
        self.penalty, self.head = Penalty(), L.Dense(3)

    def call(self, x, training=None):
        y = self.penalty(self.hidden(x))
        self.add_loss((0.3 if training else 0.1) * ops.mean(ops.abs(y)))
        return self.head(y)


def _chain(*layers, shape=(5,)):
    inputs = keras.Input(shape)
    x = inputs
    for layer in layers:
        x = layer(x)
    return keras.Model(inputs, x)


def _subclassed():
    model = Subclassed()
    model(np.zeros((1, 5), "float32"))
    return model


def _twice():
    inputs = keras.Input((5,))
    penalty = Penalty()
    x = penalty(L.Dense(5, activation="relu")(inputs))
    return keras.Model(inputs, L.Dense(3)(penalty(L.Dense(5)(x))))


def _two_ends():
    inputs = keras.Input((5,))
    x = Penalty()(L.Dense(8, activation="relu")(inputs))
    return keras.Model(inputs, [L.Dense(3, name="left")(x), L.Dense(2, name="right")(x)])


MODELS = {
    "vector_quantizer": lambda: _chain(
        L.Conv2D(4, 3, strides=2, padding="same"),
        VectorQuantizer(),
        L.Conv2DTranspose(2, 3, strides=2, padding="same"),
        shape=(8, 8, 2),
    ),
    "inside_a_layer": lambda: _chain(L.Dense(5), Block(), L.Dense(3)),
    "experts": lambda: _chain(L.Dense(5, activation="relu"), Experts(), L.Dense(3)),
    "agreement": lambda: _chain(Agreement(), L.Dense(3)),
    "subclassed": _subclassed,
    "twice": _twice,
    "two_ends": _two_ends,
    "at_the_end": lambda: _chain(L.Dense(5), Penalty()),
}


def _attention(layer):
    return lambda x: layer(2, 2, activity_regularizer="l2")(x, x)


def _group_attention(x):
    return L.GroupQueryAttention(2, 2, 1, activity_regularizer="l2")(x, x)


REGULARIZED = {
    "before_a_normalization": lambda: _chain(
        L.Conv1D(4, 3, activity_regularizer="l2"), L.BatchNormalization(), L.ReLU(), shape=(6, 4)
    ),
    "after_the_activation": lambda: _chain(L.Dense(5, activation="relu", activity_regularizer="l2")),
    "separable": lambda: _chain(
        L.SeparableConv1D(4, 3, activation="silu", activity_regularizer="l1"), shape=(6, 4)
    ),
    "alone": lambda: _chain(L.Dense(5), L.ActivityRegularization(l1=0.1, l2=0.2)),
    "einsum": lambda: _chain(
        L.EinsumDense("abc,cd->abd", (None, 3), activation="relu", activity_regularizer="l2"), shape=(6, 4)
    ),
    "code": lambda: _chain(L.Dense(5, activation=lambda x: x * x, activity_regularizer="l2")),
    "lambda": lambda: _chain(L.Lambda(lambda x: ops.abs(x), activity_regularizer="l1")),
    "normalized": lambda: _chain(L.Dense(5), L.LayerNormalization(activity_regularizer="l2")),
    "nested": lambda: _chain(keras.Sequential([keras.Input((5,)), L.Dense(4, activity_regularizer="l2")])),
    "lstm_states": lambda: _chain(
        L.LSTM(3, return_state=True, activity_regularizer="l2"), L.Concatenate(), shape=(6, 4)
    ),
    "bidirectional": lambda: _chain(L.Bidirectional(L.GRU(3, activity_regularizer="l2")), shape=(6, 4)),
    "attention": lambda: _chain(_attention(L.MultiHeadAttention), shape=(6, 4)),
    "grouped_attention": lambda: _chain(_group_attention, shape=(6, 4)),
    "steps": lambda: _chain(L.TimeDistributed(L.Dense(3, activity_regularizer="l2")), shape=(6, 4)),
    "steps_of_a_model": lambda: _chain(
        L.TimeDistributed(keras.Sequential([keras.Input((4,)), L.Dense(3, activity_regularizer="l2")])),
        shape=(6, 4),
    ),
}
