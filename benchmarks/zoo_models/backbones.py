"""Blocks and backbones in the style of keras-cv-attention-models and similar collections of image models.

Functional models made by functions that name every layer, hard activations by name, re-parametrized blocks,
attention over windows, halos and bottlenecks with relative positions.
"""

import math

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from zoo_models.table import Table, images

MODELS = Table("keras-cv-attention-models")


def activation_by_name(x, activation="relu", name=None):
    if activation is None:
        return x
    if activation == "hard_swish":
        return layers.Activation(lambda each: each * ops.relu6(each + 3.0) / 6.0, name=name)(x)
    if activation == "prelu":
        return layers.PReLU(shared_axes=list(range(1, len(x.shape) - 1)), alpha_initializer="glorot_uniform")(
            x
        )
    if activation == "gelu/app":
        return keras.activations.gelu(x, approximate=True)
    return layers.Activation(activation, name=name)(x)


def batchnorm_with_activation(x, activation="relu", zero_gamma=False, epsilon=1e-5, name=None):
    gamma = keras.initializers.Constant(0.5) if zero_gamma else "ones"
    x = layers.BatchNormalization(
        momentum=0.9, epsilon=epsilon, gamma_initializer=gamma, name=name and name + "bn"
    )(x)
    return activation_by_name(x, activation, name=name and name + (activation or "") + "_act")


def conv2d_no_bias(x, filters, kernel_size=1, strides=1, padding="same", groups=1, use_bias=False, name=None):
    if padding == "same" and kernel_size > 1:
        pad = kernel_size // 2
        x = layers.ZeroPadding2D(padding=pad, name=name and name + "pad")(x)
    return layers.Conv2D(
        filters, kernel_size, strides, "valid", groups=groups, use_bias=use_bias, name=name and name + "conv"
    )(x)


def depthwise_conv2d_no_bias(x, kernel_size, strides=1, use_bias=False, name=None):
    return layers.DepthwiseConv2D(
        kernel_size, strides=strides, padding="same", use_bias=use_bias, name=name and name + "dw_conv"
    )(x)


def se_module(x, ratio=0.25, activation="relu", hard=False, name=None):
    filters = x.shape[-1]
    se = ops.mean(x, axis=[1, 2], keepdims=True)
    se = layers.Conv2D(max(1, int(filters * ratio)), 1, name=name and name + "1_conv")(se)
    se = activation_by_name(se, activation)
    se = layers.Conv2D(filters, 1, name=name and name + "2_conv")(se)
    se = activation_by_name(se, "hard_sigmoid" if hard else "sigmoid")
    return layers.Multiply(name=name and name + "out")([x, se])


def drop_block(x, rate=0.0):
    return layers.Dropout(rate, noise_shape=(None, 1, 1, 1))(x) if rate else x


def output_block(x, classes=5):
    x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
    return layers.Dense(classes, dtype="float32", activation="softmax", name="predictions")(x)


class ChannelAffine(layers.Layer):
    def __init__(self, use_bias=True, weight_init_value=1, axis=-1, **kwargs):
        super().__init__(**kwargs)
        self.use_bias, self.weight_init_value, self.axis = use_bias, weight_init_value, axis
        self.ww_init = keras.initializers.Constant(weight_init_value)
        self.supports_masking = True

    def build(self, input_shape):
        ww_shape = (input_shape[-1],)
        self.ww = self.add_weight(name="weight", shape=ww_shape, initializer=self.ww_init, trainable=True)
        if self.use_bias:
            self.bb = self.add_weight(name="bias", shape=ww_shape, initializer="zeros", trainable=True)
        super().build(input_shape)

    def call(self, inputs):
        return inputs * self.ww + self.bb if self.use_bias else inputs * self.ww


class PairWiseRelativePositionalEmbedding(layers.Layer):
    """Adds a bias of each head for each offset; the table is logarithmic or plain."""

    def build(self, input_shape):
        height = width = int(math.sqrt(input_shape[2]))
        coords = np.stack(np.meshgrid(range(height), range(width), indexing="ij"), axis=-1).reshape(-1, 2)
        relative = coords[:, None] - coords[None] + [height - 1, width - 1]
        self.relative_position_index = relative[..., 0] * (2 * width - 1) + relative[..., 1]
        self.positional_embedding = self.add_weight(
            name="positional_embedding",
            shape=((2 * height - 1) * (2 * width - 1), input_shape[1]),
            initializer=keras.initializers.RandomNormal(stddev=0.5),
        )
        super().build(input_shape)

    def call(self, inputs):
        pos_emb = ops.take(self.positional_embedding, self.relative_position_index, axis=0)
        return inputs + ops.expand_dims(ops.transpose(pos_emb, [2, 0, 1]), 0)


def mhsa_with_relative_positions(x, num_heads=2, qkv_bias=False, name=None):
    _, height, width, channels = x.shape
    key_dim = channels // num_heads
    qkv = layers.Dense(channels * 3, use_bias=qkv_bias, name=name and name + "qkv")(
        layers.Reshape((-1, channels))(x)
    )
    query, key, value = ops.split(qkv, 3, axis=-1)

    def heads(x, order):
        return ops.transpose(ops.reshape(x, [-1, x.shape[1], num_heads, key_dim]), order)

    query, key, value = heads(query, [0, 2, 1, 3]), heads(key, [0, 2, 3, 1]), heads(value, [0, 2, 1, 3])
    scores = (query @ key) / (float(key_dim) ** 0.5)
    scores = PairWiseRelativePositionalEmbedding(name=name and name + "pos_emb")(scores)
    scores = layers.Softmax(axis=-1, name=name and name + "attention_scores")(scores)
    out = ops.transpose(scores @ value, [0, 2, 1, 3])
    out = ops.reshape(out, [-1, height, width, channels])
    return layers.Dense(channels, name=name and name + "output")(out)


@MODELS.add
def coat_net():
    def mbconv(x, filters, strides=1, name=None):
        shortcut = x
        if strides > 1 or x.shape[-1] != filters:
            shortcut = layers.MaxPool2D(2, strides=strides, padding="same")(x) if strides > 1 else x
            shortcut = conv2d_no_bias(shortcut, filters, name=name + "shortcut_")
        y = layers.BatchNormalization(name=name + "preact_bn")(x)
        y = conv2d_no_bias(y, filters * 2, strides=strides, name=name + "expand_")
        y = batchnorm_with_activation(y, "gelu", name=name + "expand_")
        y = depthwise_conv2d_no_bias(y, 3, name=name + "MB_")
        y = batchnorm_with_activation(y, "gelu", name=name + "MB_dw_")
        y = se_module(y, activation="relu", name=name + "se_")
        y = conv2d_no_bias(y, filters, name=name + "MB_pw_")
        return layers.Add()([shortcut, drop_block(y, 0.1)])

    inputs = layers.Input((32, 32, 3))
    x = conv2d_no_bias(inputs, 8, 3, strides=2, name="stem_1_")
    x = batchnorm_with_activation(x, "gelu", name="stem_1_")
    x = mbconv(x, 12, 2, "stack_1_")
    x = mbconv(x, 16, 2, "stack_2_")
    y = layers.LayerNormalization(epsilon=1e-5)(x)
    x = layers.Add()([x, mhsa_with_relative_positions(y, name="attn_")])
    y = layers.LayerNormalization(epsilon=1e-5)(x)
    y = layers.Dense(16)(activation_by_name(layers.Dense(32)(y), "gelu"))
    x = layers.Add()([x, y])
    return keras.Model(inputs, output_block(x), name="coatnet"), images(32, 32, 3)


@MODELS.add
def ghost_net():
    def ghost_module(x, out, activation="relu", name=None):
        primary = conv2d_no_bias(x, out // 2, name=name + "prim_")
        primary = batchnorm_with_activation(primary, activation, name=name + "prim_")
        cheap = depthwise_conv2d_no_bias(primary, 3, name=name + "cheap_")
        cheap = batchnorm_with_activation(cheap, activation, name=name + "cheap_")
        return layers.Concatenate(axis=-1, name=name + "concat")([primary, cheap])

    inputs = layers.Input((32, 32, 3))
    x = batchnorm_with_activation(conv2d_no_bias(inputs, 8, 3, 2, name="stem_"), name="stem_")
    for i, (filters, strides) in enumerate(((8, 1), (16, 2))):
        name = f"stack{i}_"
        y = ghost_module(x, 2 * filters, name=name + "ghost_1_")
        if strides > 1:
            y = depthwise_conv2d_no_bias(y, 3, strides, name=name + "down_")
            y = batchnorm_with_activation(y, None, name=name + "down_")
        y = se_module(y, hard=True, name=name + "se_")
        y = ghost_module(y, filters, activation=None, name=name + "ghost_2_")
        if strides > 1 or x.shape[-1] != filters:
            x = depthwise_conv2d_no_bias(x, 3, strides, name=name + "short_1_")
            x = conv2d_no_bias(batchnorm_with_activation(x, None), filters, name=name + "short_2_")
            x = batchnorm_with_activation(x, None)
        x = layers.Add()([x, y])
    return keras.Model(inputs, output_block(x), name="ghostnet"), images(32, 32, 3)


@MODELS.add
def rep_vgg():
    """Three branches that are one convolution after training."""
    inputs = layers.Input((32, 32, 3))
    x = inputs
    for i, filters in enumerate((8, 8, 16)):
        strides = 1 if i == 1 else 2
        three = batchnorm_with_activation(conv2d_no_bias(x, filters, 3, strides, name=f"{i}_REP_k3_"), None)
        one = batchnorm_with_activation(conv2d_no_bias(x, filters, 1, strides, name=f"{i}_REP_k1_"), None)
        branches = [three, one]
        if strides == 1 and x.shape[-1] == filters:
            branches.append(layers.BatchNormalization(name=f"{i}_REP_bn")(x))
        x = activation_by_name(layers.Add(name=f"{i}_REP_out")(branches), "relu")
    return keras.Model(inputs, output_block(x), name="repvgg"), images(32, 32, 3)


@MODELS.add
def lc_net():
    inputs = layers.Input((32, 32, 3))
    x = batchnorm_with_activation(conv2d_no_bias(inputs, 8, 3, 2, name="stem_"), "hard_swish", name="stem_")
    for i, (filters, kernel, strides, use_se) in enumerate(((12, 3, 1, False), (16, 5, 2, True))):
        x = depthwise_conv2d_no_bias(x, kernel, strides, name=f"b{i}_")
        x = batchnorm_with_activation(x, "hard_swish", name=f"b{i}_dw_")
        if use_se:
            x = se_module(x, hard=True, name=f"b{i}_se_")
        x = batchnorm_with_activation(
            conv2d_no_bias(x, filters, name=f"b{i}_pw_"), "hard_swish", name=f"b{i}_pw_"
        )
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = activation_by_name(layers.Conv2D(24, 1)(x), "hard_swish")
    return keras.Model(inputs, layers.Dense(5, activation="softmax")(layers.Flatten()(x))), images(32, 32, 3)


@MODELS.add
def edge_next():
    """Split depthwise transpose attention: channels attend to channels."""

    def cross_covariance_attention(x, heads=2, name=None):
        _, height, width, channels = x.shape
        qkv = layers.Dense(channels * 3, name=name + "qkv")(layers.Reshape((height * width, channels))(x))
        qkv = ops.reshape(qkv, [-1, height * width, 3, heads, channels // heads])
        query, key, value = ops.unstack(ops.transpose(qkv, [2, 0, 3, 4, 1]), 3, axis=0)
        query = ops.normalize(query, axis=-1, order=2, epsilon=1e-6)
        key = ops.normalize(key, axis=-1, order=2, epsilon=1e-6)
        scores = ops.matmul(query, ops.transpose(key, [0, 1, 3, 2]))
        scores = Temperature(name=name + "temperature")(scores)
        scores = layers.Softmax(axis=-1)(scores)
        out = ops.reshape(
            ops.transpose(ops.matmul(scores, value), [0, 3, 1, 2]), [-1, height, width, channels]
        )
        return layers.Dense(channels, name=name + "out")(out)

    inputs = layers.Input((32, 32, 3))
    x = layers.LayerNormalization(epsilon=1e-6)(layers.Conv2D(8, 4, strides=4)(inputs))
    y = depthwise_conv2d_no_bias(x, 5, use_bias=True)
    y = layers.Dense(16, activation="gelu")(layers.LayerNormalization(epsilon=1e-6)(y))
    x = layers.Add()([x, ChannelAffine(False, 0.5)(layers.Dense(8)(y))])
    x = layers.Conv2D(16, 2, strides=2)(layers.LayerNormalization(epsilon=1e-6)(x))
    spx, rest = ops.split(x, 2, axis=-1)
    y = layers.Concatenate()([depthwise_conv2d_no_bias(spx, 3), rest])
    z = layers.LayerNormalization(epsilon=1e-6)(y)
    y = layers.Add()([y, ChannelAffine(False, 0.5)(cross_covariance_attention(z, name="xca_"))])
    z = layers.Dense(32, activation="gelu")(layers.LayerNormalization(epsilon=1e-6)(y))
    x = layers.Add()([x, ChannelAffine(False, 0.5)(layers.Dense(16)(z))])
    return keras.Model(inputs, output_block(x), name="edgenext"), images(32, 32, 3)


class Temperature(layers.Layer):
    def build(self, input_shape):
        self.scale = self.add_weight(name="temperature", shape=(input_shape[1], 1, 1), initializer="ones")

    def call(self, inputs):
        return inputs * self.scale


@MODELS.add
def max_vit():
    """Attention in windows, then over a grid."""

    def window_attention(x, window, is_grid, name):
        _, height, width, channels = x.shape
        rows, columns = height // window, width // window
        if is_grid:
            y = ops.reshape(x, [-1, window, rows, window, columns, channels])
            y = ops.transpose(y, [0, 2, 4, 1, 3, 5])
        else:
            y = ops.reshape(x, [-1, rows, window, columns, window, channels])
            y = ops.transpose(y, [0, 1, 3, 2, 4, 5])
        y = ops.reshape(y, [-1, window, window, channels])
        y = mhsa_with_relative_positions(y, qkv_bias=True, name=name)
        y = ops.reshape(y, [-1, rows, columns, window, window, channels])
        y = ops.transpose(y, [0, 3, 1, 4, 2, 5] if is_grid else [0, 1, 3, 2, 4, 5])
        return ops.reshape(y, [-1, height, width, channels])

    inputs = layers.Input((16, 16, 3))
    x = batchnorm_with_activation(conv2d_no_bias(inputs, 12, 3, 2, name="stem_"), "gelu/app", name="stem_")
    for is_grid in (False, True):
        y = layers.LayerNormalization(epsilon=1e-5)(x)
        x = layers.Add()([x, window_attention(y, 4, is_grid, f"grid_{is_grid}_")])
        y = layers.LayerNormalization(epsilon=1e-5)(x)
        x = layers.Add()([x, layers.Dense(12)(activation_by_name(layers.Dense(24)(y), "gelu/app"))])
    return keras.Model(inputs, output_block(x), name="maxvit"), images(16, 16, 3)


class CompatibleExtractPatches(layers.Layer):
    def __init__(self, sizes, strides, **kwargs):
        super().__init__(**kwargs)
        self.sizes, self.strides = sizes, strides

    def call(self, inputs):
        return tf.image.extract_patches(
            inputs,
            [1, self.sizes, self.sizes, 1],
            strides=[1, self.strides, self.strides, 1],
            rates=[1, 1, 1, 1],
            padding="VALID",
        )


class RelativePositionalEmbedding(layers.Layer):
    """Scores of queries with the rows' and the columns' offsets."""

    def build(self, input_shape):
        _, _, height, width, key_dim = input_shape
        self.height, self.width = height, width
        for name, size in (("r_height", height), ("r_width", width)):
            weight = self.add_weight(
                name=name,
                shape=(key_dim, 2 * size - 1),
                initializer=keras.initializers.RandomNormal(stddev=key_dim**-0.5),
            )
            setattr(self, f"pos_{name}", weight)

    def rel_to_abs(self, rel_pos):
        _, heads, hh, ww, dim = rel_pos.shape
        full_rank_gap = dim - ww
        flat_x = ops.reshape(rel_pos, [-1, heads, hh, ww * dim])
        flat_x = flat_x[..., ww - 1 : -1]
        flat_x = ops.pad(flat_x, [[0, 0], [0, 0], [0, 0], [0, 0]]) if full_rank_gap < 0 else flat_x
        return ops.reshape(flat_x, [-1, heads, hh, ww, dim - 1])[..., :ww]

    def call(self, inputs):
        width = self.rel_to_abs(ops.matmul(inputs, self.pos_r_width))
        width = ops.expand_dims(width, -2)
        height = self.rel_to_abs(ops.matmul(ops.transpose(inputs, [0, 1, 3, 2, 4]), self.pos_r_height))
        height = ops.expand_dims(ops.transpose(height, [0, 1, 3, 2, 4]), -1)
        return width + height


@MODELS.add
def bot_net():
    def bottleneck_attention(x, heads=2, name=None):
        _, height, width, channels = x.shape
        key_dim = channels // heads
        qkv = conv2d_no_bias(x, channels * 3, name=name + "qkv_")
        qkv = ops.reshape(qkv, [-1, height * width, 3, heads, key_dim])
        query, key, value = (ops.transpose(qkv[:, :, i], [0, 2, 1, 3]) for i in range(3))
        query = query / math.sqrt(key_dim)
        scores = ops.matmul(query, ops.transpose(key, [0, 1, 3, 2]))
        pos_query = ops.reshape(query, [-1, heads, height, width, key_dim])
        pos = RelativePositionalEmbedding(name=name + "pos_emb")(pos_query)
        scores = scores + ops.reshape(pos, [-1, *scores.shape[1:]])
        out = ops.matmul(layers.Softmax(axis=-1)(scores), value)
        return ops.reshape(ops.transpose(out, [0, 2, 1, 3]), [-1, height, width, channels])

    inputs = layers.Input((24, 24, 3))
    x = batchnorm_with_activation(conv2d_no_bias(inputs, 8, 3, 2, name="stem_"), name="stem_")
    x = batchnorm_with_activation(conv2d_no_bias(x, 16, 3, 2, name="down_"), name="down_")
    y = batchnorm_with_activation(conv2d_no_bias(x, 8, name="1_"), name="1_")
    y = batchnorm_with_activation(bottleneck_attention(y, name="2_mhsa_"), name="2_")
    y = batchnorm_with_activation(conv2d_no_bias(y, 16, name="3_"), None, zero_gamma=True, name="3_")
    x = activation_by_name(layers.Add()([x, y]), "relu")
    return keras.Model(inputs, output_block(x), name="botnet"), images(24, 24, 3)


@MODELS.add
def halo_net():
    """Blocks of queries see their neighbourhood."""

    def halo_attention(x, block=4, halo=1, heads=2, name=None):
        _, height, width, channels = x.shape
        key_dim = channels // heads
        rows, columns, size = height // block, width // block, block + 2 * halo
        query = ops.reshape(
            conv2d_no_bias(x, channels, name=name + "query_"), [-1, rows, block, columns, block, channels]
        )
        query = ops.reshape(
            ops.transpose(query, [0, 1, 3, 2, 4, 5]), [-1, rows * columns, block**2, heads, key_dim]
        )
        kv = conv2d_no_bias(x, 2 * channels, name=name + "kv_")
        kv = layers.ZeroPadding2D(halo)(kv)
        kv = CompatibleExtractPatches(size, block)(kv)
        kv = ops.reshape(kv, [-1, rows * columns, size**2, 2 * channels])
        key, value = ops.split(ops.reshape(kv, [-1, rows * columns, size**2, heads, 2 * key_dim]), 2, axis=-1)
        scores = ops.einsum("nbqhd,nbkhd->nbhqk", query, key) * key_dim**-0.5
        out = ops.einsum("nbhqk,nbkhd->nbqhd", ops.softmax(scores, axis=-1), value)
        out = ops.reshape(out, [-1, rows, columns, block, block, channels])
        return ops.reshape(ops.transpose(out, [0, 1, 3, 2, 4, 5]), [-1, height, width, channels])

    inputs = layers.Input((16, 16, 3))
    x = batchnorm_with_activation(conv2d_no_bias(inputs, 12, 3, 2, name="stem_"), "swish", name="stem_")
    y = batchnorm_with_activation(halo_attention(x, name="halo_"), "swish", name="halo_")
    y = batchnorm_with_activation(conv2d_no_bias(y, 12, name="out_"), None, name="out_")
    x = activation_by_name(layers.Add()([x, y]), "swish")
    return keras.Model(inputs, output_block(x), name="halonet"), images(16, 16, 3)


@MODELS.add
def conv_next_v2():
    class GlobalResponseNormalize(layers.Layer):
        def build(self, input_shape):
            self.gamma = self.add_weight(name="gamma", shape=(input_shape[-1],), initializer="ones")
            self.beta = self.add_weight(name="beta", shape=(input_shape[-1],), initializer="zeros")

        def call(self, inputs):
            norm_scale = ops.norm(inputs, axis=(1, 2), keepdims=True)
            norm_scale = norm_scale / (ops.mean(norm_scale, axis=-1, keepdims=True) + 1e-6)
            return inputs * norm_scale * self.gamma + self.beta + inputs

    inputs = layers.Input((16, 16, 3))
    x = layers.LayerNormalization(epsilon=1e-6)(layers.Conv2D(12, 4, strides=4)(inputs))
    for _ in range(2):
        y = depthwise_conv2d_no_bias(x, 7, use_bias=True)
        y = layers.Dense(48)(layers.LayerNormalization(epsilon=1e-6)(y))
        y = GlobalResponseNormalize()(activation_by_name(y, "gelu"))
        x = layers.Add()([x, drop_block(layers.Dense(12)(y), 0.1)])
    return keras.Model(inputs, output_block(layers.LayerNormalization()(x))), images(16, 16, 3)


@MODELS.add
def mobile_one_with_hard_attention():
    """Depthwise branches of several kernels, and coordinate attention."""

    def coordinate_attention(x, name=None):
        _, height, _, channels = x.shape
        rows = ops.mean(x, axis=2, keepdims=True)
        columns = ops.transpose(ops.mean(x, axis=1, keepdims=True), [0, 2, 1, 3])
        y = ops.concatenate([rows, columns], axis=1)
        y = batchnorm_with_activation(conv2d_no_bias(y, 8, name=name + "1_"), "hard_swish", name=name)
        rows, columns = ops.split(y, [height], axis=1)
        rows = layers.Conv2D(channels, 1, activation="sigmoid")(rows)
        columns = layers.Conv2D(channels, 1, activation="sigmoid")(ops.transpose(columns, [0, 2, 1, 3]))
        return x * rows * columns

    inputs = layers.Input((24, 24, 3))
    x = batchnorm_with_activation(conv2d_no_bias(inputs, 12, 3, 2, name="stem_"), name="stem_")
    branches = [batchnorm_with_activation(depthwise_conv2d_no_bias(x, k), None) for k in (1, 3, 3)]
    branches.append(layers.BatchNormalization()(x))
    x = activation_by_name(layers.Add()(branches), "relu")
    x = coordinate_attention(x, "coord_")
    x = batchnorm_with_activation(conv2d_no_bias(x, 16, name="pw_"), "prelu", name="pw_")
    return keras.Model(inputs, output_block(x), name="mobileone"), images(24, 24, 3)


@MODELS.add
def res_nest_split_attention():
    def split_attention(x, filters, groups=2, name=None):
        y = conv2d_no_bias(x, filters * groups, 3, groups=groups, name=name + "conv_")
        y = batchnorm_with_activation(y, name=name + "1_")
        splits = ops.split(y, groups, axis=-1)
        gap = layers.GlobalAveragePooling2D(keepdims=True)(ops.sum(ops.stack(splits, axis=0), axis=0))
        atten = batchnorm_with_activation(layers.Conv2D(8, 1)(gap), name=name + "2_")
        atten = layers.Conv2D(filters * groups, 1)(atten)
        atten = ops.reshape(atten, [-1, 1, groups, filters])
        atten = ops.reshape(ops.softmax(atten, axis=2), [-1, 1, 1, groups * filters])
        weights = ops.split(atten, groups, axis=-1)
        return layers.Add()([part * weight for part, weight in zip(splits, weights, strict=True)])

    inputs = layers.Input((16, 16, 3))
    x = batchnorm_with_activation(conv2d_no_bias(inputs, 12, 3, 2, name="stem_"), name="stem_")
    y = split_attention(x, 12, name="sa_")
    x = activation_by_name(layers.Add()([x, conv2d_no_bias(y, 12, name="out_")]), "relu")
    return keras.Model(inputs, output_block(x), name="resnest"), images(16, 16, 3)


@MODELS.add
def shuffle_net():
    def channel_shuffle(x, groups=2):
        _, height, width, channels = x.shape
        x = ops.reshape(x, [-1, height, width, groups, channels // groups])
        return ops.reshape(ops.transpose(x, [0, 1, 2, 4, 3]), [-1, height, width, channels])

    inputs = layers.Input((24, 24, 3))
    x = batchnorm_with_activation(conv2d_no_bias(inputs, 12, 3, 2, name="stem_"), name="stem_")
    for i in range(2):
        left, right = ops.split(x, 2, axis=-1)
        right = batchnorm_with_activation(conv2d_no_bias(right, 6, name=f"{i}_1_"), name=f"{i}_1_")
        right = batchnorm_with_activation(depthwise_conv2d_no_bias(right, 3), None)
        right = batchnorm_with_activation(conv2d_no_bias(right, 6, name=f"{i}_2_"), name=f"{i}_2_")
        x = layers.Lambda(channel_shuffle, name=f"shuffle_{i}")(layers.Concatenate()([left, right]))
    return keras.Model(inputs, output_block(x), name="shufflenet"), images(24, 24, 3)


@MODELS.add
def pool_former():
    inputs = layers.Input((16, 16, 3))
    x = layers.Conv2D(12, 4, strides=2, padding="same")(inputs)
    for _ in range(2):
        y = layers.GroupNormalization(groups=1)(x)
        y = layers.AveragePooling2D(3, 1, padding="same")(y) - y
        x = x + ChannelAffine(False, 0.5)(y)
        y = layers.GroupNormalization(groups=1)(x)
        y = layers.Conv2D(12, 1)(activation_by_name(layers.Conv2D(24, 1)(y), "gelu"))
        x = x + ChannelAffine(False, 0.5)(y)
    return keras.Model(inputs, output_block(x), name="poolformer"), images(16, 16, 3)
