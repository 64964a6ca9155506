"""Steps that random graphs are made of: each takes tensors of any width, and returns None where it cannot."""

import keras
import numpy as np
from keras import layers as L
from keras import ops


def _rank(x):
    return len(x.shape)


def _image(step):
    """Return a step that is for images alone."""
    return lambda x: step(x) if _rank(x) == 4 else None


def _sequence(step):
    return lambda x: step(x) if _rank(x) == 3 else None


def _even(step):
    return lambda x: step(x) if x.shape[-1] % 2 == 0 and x.shape[-1] > 2 else None


def _attended(x):
    return L.MultiHeadAttention(3, 2)(x, x)


def _grouped_query(x):
    return L.GroupQueryAttention(2, 4, 2)(x, x)


def _by_hand(x):
    """Heads that are split and merged by reshapes, as users write attention."""
    width, length = 8, x.shape[1]

    def heads(x):
        return ops.transpose(ops.reshape(L.Dense(width)(x), (-1, length, 4, 2)), (0, 2, 1, 3))

    scores = ops.softmax(ops.matmul(heads(x), ops.transpose(heads(x), (0, 1, 3, 2))) * 0.7)
    return ops.reshape(ops.transpose(ops.matmul(scores, heads(x)), (0, 2, 1, 3)), (-1, length, width))


def _at_once(x):
    """Queries, keys and values of one layer."""
    length = x.shape[1]
    y = ops.transpose(ops.reshape(L.Dense(24)(x), (-1, length, 3, 4, 2)), (2, 0, 3, 1, 4))
    scores = ops.softmax(ops.einsum("bhqd,bhkd->bhqk", y[0], y[1]))
    return L.Reshape((length, 8))(L.Permute((2, 1, 3))(ops.einsum("bhqk,bhkd->bhqd", scores, y[2])))


def _fused(x):
    parts = [L.EinsumDense("btd,dhk->bthk", (x.shape[1], 4, 3))(x) for _ in range(3)]
    return L.EinsumDense("bthk,hkd->btd", (x.shape[1], 6), bias_axes="d")(ops.dot_product_attention(*parts))


def _shuffled(x):
    height, width, channels = x.shape[1:]
    y = ops.reshape(x, (-1, height, width, 2, channels // 2))
    return ops.reshape(ops.transpose(y, (0, 1, 2, 4, 3)), (-1, height, width, channels))


def _gated(x):
    gate = L.GlobalAveragePooling2D(keepdims=True)(x)
    gate = L.Conv2D(x.shape[-1], 1, activation="sigmoid")(L.Conv2D(4, 1, activation="relu")(gate))
    return L.Multiply()([x, gate])


def _gated_linear(x):
    one, other = ops.split(L.Dense(12)(x), 2, axis=-1)
    return one * ops.sigmoid(other)


def _halves(x):
    half = x.shape[-1] // 2
    return L.Concatenate()([x[..., half:], x[..., :half] * 2.0])


def _mixed(x):
    """Mixes tokens, as MLP mixers do."""
    return L.Permute((2, 1))(L.Dense(x.shape[1], activation="gelu")(L.Permute((2, 1))(x)))


def _nested(x):
    inputs = keras.Input(x.shape[1:])
    y = L.BatchNormalization()(L.Dense(7)(inputs))
    return keras.Model(inputs, L.ReLU()(y))(x)


def _twice(x):
    layer = L.Dense(x.shape[-1], activation="tanh")
    return layer(layer(L.Dense(x.shape[-1])(x)))


def _bottleneck(x):
    y = L.Conv2D(5, 1, activation="relu")(x)
    y = L.DepthwiseConv2D(3, padding="same", depth_multiplier=2)(y)
    return L.Add()([x, L.Conv2D(x.shape[-1], 1)(L.BatchNormalization()(y))])


def _flat(x):
    return L.Dense(9, activation="relu")(L.Flatten()(x))


def _as_sequence(x):
    return L.Reshape((-1, x.shape[-1]))(x)


def _chosen(x):
    return ops.take(x, np.arange(x.shape[-1])[::-1][: x.shape[-1] - 1], axis=-1)


UNARY = {
    "conv": _image(lambda x: L.Conv2D(8, 3, padding="same")(x)),
    "conv_relu": _image(lambda x: L.Conv2D(6, 1, activation="relu")(x)),
    "conv_groups": _image(_even(lambda x: L.Conv2D(x.shape[-1], 3, padding="same", groups=2)(x))),
    "conv_of_groups": _image(lambda x: L.Conv2D(8, 1, groups=4)(L.Conv2D(8, 1)(x))),
    "conv_in_wide_groups": _image(lambda x: L.Conv2D(12, 3, groups=2)(L.Conv2D(8, 1)(x))),
    "conv_in_fixed_groups": _image(lambda x: L.Conv2D(6, 1, groups=2)(ops.sort(L.Conv2D(4, 1)(x), axis=-1))),
    "depthwise": _image(lambda x: L.DepthwiseConv2D(3, padding="same", activation="silu")(x)),
    "separable": _image(lambda x: L.SeparableConv2D(7, 3, padding="same", depth_multiplier=2)(x)),
    "transposed": _image(lambda x: L.Conv2DTranspose(6, 3, padding="same")(x)),
    "shuffle": _image(_even(_shuffled)),
    "gate": _image(_gated),
    "bottleneck": _image(_bottleneck),
    "max_pool": _image(lambda x: L.MaxPooling2D(3, 1, padding="same")(x)),
    "average_pool": _image(lambda x: L.AveragePooling2D(2, 1, padding="same")(x)),
    "pad": _image(lambda x: L.Cropping2D(1)(L.ZeroPadding2D(1)(x))),
    "resize": _image(lambda x: L.MaxPooling2D(2)(L.UpSampling2D(2)(x))),
    "depth_to_space": _image(lambda x: L.AveragePooling2D(2)(ops.depth_to_space(L.Conv2D(12, 1)(x), 2))),
    "as_sequence": _image(_as_sequence),
    "pooled": _image(lambda x: L.GlobalAveragePooling2D()(x)),
    "sum_of_pixels": _image(lambda x: ops.sum(x, axis=(1, 2)) * 0.1),
    "channels_first": _image(lambda x: ops.moveaxis(ops.moveaxis(x, -1, 1) * 2.0, 1, -1)),
    "lstm": _sequence(lambda x: L.LSTM(5, return_sequences=True)(x)),
    "gru": _sequence(lambda x: L.GRU(4)(x)),
    "simple_rnn": _sequence(lambda x: L.SimpleRNN(6, return_sequences=True, go_backwards=True)(x)),
    "bidirectional": _sequence(lambda x: L.Bidirectional(L.LSTM(3, return_sequences=True))(x)),
    "attention": _sequence(_attended),
    "grouped_query": _sequence(_grouped_query),
    "attention_by_hand": _sequence(_by_hand),
    "attention_at_once": _sequence(_at_once),
    "dot_product_attention": _sequence(_fused),
    "mixer": _sequence(_mixed),
    "conv1d": _sequence(lambda x: L.Conv1D(6, 3, padding="causal")(x)),
    "steps": _sequence(lambda x: L.TimeDistributed(L.Dense(5, activation="relu"))(x)),
    "last_step": _sequence(lambda x: x[:, -1]),
    "einsum_dense": _sequence(lambda x: L.EinsumDense("btd,de->bte", (x.shape[1], 6), bias_axes="e")(x)),
    "dense": lambda x: L.Dense(8)(x),
    "dense_swish": lambda x: L.Dense(6, activation="swish")(x),
    "glu": _gated_linear,
    "batch_norm": lambda x: L.BatchNormalization()(x),
    "batch_norm_unscaled": lambda x: L.BatchNormalization(scale=False)(x),
    "layer_norm": lambda x: L.LayerNormalization()(x),
    "rms_norm": lambda x: L.RMSNormalization()(x),
    "group_norm": _even(lambda x: L.GroupNormalization(2)(x) if _rank(x) == 4 else None),
    "unit_norm": lambda x: L.UnitNormalization()(x),
    "relu": lambda x: L.ReLU()(x),
    "sigmoid": lambda x: ops.sigmoid(x),
    "gelu": lambda x: L.Activation("gelu")(x),
    "exp": lambda x: ops.exp(ops.clip(x, -2.0, 1.0)),
    "softmax": lambda x: L.Softmax()(x),
    "dropout": lambda x: L.Dropout(0.2)(x),
    "scaled": lambda x: x * np.linspace(0.5, 2.0, x.shape[-1], dtype="float32") - 0.3,
    "largest": lambda x: ops.max(x, axis=-1, keepdims=True) + x,
    "mean_of_channels": lambda x: x - ops.mean(x, axis=-1, keepdims=True),
    "halves": _even(_halves),
    "reversed": lambda x: ops.flip(x, axis=-1),
    "chosen": lambda x: _chosen(x) if x.shape[-1] > 2 else None,
    "repeated": lambda x: ops.repeat(x, 2, axis=-1) if x.shape[-1] < 16 else None,
    "tiled": lambda x: ops.tile(x, (1,) * (_rank(x) - 1) + (2,)) if x.shape[-1] < 16 else None,
    "padded": lambda x: ops.pad(x, ((0, 0),) * (_rank(x) - 1) + ((1, 2),)),
    "rolled": lambda x: ops.roll(x, 1, axis=-1),
    "stacked": lambda x: ops.max(ops.stack([x, x * 0.5], axis=1), axis=1),
    "expanded": lambda x: ops.squeeze(ops.expand_dims(x, 1), 1),
    "squares": lambda x: ops.square(x) * 0.3,
    "clipped": lambda x: ops.clip(x, -1.0, 1.0),
    "where": lambda x: ops.where(x > 0, x, x * 0.1),
    "shared": _twice,
    "nested": _nested,
    "flat": _flat,
    "prelu": lambda x: L.PReLU()(x),
    "spectral": lambda x: L.SpectralNormalization(L.Dense(5))(x),
}
"""Name -> a step from one tensor to another."""


def _same_shape(join):
    def step(a, b):
        if a.shape[:-1] != b.shape[:-1]:
            return None
        if a.shape != b.shape:
            a, b = L.Dense(6)(a), L.Dense(6)(b)
        return join(a, b)

    return step


def _side_by_side(a, b):
    narrow = a.shape[-1] + b.shape[-1] < 40
    return L.Concatenate()([a, b]) if a.shape[:-1] == b.shape[:-1] and narrow else None


def _in_time(a, b):
    alike = _rank(a) == _rank(b) == 3 and a.shape[-1] == b.shape[-1]
    return ops.concatenate([a, b], axis=1) if alike else None


def _crossed(a, b):
    return L.MultiHeadAttention(2, 3, output_shape=5)(a, b) if _rank(a) == _rank(b) == 3 else None


def _conditioned(a, b):
    """Scales the channels of an image by a vector."""
    if _rank(a) != 4 or _rank(b) != 2:
        return None
    return a * ops.reshape(L.Dense(a.shape[-1])(b), (-1, 1, 1, a.shape[-1]))


def _compared(a, b):
    return L.Dot(1)([L.Dense(6)(a), L.Dense(6)(b)]) if _rank(a) == _rank(b) == 2 else None


def _dot_attended(a, b):
    return L.Attention()([L.Dense(5)(a), L.Dense(5)(b)]) if _rank(a) == _rank(b) == 3 else None


def _additive_attended(a, b):
    return L.AdditiveAttention()([L.Dense(5)(a), L.Dense(5)(b)]) if _rank(a) == _rank(b) == 3 else None


def _products(a, b):
    return ops.einsum("bi,bj->bij", a, b) if _rank(a) == _rank(b) == 2 and a.shape[-1] < 16 else None


def _begun(a, b):
    """Begins a recurrence with a state."""
    if _rank(a) != 3 or _rank(b) != 2:
        return None
    return L.GRU(5, return_sequences=True)(a, initial_state=L.Dense(5)(b))


BINARY = {
    "add": _same_shape(lambda a, b: L.Add()([a, b])),
    "operator": _same_shape(lambda a, b: a + b),
    "multiply": _same_shape(lambda a, b: L.Multiply()([a, b])),
    "subtract": _same_shape(lambda a, b: L.Subtract()([a, b])),
    "maximum": _same_shape(lambda a, b: ops.maximum(a, b)),
    "average": _same_shape(lambda a, b: L.Average()([a, b])),
    "concatenate": _side_by_side,
    "in_time": _in_time,
    "cross_attention": _crossed,
    "condition": _conditioned,
    "dot": _compared,
    "dot_attention": _dot_attended,
    "additive_attention": _additive_attended,
    "outer": _products,
    "begun": _begun,
}
"""Name -> a step from two tensors to one."""

STEPS = {**UNARY, **BINARY}


def graph(choices, outputs=1):
    """Return a model of steps.

    Args:
        choices: name of a step, and which of the tensors so far it takes.
        outputs: how many of the last tensors it returns.
    """
    inputs = [keras.Input((4, 4, 3)), keras.Input((5, 4))]
    tensors = [L.Conv2D(6, 3, padding="same")(inputs[0]), L.Dense(6)(inputs[1])]
    for name, *places in choices:
        taken = [tensors[-1 - place % len(tensors)] for place in places]
        made = UNARY[name](taken[0]) if name in UNARY else BINARY[name](*taken)
        if made is not None:
            tensors.append(made)
    ends = [L.Dense(3)(L.Flatten()(x)) for x in (tensors[-1], *tensors[:2])]
    return keras.Model(inputs, ends + tensors[-outputs:][: outputs - 1])
