"""Small layers and models in the style of public examples: what people write in call()."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers as L
from keras import ops

N, C = 5, 8


class Code(L.Layer):
    """Calls a function with itself and its input; what it needs is made by another."""

    def __init__(self, code, make=None, **kwargs):
        super().__init__(**kwargs)
        self.code = code
        if make is not None:
            make(self)

    def call(self, x):
        return self.code(self, x)


def _token(layer):
    layer.token = layer.add_weight(shape=(1, 1, C), initializer="ones", name="token")


def _table(layer):
    layer.table = L.Embedding(N, C)


def _lists(layer):
    layer.scales = [layer.add_weight(shape=(C,), initializer="ones", name=f"s{i}") for i in range(2)]
    layer.shifts = {"a": layer.add_weight(shape=(C,), initializer="ones", name="a")}
    layer.pair = (layer.add_weight(shape=(C,), initializer="ones", name="p"), 2.0)


def _closure(layer):
    weight = layer.add_weight(shape=(C,), initializer="ones", name="w")
    layer.function = lambda x: x * ops.square(weight)


def _low_rank(layer):
    layer.a = layer.add_weight(shape=(C, 2), name="a")
    layer.b = layer.add_weight(shape=(2, C), name="b")


def _cell(layer):
    layer.cell = L.GRUCell(C)


def _cells(layer):
    layer.long, layer.simple = L.LSTMCell(C), L.SimpleRNNCell(C)


def _calls_of_cells(layer, x):
    zeros = ops.zeros_like(x[:, 0])
    y, (h, c) = layer.long(x[:, 0], [zeros, zeros])
    y, _ = layer.long(x[:, 1] + y, [h, c])
    return layer.simple(y, [h])[0]


def _dense(layer):
    layer.dense = L.Dense(C)


def _batch(x):
    return ops.shape(x)[0]


def _steps(layer, x):
    state = ops.zeros((_batch(x), C))
    outputs = []
    for step in range(3):
        state, _ = layer.cell(x[:, step], [state])
        outputs.append(state)
    return ops.stack(outputs, axis=1)


def _causal(_, x):
    b, n = ops.shape(x)[:2]
    i, j = ops.arange(n)[:, None], ops.arange(n)
    mask = ops.tile(ops.cast(i >= j, "float32")[None], (b, 1, 1))
    scores = ops.matmul(x, ops.transpose(x, (0, 2, 1)))
    return ops.matmul(ops.softmax(ops.where(mask > 0, scores, -1e9)), x)


def _windows(_, x):
    b, _, c = ops.shape(x)
    y = ops.reshape(x[:, :4], (b * 2, 2, c))
    y = ops.relu(y - ops.mean(y, axis=1, keepdims=True))
    return ops.reshape(y, (b, 4, c))


def _heads(_, x):
    b, n, c = ops.shape(x)
    y = ops.transpose(ops.reshape(x, (b, n, 2, c // 2)), (0, 2, 1, 3))
    return ops.reshape(ops.transpose(y, (0, 2, 1, 3)), (b, n, c))


def _time_major(_, x):
    b, _, c = ops.shape(x)
    y = ops.transpose(x, (1, 0, 2))
    y = ops.concatenate([ops.zeros((1, b, c)), y[:-1]], axis=0)
    return ops.transpose(y, (1, 0, 2))


LAYERS = {
    "token_tiled": (lambda s, x: ops.concatenate([ops.tile(s.token, (_batch(x), 1, 1)), x], 1), _token),
    "token_repeated": (lambda s, x: ops.concatenate([ops.repeat(s.token, _batch(x), 0), x], 1), _token),
    "token_broadcast": (
        lambda s, x: ops.concatenate([ops.broadcast_to(s.token, (_batch(x), 1, C)), x], 1),
        _token,
    ),
    "token_plus_zeros": (
        lambda s, x: ops.concatenate([s.token + ops.zeros((_batch(x), 1, C)), x], 1),
        _token,
    ),
    "token_times_ones": (lambda s, x: ops.ones((_batch(x), 1, 1)) * s.token + x, _token),
    "full": (lambda _, x: ops.concatenate([x, ops.full((_batch(x), 2, C), 0.5)], axis=1), None),
    "positions": (lambda s, x: x + s.table(ops.arange(ops.shape(x)[1])), _table),
    "positions_of_numpy": (lambda s, x: x + s.table(np.arange(N)), _table),
    "positions_tiled": (
        lambda s, x: x + s.table(ops.tile(ops.arange(N)[None], (_batch(x), 1))),
        _table,
    ),
    "causal_mask_tiled": (_causal, None),
    "windows": (_windows, None),
    "heads": (_heads, None),
    "time_major": (_time_major, None),
    "flat_and_back": (
        lambda s, x: ops.reshape(s.dense(ops.reshape(x, (-1, C))), ops.shape(x)),
        _dense,
    ),
    "slices": (lambda _, x: ops.transpose(ops.transpose(x, (1, 0, 2))[1:], (1, 0, 2))[: _batch(x)], None),
    "new_axis": (lambda s, x: x + ops.squeeze(s.token, 0)[None] * ops.mean(x[None], axis=0), _token),
    "sliced_to_the_batch": (lambda _, x: x[: _batch(x), 1:], None),
    "ops_slice": (lambda _, x: ops.slice(x, (0, 1, 0), (_batch(x), 3, C)), None),
    "initial_state": (_steps, _cell),
    "cells": (_calls_of_cells, _cells),
    "weights_in_containers": (
        lambda s, x: x * ops.square(s.scales[0]) + s.scales[1] * 2 * s.shifts["a"] + s.pair[0] * s.pair[1],
        _lists,
    ),
    "weight_in_a_closure": (lambda s, x: s.function(x), _closure),
    "low_rank": (lambda s, x: ops.matmul(x, ops.matmul(s.a, s.b)), _low_rank),
    "kernel_of_a_layer": (lambda s, x: s.dense(x) + ops.sum(ops.square(s.dense.kernel), axis=0), _dense),
    "layer_twice": (lambda s, x: s.dense(ops.relu(s.dense(x))), _dense),
    "tf_relu_and_mean": (lambda _, x: tf.nn.relu(x) - tf.reduce_mean(x, axis=1, keepdims=True), None),
    "tf_reshape": (lambda _, x: tf.reshape(x, [tf.shape(x)[0], -1]), None),
    "tf_token": (
        lambda s, x: tf.concat([tf.tile(s.token, tf.stack([tf.shape(x)[0], 1, 1])), x], axis=1),
        _token,
    ),
    "tf_attention": (
        lambda _, x: tf.matmul(tf.nn.softmax(tf.matmul(x, x, transpose_b=True) / tf.sqrt(8.0)), x),
        None,
    ),
    "tf_shapes": (
        lambda _, x: tf.squeeze(tf.transpose(tf.expand_dims(tf.cast(x, tf.float32), 1), [0, 1, 3, 2]), [1]),
        None,
    ),
    "tf_arithmetic": (
        lambda _, x: tf.multiply(tf.constant(2.0), x) + tf.math.abs(x) - tf.maximum(x, 0.1) + tf.square(x),
        None,
    ),
    "tf_split_and_stack": (lambda _, x: tf.stack(tf.split(x, 2, axis=-1), axis=1), None),
    "tf_moments": (
        lambda _, x: (lambda m: (x - m[0]) * tf.math.rsqrt(m[1] + 1e-3))(
            tf.nn.moments(x, [1], keepdims=True)
        ),
        None,
    ),
    "tf_resize": (lambda _, x: tf.image.resize(x[..., None], (10, 4))[..., 0], None),
    "tf_zeros": (lambda _, x: tf.concat([x, tf.zeros([tf.shape(x)[0], 1, C])], 1), None),
    "tf_gather": (lambda _, x: tf.gather(x, [2, 0], axis=1), None),
    "tf_gather_of_each_row": (
        lambda _, x: tf.gather(x, tf.argsort(tf.stop_gradient(x), axis=-1)[..., :3], batch_dims=2),
        None,
    ),
    "tf_crops_and_pads": (
        lambda _, x: tf.image.pad_to_bounding_box(
            tf.image.crop_to_bounding_box(x[..., None], 1, 2, 3, 5), 1, 0, 5, 6
        )[..., 0],
        None,
    ),
    "tf_standardized_images": (
        lambda _, x: tf.image.per_image_standardization(tf.image.central_crop(x[..., None], 0.6))[..., 0],
        None,
    ),
    "tf_sort": (lambda _, x: tf.sort(x, axis=1) + tf.sort(x, direction="DESCENDING"), None),
    "tf_flips": (lambda _, x: tf.image.flip_up_down(tf.image.flip_left_right(x[..., None]))[..., 0], None),
    "array_times_tensor": (
        lambda _, x: (
            (1 - np.eye(C, dtype="float32")[0]) * x + np.float32(2.0) * x - np.arange(C, dtype="f4") / x
        ),
        None,
    ),
    "einsum_dense_of_any_length": (
        lambda layer, x: (
            ops.arange(ops.shape(y := layer.heads(x))[1], dtype="float32")[:, None]
            + ops.reshape(y, (-1, N, C))
        ),
        lambda layer: setattr(layer, "heads", L.EinsumDense("abc,cde->abde", (None, 2, 4))),
    ),
    "tf_band_part": (
        lambda _, x: tf.linalg.band_part(tf.matmul(x, x, transpose_b=True), -1, 0),
        None,
    ),
}
"""Name -> what call() returns of the layer and (batch, 5, 8), and what makes its weights."""

FUNCTIONS = {
    "lambda": lambda x: ops.relu(x) * 0.5,
    "ops_gelu": ops.gelu,
    "tf_swish": tf.nn.swish,
    "leaky": L.LeakyReLU(0.3),
    "approximate_gelu": lambda x: keras.activations.gelu(x, approximate=True),
}
"""Activations."""


class Block(L.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = L.Dense(C)

    def call(self, x, mask=None, training=False):
        y = self.dense(x)
        if training:
            y = y * 2.0
        if mask is not None:
            y = y * ops.cast(mask, "float32")[:, :, None]
        return x + y


class WithoutScores(L.Layer):
    """Returns None beside a tensor, as encoders do that are not asked for their scores."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = L.Dense(C, name="dense")
        self.scale = self.add_weight(shape=(C,), initializer="ones", name="scale")

    def call(self, x, factor=1.0):
        return self.dense(x) * self.scale * factor, None


class CachedAttention(L.MultiHeadAttention):
    """Takes an argument that its base, and so the base's `compute_output_spec`, knows nothing of."""

    def call(self, query, value, key=None, attention_mask=None, cache=None):
        assert cache is None
        assert key is None
        query, key, value = self._query_dense(query), self._key_dense(value), self._value_dense(value)
        y, _ = self._compute_attention(query, key, value, attention_mask)
        return self._output_dense(y)


def _without_scores(layer):
    layer.inner = [WithoutScores(name=f"inner_{i}") for i in range(2)]


def _scores_left_away(layer, x):
    y, _ = layer.inner[0](x)
    z, scores = layer.inner[1](ops.relu(y), factor=0.5)
    assert scores is None
    return layer.inner[0](z)[0]


def _cached(layer):
    layer.attention = CachedAttention(2, 4, name="attention")


class AugmentsByDefault(L.Layer):
    def call(self, x, training=True):
        return x * 100.0 if training else ops.relu(x)


def _augmenting(layer):
    layer.inner = AugmentsByDefault()


LAYERS |= {
    "none_beside_a_tensor": (_scores_left_away, _without_scores),
    "argument_that_the_base_does_not_know": (
        lambda s, x: s.attention(query=x, value=x, cache=None) + x,
        _cached,
    ),
    "trains_by_default": (lambda s, x: s.inner(x) + 1.0, _augmenting),
}


class Inner(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.blocks = [Block() for _ in range(2)]

    def call(self, inputs, training=None, mask=None):
        x = inputs["x"] + inputs["y"]
        for block in self.blocks:
            x = block(x, training=training)
        return x, ops.mean(x, axis=1)


class Outer(keras.Model):
    def __init__(self):
        super().__init__()
        self.inner, self.head = Inner(), L.Dense(3)

    def call(self, inputs, training=None):
        x, mean = self.inner({"x": inputs, "y": ops.relu(inputs)}, training=training)
        return {"steps": self.head(x), "all": self.head(mean)}


class Derived(Inner):
    def call(self, inputs, training=None, mask=None):
        x, mean = super().call({"x": inputs[0], "y": inputs[1]}, training=training)
        return x + mean[:, None]


class Wrapped(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = L.Dense(3)

    @tf.function
    def call(self, x):
        return self.dense(x)


def _masked():
    tokens = keras.Input((N,), dtype="int32")
    x = L.Embedding(20, C, mask_zero=True)(tokens)
    return keras.Model(tokens, Block()(x))


def _with_constant():
    one, other = keras.Input((4, C)), keras.Input((6, C))
    cross = keras.Model([one, other], L.Attention()([one, other]))
    latents = keras.Variable(np.random.default_rng(0).random((1, 4, C)).astype("float32"))
    x = keras.Input((6, C))
    return keras.Model(x, cross([ops.convert_to_tensor(latents), x]))


def _shared_submodel():
    one, other = keras.Input((4, C)), keras.Input((6, C))
    block = keras.Model([one, other], L.Attention(use_scale=True)([one, other]))
    q, kv = keras.Input((4, C)), keras.Input((6, C))
    return keras.Model([q, kv], block([block([q, kv]), kv]))


class MaskedByTensorFlow(L.Layer):
    """Makes its mask by a function of TensorFlow, and its values by one that asks for the batch."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.table = L.Embedding(20, C)

    def call(self, tokens):
        return self.table(tokens) * ops.ones((ops.shape(tokens)[0], 1, 1))

    def compute_mask(self, tokens, previous=None):
        return tf.math.not_equal(tokens, 0)


class DecodesWithMasks(L.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.embedding = MaskedByTensorFlow()
        self.block = Block()

    def call(self, tokens):
        x = self.embedding(tokens)
        return self.block(x) + ops.zeros((ops.shape(tokens)[0], 1, 1))


def _masks_and_batch():
    tokens = keras.Input((N,), dtype="int32")
    return keras.Model(tokens, DecodesWithMasks()(tokens))


def _masks_into_a_nested_model():
    tokens = keras.Input((N,), dtype="int32")
    x = keras.Input((N, C))
    inner = keras.Model(x, Code(*LAYERS["token_tiled"])(Block()(x)))
    return keras.Model(tokens, inner(L.Embedding(20, C, mask_zero=True)(tokens)))


class Latents(L.Layer):
    """Gives a nested model rows that all samples share."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.latents = self.add_weight(shape=(N, C), initializer="ones", name="latents")
        one, other = keras.Input((N, C)), keras.Input((N, C))
        y = L.Multiply()([L.Add()([other, one]), one])
        self.cross = keras.Model([one, other], L.MultiHeadAttention(2, 4)(y, y))

    def call(self, x):
        return self.cross([ops.expand_dims(self.latents, 0), ops.sin(x)])


class Sums(L.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.latents = self.add_weight(shape=(1, N, C), initializer="ones", name="latents")
        self.add, self.attention = L.Add(), L.Attention()

    def call(self, x):
        y = self.add([self.latents * 2.0, x]) + self.attention([self.latents * 3.0, x])
        return ops.reshape(y, (y.shape[0] or -1, N * C))


def _latents(make):
    x = keras.Input((N, C))
    return keras.Model(x, make()(x))


class Attends(L.Layer):
    """Calls an attention on a tensor that has a mask, and adds that tensor behind it."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.attention, self.add, self.pool = (
            L.MultiHeadAttention(2, 4),
            L.Add(),
            L.GlobalAveragePooling1D(),
        )

    def call(self, x):
        y = self.attention(query=x, value=x, key=x)
        return self.pool(self.add([x, y])) + self.pool(y)


class MaskedInCode(keras.Model):
    """The mask of an embedding goes through layers that say nothing of masks."""

    def __init__(self):
        super().__init__()
        self.embedding = L.Embedding(20, C, mask_zero=True)
        self.first, self.second = Attends(), WithoutScores()
        self.dense = L.Dense(3)

    def call(self, tokens):
        x = self.embedding(tokens)
        y, _ = self.second(x)
        return self.dense(self.first(x) + self.first(y))


def _masked_in_code():
    model = MaskedInCode()
    model(np.ones((2, N), "int32"))
    return model


def _trains_by_default():
    x = keras.Input((N, C))
    return keras.Model(x, AugmentsByDefault()(x))


def _own_layer_twice():
    layer = Code(*LAYERS["low_rank"])
    x = keras.Input((N, C))
    return keras.Model(x, layer(ops.relu(layer(x))))


def _several_arguments():
    class Sum(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = L.Dense(3)

        def call(self, one, other, scale=1.0):
            return self.dense(one) + scale * self.dense(other)

    one, other = keras.Input((C,)), keras.Input((C,))
    return keras.Model([one, other], Sum()(one, other, scale=0.5))


def _called(model, *shapes):
    arrays = [np.zeros((2, *shape), "float32") for shape in shapes]
    model(arrays if len(arrays) > 1 else arrays[0])
    return model


def _with_lambda():
    x = keras.Input((N, C))
    y = L.Lambda(lambda x: ops.tile(ops.mean(x, axis=1, keepdims=True), (1, N, 1)) - x)(x)
    return keras.Model(x, L.Lambda(lambda t: tf.reduce_max(t, axis=1))(y))


def _activations():
    x = y = keras.Input((N, C))
    for function in FUNCTIONS.values():
        y = L.Activation(function)(L.Conv1D(C, 1, activation=function)(L.Dense(C, activation=function)(y)))
    return keras.Model(x, y)


def _recurrent():
    x = keras.Input((N, C))
    return keras.Model(x, L.GRU(3, activation=lambda x: ops.tanh(x) * 0.9)(x))


MODELS = {
    "nested": lambda: _called(Outer(), (N, C)),
    "super_call": lambda: _called(Derived(), (N, C), (N, C)),
    "tf_function": lambda: _called(Wrapped(), (C,)),
    "mask_of_keras": _masked,
    "nested_model_with_a_constant": _with_constant,
    "shared_submodel": _shared_submodel,
    "trains_by_default_in_a_functional_model": _trains_by_default,
    "mask_of_tensorflow_and_the_batch": _masks_and_batch,
    "mask_into_a_nested_model": _masks_into_a_nested_model,
    "latents_of_batch_1_in_a_nested_model": lambda: _latents(Latents),
    "latents_of_batch_1": lambda: _latents(Sums),
    "mask_through_code": _masked_in_code,
    "own_layer_twice": _own_layer_twice,
    "several_arguments": _several_arguments,
    "lambda": _with_lambda,
    "activations": _activations,
    "recurrent_activation": _recurrent,
}


def over(name):
    """Return a functional model around a layer of the table."""
    x = keras.Input((N, C))
    return keras.Model(x, Code(*LAYERS[name], name="own")(x))
