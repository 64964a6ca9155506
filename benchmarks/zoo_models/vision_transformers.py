"""Images in patches, in the style of keras.io's code examples."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from zoo_models.table import Table, images

MODELS = Table("keras.io")


class Patches(layers.Layer):
    def __init__(self, patch_size):
        super().__init__()
        self.patch_size = patch_size

    def call(self, images):
        input_shape = ops.shape(images)
        batch_size = input_shape[0]
        height = input_shape[1]
        width = input_shape[2]
        channels = input_shape[3]
        num_patches_h = height // self.patch_size
        num_patches_w = width // self.patch_size
        patches = keras.ops.image.extract_patches(images, size=self.patch_size)
        return ops.reshape(
            patches, (batch_size, num_patches_h * num_patches_w, self.patch_size * self.patch_size * channels)
        )


class PatchEncoder(layers.Layer):
    def __init__(self, num_patches, projection_dim):
        super().__init__()
        self.num_patches = num_patches
        self.projection = layers.Dense(units=projection_dim)
        self.position_embedding = layers.Embedding(input_dim=num_patches, output_dim=projection_dim)

    def call(self, patch):
        positions = ops.expand_dims(ops.arange(start=0, stop=self.num_patches, step=1), axis=0)
        projected_patches = self.projection(patch)
        return projected_patches + self.position_embedding(positions)


def _mlp(x, hidden_units, dropout_rate):
    for units in hidden_units:
        x = layers.Dense(units, activation=keras.activations.gelu)(x)
        x = layers.Dropout(dropout_rate)(x)
    return x


@MODELS.add
def vision_transformer():
    inputs = keras.Input((16, 16, 3))
    patches = Patches(4)(inputs)
    encoded = PatchEncoder(16, 16)(patches)
    for _ in range(2):
        x1 = layers.LayerNormalization(epsilon=1e-6)(encoded)
        attention_output = layers.MultiHeadAttention(num_heads=2, key_dim=16, dropout=0.1)(x1, x1)
        x2 = layers.Add()([attention_output, encoded])
        x3 = layers.LayerNormalization(epsilon=1e-6)(x2)
        encoded = layers.Add()([_mlp(x3, [32, 16], 0.1), x2])
    representation = layers.LayerNormalization(epsilon=1e-6)(encoded)
    representation = layers.Dropout(0.5)(layers.Flatten()(representation))
    logits = layers.Dense(10)(_mlp(representation, [32, 16], 0.5))
    return keras.Model(inputs=inputs, outputs=logits), images(16, 16, 3)


@MODELS.add(classification=False)
def object_detection_vit():
    inputs = keras.Input((24, 24, 3))
    encoded = PatchEncoder(9, 16)(Patches(8)(inputs))
    for _ in range(2):
        x1 = layers.LayerNormalization(epsilon=1e-6)(encoded)
        x2 = layers.Add()([layers.MultiHeadAttention(2, 16, dropout=0.1)(x1, x1), encoded])
        x3 = _mlp(layers.LayerNormalization(epsilon=1e-6)(x2), [32, 16], 0.1)
        encoded = layers.Add()([x3, x2])
    x = layers.Flatten()(layers.LayerNormalization(epsilon=1e-6)(encoded))
    x = _mlp(layers.Dropout(0.3)(x), [32, 16], 0.3)
    return keras.Model(inputs, layers.Dense(4)(x)), images(24, 24, 3)


class PatchExtract(layers.Layer):
    def __init__(self, patch_size, **kwargs):
        super().__init__(**kwargs)
        self.patch_size_x = patch_size[0]
        self.patch_size_y = patch_size[1]

    def call(self, images):
        batch_size = tf.shape(images)[0]
        patches = tf.image.extract_patches(
            images=images,
            sizes=(1, self.patch_size_x, self.patch_size_y, 1),
            strides=(1, self.patch_size_x, self.patch_size_y, 1),
            rates=(1, 1, 1, 1),
            padding="VALID",
        )
        patch_dim, patch_num = patches.shape[-1], patches.shape[1]
        return tf.reshape(patches, (batch_size, patch_num * patch_num, patch_dim))


class PatchEmbedding(layers.Layer):
    def __init__(self, num_patch, embed_dim, **kwargs):
        super().__init__(**kwargs)
        self.num_patch = num_patch
        self.proj = layers.Dense(embed_dim)
        self.pos_embed = layers.Embedding(input_dim=num_patch, output_dim=embed_dim)

    def call(self, patch):
        pos = ops.arange(start=0, stop=self.num_patch)
        return self.proj(patch) + self.pos_embed(pos)


class PatchMerging(layers.Layer):
    def __init__(self, num_patch, embed_dim):
        super().__init__()
        self.num_patch = num_patch
        self.embed_dim = embed_dim
        self.linear_trans = layers.Dense(2 * embed_dim, use_bias=False)

    def call(self, x):
        height, width = self.num_patch
        _, _, c = x.shape
        x = ops.reshape(x, (-1, height, width, c))
        x0 = x[:, 0::2, 0::2, :]
        x1 = x[:, 1::2, 0::2, :]
        x2 = x[:, 0::2, 1::2, :]
        x3 = x[:, 1::2, 1::2, :]
        x = ops.concatenate((x0, x1, x2, x3), axis=-1)
        x = ops.reshape(x, (-1, (height // 2) * (width // 2), 4 * c))
        return self.linear_trans(x)


def _window_partition(x, window_size):
    _, height, width, channels = x.shape
    patches_h, patches_w = height // window_size, width // window_size
    x = ops.reshape(x, (-1, patches_h, window_size, patches_w, window_size, channels))
    x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
    return ops.reshape(x, (-1, window_size, window_size, channels))


def _window_reverse(windows, window_size, height, width, channels):
    patches_h, patches_w = height // window_size, width // window_size
    x = ops.reshape(windows, (-1, patches_h, patches_w, window_size, window_size, channels))
    x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
    return ops.reshape(x, (-1, height, width, channels))


class WindowAttention(layers.Layer):
    def __init__(self, dim, window_size, num_heads, qkv_bias=True, dropout_rate=0.0, **kwargs):
        super().__init__(**kwargs)
        self.dim = dim
        self.window_size = window_size
        self.num_heads = num_heads
        self.scale = (dim // num_heads) ** -0.5
        self.qkv = layers.Dense(dim * 3, use_bias=qkv_bias)
        self.dropout = layers.Dropout(dropout_rate)
        self.proj = layers.Dense(dim)
        elements = (2 * self.window_size[0] - 1) * (2 * self.window_size[1] - 1)
        self.relative_position_bias_table = self.add_weight(
            shape=(elements, self.num_heads),
            name="relative_position_bias_table",
            initializer=keras.initializers.RandomNormal(stddev=0.5),
            trainable=True,
        )
        coords = np.stack(np.meshgrid(*map(np.arange, self.window_size), indexing="ij")).reshape(2, -1)
        relative = (coords[:, :, None] - coords[:, None, :]).transpose([1, 2, 0])
        relative[:, :, 0] += self.window_size[0] - 1
        relative[:, :, 1] += self.window_size[1] - 1
        relative[:, :, 0] *= 2 * self.window_size[1] - 1
        self.relative_position_index = keras.Variable(
            initializer=relative.sum(-1), shape=relative.shape[:2], dtype="int", trainable=False
        )

    def call(self, x, mask=None):
        _, size, channels = x.shape
        head_dim = channels // self.num_heads
        x_qkv = self.qkv(x)
        x_qkv = ops.reshape(x_qkv, (-1, size, 3, self.num_heads, head_dim))
        x_qkv = ops.transpose(x_qkv, (2, 0, 3, 1, 4))
        q, k, v = x_qkv[0], x_qkv[1], x_qkv[2]
        q = q * self.scale
        k = ops.transpose(k, (0, 1, 3, 2))
        attn = q @ k
        window = self.window_size[0] * self.window_size[1]
        flat = ops.reshape(self.relative_position_index, (-1,))
        bias = ops.take(self.relative_position_bias_table, flat, axis=0)
        bias = ops.reshape(bias, (window, window, -1))
        attn = attn + ops.expand_dims(ops.transpose(bias, (2, 0, 1)), axis=0)
        if mask is not None:
            windows = mask.shape[0]
            mask_float = ops.cast(ops.expand_dims(ops.expand_dims(mask, axis=1), axis=0), "float32")
            attn = ops.reshape(attn, (-1, windows, self.num_heads, size, size)) + mask_float
            attn = ops.reshape(attn, (-1, self.num_heads, size, size))
        attn = keras.activations.softmax(attn, axis=-1)
        attn = self.dropout(attn)
        x_qkv = attn @ v
        x_qkv = ops.transpose(x_qkv, (0, 2, 1, 3))
        x_qkv = ops.reshape(x_qkv, (-1, size, channels))
        return self.dropout(self.proj(x_qkv))


class SwinTransformer(layers.Layer):
    def __init__(self, dim, num_patch, num_heads, window_size=7, shift_size=0, num_mlp=64, **kwargs):
        super().__init__(**kwargs)
        self.dim = dim
        self.num_patch = num_patch
        self.num_heads = num_heads
        self.window_size = window_size
        self.shift_size = shift_size
        self.norm1 = layers.LayerNormalization(epsilon=1e-5)
        self.attn = WindowAttention(dim, window_size=(window_size, window_size), num_heads=num_heads)
        self.drop_path = layers.Dropout(0.03)
        self.norm2 = layers.LayerNormalization(epsilon=1e-5)
        self.mlp = keras.Sequential(
            [
                layers.Dense(num_mlp),
                layers.Activation(keras.activations.gelu),
                layers.Dropout(0.03),
                layers.Dense(dim),
                layers.Dropout(0.03),
            ]
        )

    def build(self, input_shape):
        if self.shift_size == 0:
            self.attn_mask = None
        else:
            height, width = self.num_patch
            slices = (
                slice(0, -self.window_size),
                slice(-self.window_size, -self.shift_size),
                slice(-self.shift_size, None),
            )
            mask_array = np.zeros((1, height, width, 1))
            count = 0
            for h in slices:
                for w in slices:
                    mask_array[:, h, w, :] = count
                    count += 1
            mask_array = ops.convert_to_tensor(mask_array)
            mask_windows = _window_partition(mask_array, self.window_size)
            mask_windows = ops.reshape(mask_windows, [-1, self.window_size * self.window_size])
            attn_mask = ops.expand_dims(mask_windows, axis=1) - ops.expand_dims(mask_windows, axis=2)
            attn_mask = ops.where(attn_mask != 0, -100.0, attn_mask)
            attn_mask = ops.where(attn_mask == 0, 0.0, attn_mask)
            self.attn_mask = keras.Variable(
                initializer=attn_mask, shape=attn_mask.shape, dtype=attn_mask.dtype, trainable=False
            )

    def call(self, x, training=False):
        height, width = self.num_patch
        _, _, channels = x.shape
        x_skip = x
        x = self.norm1(x)
        x = ops.reshape(x, (-1, height, width, channels))
        shifted = x
        if self.shift_size > 0:
            shifted = ops.roll(x, shift=[-self.shift_size, -self.shift_size], axis=[1, 2])
        windows = _window_partition(shifted, self.window_size)
        windows = ops.reshape(windows, (-1, self.window_size * self.window_size, channels))
        attn_windows = self.attn(windows, mask=self.attn_mask)
        attn_windows = ops.reshape(attn_windows, (-1, self.window_size, self.window_size, channels))
        x = _window_reverse(attn_windows, self.window_size, height, width, channels)
        if self.shift_size > 0:
            x = ops.roll(x, shift=[self.shift_size, self.shift_size], axis=[1, 2])
        x = ops.reshape(x, (-1, height * width, channels))
        x = self.drop_path(x, training=training)
        x = x_skip + x
        x_skip = x
        x = self.mlp(self.norm2(x))
        return x_skip + self.drop_path(x)


@MODELS.add
def swin_transformer():
    inputs = keras.Input((16, 16, 3))
    x = PatchExtract((2, 2))(inputs)
    x = PatchEmbedding(64, 16)(x)
    x = SwinTransformer(dim=16, num_patch=(8, 8), num_heads=4, window_size=2, shift_size=0, num_mlp=32)(x)
    x = SwinTransformer(dim=16, num_patch=(8, 8), num_heads=4, window_size=2, shift_size=1, num_mlp=32)(x)
    x = PatchMerging((8, 8), embed_dim=16)(x)
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x)), images(16, 16, 3)


class PatchesOf(layers.Layer):
    """Patches as the example of the MLP image classifiers cuts them."""

    def __init__(self, patch_size, **kwargs):
        super().__init__(**kwargs)
        self.patch_size = patch_size

    def call(self, x):
        patches = keras.ops.image.extract_patches(x, self.patch_size)
        batch_size = keras.ops.shape(patches)[0]
        num_patches = keras.ops.shape(patches)[1] * keras.ops.shape(patches)[2]
        patch_dim = keras.ops.shape(patches)[3]
        return keras.ops.reshape(patches, (batch_size, num_patches, patch_dim))


class PositionEmbedding(layers.Layer):
    """Learned positions, one vector each, of the sequence that comes in."""

    def __init__(self, sequence_length, initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        self.sequence_length = int(sequence_length)
        self.initializer = keras.initializers.get(initializer)

    def build(self, input_shape):
        self.position_embeddings = self.add_weight(
            name="embeddings", shape=[self.sequence_length, input_shape[-1]], initializer=self.initializer
        )

    def call(self, inputs, start_index=0):
        shape = keras.ops.shape(inputs)
        sequence_length = shape[-2]
        embeddings = keras.ops.convert_to_tensor(self.position_embeddings)
        embeddings = keras.ops.slice(embeddings, (start_index, 0), (sequence_length, shape[-1]))
        return keras.ops.broadcast_to(embeddings, shape)


class MLPMixerLayer(layers.Layer):
    def __init__(self, num_patches, hidden_units, dropout_rate, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.mlp1 = keras.Sequential(
            [
                layers.Dense(units=num_patches, activation="gelu"),
                layers.Dense(units=num_patches),
                layers.Dropout(rate=dropout_rate),
            ]
        )
        self.mlp2 = keras.Sequential(
            [
                layers.Dense(units=hidden_units, activation="gelu"),
                layers.Dense(units=hidden_units),
                layers.Dropout(rate=dropout_rate),
            ]
        )
        self.normalize = layers.LayerNormalization(epsilon=1e-6)

    def build(self, input_shape):
        self.built = True

    def call(self, inputs):
        x = self.normalize(inputs)
        x_channels = keras.ops.transpose(x, axes=(0, 2, 1))
        mlp1_outputs = self.mlp1(x_channels)
        mlp1_outputs = keras.ops.transpose(mlp1_outputs, axes=(0, 2, 1))
        x = mlp1_outputs + inputs
        x_patches = self.normalize(x)
        return x + self.mlp2(x_patches)


class FNetLayer(layers.Layer):
    def __init__(self, embedding_dim, dropout_rate, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.ffn = keras.Sequential(
            [
                layers.Dense(units=embedding_dim, activation="gelu"),
                layers.Dropout(rate=dropout_rate),
                layers.Dense(units=embedding_dim),
            ]
        )
        self.normalize1 = layers.LayerNormalization(epsilon=1e-6)
        self.normalize2 = layers.LayerNormalization(epsilon=1e-6)

    def call(self, inputs):
        real_part = inputs
        im_part = keras.ops.zeros_like(inputs)
        x = keras.ops.fft2((real_part, im_part))[0]
        x = x + inputs
        x = self.normalize1(x)
        x_ffn = self.ffn(x)
        return self.normalize2(x + x_ffn)


class gMLPLayer(layers.Layer):
    def __init__(self, num_patches, embedding_dim, dropout_rate, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.channel_projection1 = keras.Sequential(
            [layers.Dense(units=embedding_dim * 2, activation="gelu"), layers.Dropout(rate=dropout_rate)]
        )
        self.channel_projection2 = layers.Dense(units=embedding_dim)
        self.spatial_projection = layers.Dense(units=num_patches, bias_initializer="Ones")
        self.normalize1 = layers.LayerNormalization(epsilon=1e-6)
        self.normalize2 = layers.LayerNormalization(epsilon=1e-6)

    def spatial_gating_unit(self, x):
        u, v = keras.ops.split(x, indices_or_sections=2, axis=2)
        v = self.normalize2(v)
        v_channels = keras.ops.transpose(v, axes=(0, 2, 1))
        v_projected = self.spatial_projection(v_channels)
        v_projected = keras.ops.transpose(v_projected, axes=(0, 2, 1))
        return u * v_projected

    def call(self, inputs):
        x = self.normalize1(inputs)
        x_projected = self.channel_projection1(x)
        x_spatial = self.spatial_gating_unit(x_projected)
        x_projected = self.channel_projection2(x_spatial)
        return inputs + x_projected


def _mlp_classifier(blocks, positional=False):
    inputs = keras.Input((16, 16, 3))
    x = layers.Dense(units=12)(PatchesOf(4)(inputs))
    if positional:
        x = x + PositionEmbedding(sequence_length=16)(x)
    x = blocks(x)
    representation = layers.Dropout(rate=0.2)(layers.GlobalAveragePooling1D()(x))
    return keras.Model(inputs, layers.Dense(10)(representation)), images(16, 16, 3)


@MODELS.add
def mlp_mixer():
    return _mlp_classifier(keras.Sequential([MLPMixerLayer(16, 12, 0.2) for _ in range(2)]))


@MODELS.add
def fnet_image():
    return _mlp_classifier(keras.Sequential([FNetLayer(12, 0.2) for _ in range(2)]), positional=True)


@MODELS.add
def gated_mlp():
    return _mlp_classifier(keras.Sequential([gMLPLayer(16, 12, 0.2) for _ in range(2)]))


class CCTTokenizer(layers.Layer):
    def __init__(
        self, num_output_channels, kernel_size=3, stride=1, padding=1, positional_emb=True, **kwargs
    ):
        super().__init__(**kwargs)
        self.conv_model = keras.Sequential()
        for channels in num_output_channels:
            self.conv_model.add(
                layers.Conv2D(
                    channels,
                    kernel_size,
                    stride,
                    padding="valid",
                    use_bias=False,
                    activation="relu",
                    kernel_initializer="he_normal",
                )
            )
            self.conv_model.add(layers.ZeroPadding2D(padding))
            self.conv_model.add(layers.MaxPooling2D(3, 2, "same"))
        self.positional_emb = positional_emb

    def call(self, images):
        outputs = self.conv_model(images)
        return keras.ops.reshape(
            outputs,
            (
                -1,
                keras.ops.shape(outputs)[1] * keras.ops.shape(outputs)[2],
                keras.ops.shape(outputs)[-1],
            ),
        )


class SequencePooling(layers.Layer):
    def __init__(self):
        super().__init__()
        self.attention = layers.Dense(1)

    def call(self, x):
        attention_weights = keras.ops.softmax(self.attention(x), axis=1)
        attention_weights = keras.ops.transpose(attention_weights, axes=(0, 2, 1))
        weighted_representation = keras.ops.matmul(attention_weights, x)
        return keras.ops.squeeze(weighted_representation, -2)


class StochasticDepth(layers.Layer):
    def __init__(self, drop_prop, **kwargs):
        super().__init__(**kwargs)
        self.drop_prob = drop_prop
        self.seed_generator = keras.random.SeedGenerator(1337)

    def call(self, x, training=None):
        if training:
            keep_prob = 1 - self.drop_prob
            shape = (keras.ops.shape(x)[0],) + (1,) * (len(x.shape) - 1)
            random_tensor = keep_prob + keras.random.uniform(shape, 0, 1, seed=self.seed_generator)
            return (x / keep_prob) * keras.ops.floor(random_tensor)
        return x


@MODELS.add
def compact_convolutional_transformer():
    inputs = keras.Input((16, 16, 3))
    encoded = CCTTokenizer([8, 16])(inputs)
    positions = PositionEmbedding(sequence_length=encoded.shape[1])(encoded)
    encoded += positions
    for rate in np.linspace(0, 0.1, 2):
        x1 = layers.LayerNormalization(epsilon=1e-5)(encoded)
        attention_output = layers.MultiHeadAttention(num_heads=2, key_dim=16, dropout=0.1)(x1, x1)
        attention_output = StochasticDepth(rate)(attention_output)
        x2 = layers.Add()([attention_output, encoded])
        x3 = layers.LayerNormalization(epsilon=1e-5)(x2)
        for units in (16, 16):
            x3 = layers.Dropout(0.1)(layers.Dense(units, activation=ops.gelu)(x3))
        encoded = layers.Add()([StochasticDepth(rate)(x3), x2])
    representation = layers.LayerNormalization(epsilon=1e-5)(encoded)
    return keras.Model(inputs, layers.Dense(10)(SequencePooling()(representation))), images(16, 16, 3)


@MODELS.add
def external_attention_eanet():
    def external_attention(x, dim, num_heads, dim_coefficient=4, attention_dropout=0, projection_dropout=0):
        _, num_patch, _ = x.shape
        assert dim % num_heads == 0
        num_heads = num_heads * dim_coefficient
        x = layers.Dense(dim * dim_coefficient)(x)
        x = ops.reshape(x, (-1, num_patch, num_heads, dim * dim_coefficient // num_heads))
        x = ops.transpose(x, axes=[0, 2, 1, 3])
        attn = layers.Dense(dim // dim_coefficient)(x)
        attn = layers.Softmax(axis=2)(attn)
        attn = layers.Lambda(
            lambda attn: ops.divide(attn, ops.add(1e-9, ops.sum(attn, axis=-1, keepdims=True)))
        )(attn)
        attn = layers.Dropout(attention_dropout)(attn)
        x = layers.Dense(dim * dim_coefficient // num_heads)(attn)
        x = ops.transpose(x, axes=[0, 2, 1, 3])
        x = ops.reshape(x, [-1, num_patch, dim * dim_coefficient])
        return layers.Dropout(projection_dropout)(layers.Dense(dim)(x))

    inputs = keras.Input((16, 16, 3))
    x = PatchExtract((4, 4))(inputs)
    x = PatchEmbedding(16, 16)(x)
    for _ in range(2):
        residual = x
        x = layers.LayerNormalization(epsilon=1e-5)(x)
        x = layers.add(
            [external_attention(x, 16, 2, attention_dropout=0.2, projection_dropout=0.2), residual]
        )
        residual = x
        x = layers.LayerNormalization(epsilon=1e-5)(x)
        x = layers.Dense(32, activation=keras.activations.gelu)(x)
        x = layers.Dense(16, activation=keras.activations.gelu)(layers.Dropout(0.2)(x))
        x = layers.add([x, residual])
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x)), images(16, 16, 3)


class Perceiver(keras.Model):
    """Cross-attention of a latent array with the patches, and transformers over the latents."""

    def __init__(self, num_patches, latent_dim, projection_dim, num_heads, iterations):
        super().__init__()
        self.latent_dim = latent_dim
        self.num_patches = num_patches
        self.projection_dim = projection_dim
        self.num_heads = num_heads
        self.num_iterations = iterations

    def build(self, input_shape):
        self.latent_array = self.add_weight(
            shape=(self.latent_dim, self.projection_dim),
            initializer="random_normal",
            trainable=True,
            name="latents",
        )
        self.patch_encoder = PatchEncoder(self.num_patches, self.projection_dim)
        self.patcher = Patches(4)
        self.cross_attention = self.make_cross_attention()
        self.transformer = self.make_transformer()
        self.global_average_pooling = layers.GlobalAveragePooling1D()
        self.classification_head = keras.Sequential([layers.Dense(16, "gelu"), layers.Dense(10)])
        super().build(input_shape)

    def make_cross_attention(self):
        inputs = {
            "latent_array": keras.Input(shape=(self.latent_dim, self.projection_dim), name="latent_array"),
            "data_array": keras.Input(shape=(self.num_patches, self.projection_dim), name="data_array"),
        }
        latent = layers.LayerNormalization(epsilon=1e-6)(inputs["latent_array"])
        data = layers.LayerNormalization(epsilon=1e-6)(inputs["data_array"])
        key = layers.Dense(units=self.projection_dim)(data)
        query = layers.Dense(units=self.projection_dim)(latent)
        value = layers.Dense(units=self.projection_dim)(data)
        attention = layers.Attention(use_scale=True, dropout=0.1)(
            [query, key, value], return_attention_scores=False
        )
        attention = layers.Add()([attention, latent])
        attention = layers.LayerNormalization(epsilon=1e-6)(attention)
        outputs = layers.Add()([layers.Dense(self.projection_dim, "gelu")(attention), attention])
        return keras.Model(inputs=inputs, outputs=outputs)

    def make_transformer(self):
        inputs = keras.Input(shape=(self.latent_dim, self.projection_dim))
        x1 = layers.LayerNormalization(epsilon=1e-6)(inputs)
        x2 = layers.Add()(
            [layers.MultiHeadAttention(self.num_heads, self.projection_dim, dropout=0.1)(x1, x1), inputs]
        )
        x3 = layers.LayerNormalization(epsilon=1e-6)(x2)
        return keras.Model(inputs, layers.Add()([layers.Dense(self.projection_dim, "gelu")(x3), x2]))

    def call(self, inputs):
        encoded_patches = self.patch_encoder(self.patcher(inputs))
        cross_attention_inputs = {
            "latent_array": ops.expand_dims(self.latent_array, 0),
            "data_array": encoded_patches,
        }
        for _ in range(self.num_iterations):
            latent_array = self.cross_attention(cross_attention_inputs)
            latent_array = self.transformer(latent_array)
            cross_attention_inputs["latent_array"] = latent_array
        return self.classification_head(self.global_average_pooling(latent_array))


@MODELS.add
def perceiver():
    return Perceiver(16, 8, 12, 2, 2), images(16, 16, 3)


@MODELS.add
def mobile_vit():
    def conv_block(x, filters=8, kernel_size=3, strides=2):
        return layers.Conv2D(
            filters, kernel_size, strides=strides, activation=keras.activations.swish, padding="same"
        )(x)

    def inverted_residual_block(x, expanded_channels, output_channels, strides=1):
        m = layers.Conv2D(expanded_channels, 1, padding="same", use_bias=False)(x)
        m = keras.activations.swish(layers.BatchNormalization()(m))
        if strides == 2:
            m = layers.ZeroPadding2D(padding=((0, 1), (0, 1)))(m)
        m = layers.DepthwiseConv2D(
            3, strides=strides, padding="same" if strides == 1 else "valid", use_bias=False
        )(m)
        m = keras.activations.swish(layers.BatchNormalization()(m))
        m = layers.BatchNormalization()(layers.Conv2D(output_channels, 1, padding="same", use_bias=False)(m))
        if x.shape[-1] == output_channels and strides == 1:
            return layers.Add()([m, x])
        return m

    def mobilevit_block(x, projection_dim, patch_size=4):
        local_features = conv_block(x, filters=projection_dim, strides=1)
        local_features = conv_block(local_features, filters=projection_dim, kernel_size=1, strides=1)
        num_patches = int((local_features.shape[1] * local_features.shape[2]) / patch_size)
        non_overlapping = layers.Reshape((patch_size, num_patches, projection_dim))(local_features)
        y = non_overlapping
        x1 = layers.LayerNormalization(epsilon=1e-6)(y)
        x2 = layers.Add()([layers.MultiHeadAttention(2, projection_dim, dropout=0.1)(x1, x1), y])
        x3 = layers.LayerNormalization(epsilon=1e-6)(x2)
        for units in (x.shape[-1] * 2, x.shape[-1]):
            x3 = layers.Dropout(0.1)(layers.Dense(units, activation=keras.activations.swish)(x3))
        y = layers.Add()([x3, x2])
        folded = layers.Reshape((*local_features.shape[1:-1], projection_dim))(y)
        folded = conv_block(folded, filters=x.shape[-1], kernel_size=1, strides=1)
        joined = layers.Concatenate(axis=-1)([x, folded])
        return conv_block(joined, filters=projection_dim, strides=1)

    inputs = keras.Input((32, 32, 3))
    x = conv_block(layers.Rescaling(scale=1.0 / 255)(inputs))
    x = inverted_residual_block(x, 16, 8)
    x = inverted_residual_block(x, 16, 12, strides=2)
    x = mobilevit_block(x, projection_dim=12)
    x = conv_block(x, filters=16, kernel_size=1, strides=1)
    x = layers.GlobalAvgPool2D()(x)
    return keras.Model(inputs, layers.Dense(5, activation="softmax")(x)), images(32, 32, 3, high=255.0)


class ClassAttention(layers.Layer):
    def __init__(self, projection_dim, num_heads, dropout_rate, **kwargs):
        super().__init__(**kwargs)
        self.num_heads = num_heads
        head_dim = projection_dim // num_heads
        self.scale = head_dim**-0.5
        self.q = layers.Dense(projection_dim)
        self.k = layers.Dense(projection_dim)
        self.v = layers.Dense(projection_dim)
        self.attn_drop = layers.Dropout(dropout_rate)
        self.proj = layers.Dense(projection_dim)

    def call(self, x, training=False):
        batch_size, num_patches, num_channels = ops.shape(x)[0], ops.shape(x)[1], ops.shape(x)[2]
        q = ops.expand_dims(self.q(x[:, 0]), axis=1)
        q = ops.reshape(q, (batch_size, 1, self.num_heads, num_channels // self.num_heads))
        q = ops.transpose(q, axes=[0, 2, 1, 3])
        scale = ops.cast(self.scale, dtype=q.dtype)
        q = q * scale
        k, v = (
            ops.transpose(
                ops.reshape(
                    each(x), (batch_size, num_patches, self.num_heads, num_channels // self.num_heads)
                ),
                axes=[0, 2, 1, 3],
            )
            for each in (self.k, self.v)
        )
        attn = ops.softmax(ops.matmul(q, ops.transpose(k, axes=[0, 1, 3, 2])), axis=-1)
        attn = self.attn_drop(attn, training=training)
        x_cls = ops.transpose(ops.matmul(attn, v), axes=[0, 2, 1, 3])
        x_cls = ops.reshape(x_cls, (batch_size, 1, num_channels))
        return self.proj(x_cls), attn


class LayerScale(layers.Layer):
    def __init__(self, init_values, projection_dim, **kwargs):
        super().__init__(**kwargs)
        self.gamma = self.add_weight(
            shape=(projection_dim,), initializer=keras.initializers.Constant(init_values), name="layer_scale"
        )

    def call(self, x, training=False):
        return x * self.gamma


class CaiT(keras.Model):
    """Layer-scaled blocks, then a class token that attends alone."""

    def __init__(self, projection_dim=16, heads=2, **kwargs):
        super().__init__(**kwargs)
        self.projection = keras.Sequential(
            [
                layers.Conv2D(projection_dim, kernel_size=(4, 4), strides=(4, 4), padding="VALID"),
                layers.Reshape(target_shape=(-1, projection_dim)),
            ],
            name="projection",
        )
        self.cls_token = self.add_weight(
            shape=(1, 1, projection_dim), initializer="random_normal", name="cls_token"
        )
        self.pos_embed = self.add_weight(
            shape=(1, 16, projection_dim), initializer="random_normal", name="position"
        )
        self.norms = [layers.LayerNormalization(epsilon=1e-6) for _ in range(3)]
        self.attention = layers.MultiHeadAttention(heads, projection_dim // heads)
        self.scale = LayerScale(0.1, projection_dim)
        self.class_attention = ClassAttention(projection_dim, heads, 0.1)
        self.head = layers.Dense(5)

    def call(self, x, training=False):
        x = self.projection(x) + self.pos_embed
        y = self.norms[0](x)
        x = x + self.scale(self.attention(y, y, training=training))
        cls_tokens = ops.tile(self.cls_token, (ops.shape(x)[0], 1, 1))
        u = ops.concatenate([cls_tokens, x], axis=1)
        attended, _ = self.class_attention(self.norms[1](u), training=training)
        cls_tokens = self.norms[2](cls_tokens + attended)
        return self.head(cls_tokens[:, 0])


@MODELS.add
def class_attention_image_transformer():
    return CaiT(), images(16, 16, 3)


class MultiHeadAttentionLSA(layers.MultiHeadAttention):
    """Attention with a learned temperature that leaves a token's own score out."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.tau = keras.Variable(np.sqrt(float(self._key_dim)), trainable=True)

    def _compute_attention(
        self, query, key, value, attention_mask=None, training=None, return_attention_scores=False
    ):
        query = ops.multiply(query, 1.0 / self.tau)
        attention_scores = ops.einsum(self._dot_product_equation, key, query)
        attention_scores = self._masked_softmax(attention_scores, attention_mask)
        attention_scores_dropout = self._dropout_layer(attention_scores, training=training)
        attention_output = ops.einsum(self._combine_equation, attention_scores_dropout, value)
        return attention_output, attention_scores


class ShiftedPatchTokenization(layers.Layer):
    def __init__(self, image_size=16, patch_size=4, num_patches=16, projection_dim=16, **kwargs):
        super().__init__(**kwargs)
        self.image_size = image_size
        self.half_patch = patch_size // 2
        self.flatten_patches = layers.Reshape((num_patches, -1))
        self.patch_size = patch_size
        self.projection = layers.Dense(units=projection_dim)
        self.layer_norm = layers.LayerNormalization(epsilon=1e-6)

    def crop_shift_pad(self, images, mode):
        crop, pad = {
            "left-up": ((self.half_patch, self.half_patch), (0, 0)),
            "right-down": ((0, 0), (self.half_patch, self.half_patch)),
        }[mode]
        size = self.image_size - self.half_patch
        crop = tf.image.crop_to_bounding_box(images, crop[0], crop[1], size, size)
        return tf.image.pad_to_bounding_box(crop, pad[0], pad[1], self.image_size, self.image_size)

    def call(self, images):
        images = ops.concatenate(
            [images, self.crop_shift_pad(images, "left-up"), self.crop_shift_pad(images, "right-down")],
            axis=-1,
        )
        patches = tf.image.extract_patches(
            images=images,
            sizes=[1, self.patch_size, self.patch_size, 1],
            strides=[1, self.patch_size, self.patch_size, 1],
            rates=[1, 1, 1, 1],
            padding="VALID",
        )
        return self.projection(self.layer_norm(self.flatten_patches(patches)))


@MODELS.add
def small_dataset_vit():
    inputs = keras.Input((16, 16, 3))
    tokens = ShiftedPatchTokenization()(inputs)
    positions = layers.Embedding(16, 16)(ops.arange(16))
    encoded = tokens + positions
    diag_attn_mask = ops.cast([1 - np.eye(16)], dtype="int8")
    x1 = layers.LayerNormalization(epsilon=1e-6)(encoded)
    attention_output = MultiHeadAttentionLSA(num_heads=2, key_dim=16, dropout=0.1)(
        x1, x1, attention_mask=diag_attn_mask
    )
    x2 = layers.Add()([attention_output, encoded])
    x3 = _mlp(layers.LayerNormalization(epsilon=1e-6)(x2), [32, 16], 0.1)
    x = layers.Flatten()(layers.LayerNormalization(epsilon=1e-6)(layers.Add()([x3, x2])))
    return keras.Model(inputs, layers.Dense(10)(x)), images(16, 16, 3)


@MODELS.add
def token_learner():
    """Eight tokens, each a weighted mean over the map of patches."""

    def token_learner_block(inputs, number_of_tokens=4):
        x = layers.LayerNormalization(epsilon=1e-6)(inputs)
        attention = keras.Sequential(
            [
                layers.Conv2D(number_of_tokens, (3, 3), activation=ops.gelu, padding="same", use_bias=False),
                layers.Conv2D(number_of_tokens, (3, 3), activation="sigmoid", padding="same", use_bias=False),
                layers.Reshape((-1, number_of_tokens)),
                layers.Permute((2, 1)),
            ]
        )(x)
        num_filters = inputs.shape[-1]
        flat = layers.Reshape((1, -1, num_filters))(inputs)
        attended = ops.expand_dims(attention, axis=-1) * flat
        return ops.mean(attended, axis=2)

    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(filters=12, kernel_size=2, strides=2, padding="VALID")(
        layers.Rescaling(1 / 255)(inputs)
    )
    x = layers.Reshape((64, 12))(x)
    x = layers.Dropout(0.1)(x + PositionEmbedding(64)(x))
    x = token_learner_block(layers.Reshape((8, 8, 12))(x))
    y = layers.LayerNormalization(epsilon=1e-6)(x)
    y = layers.MultiHeadAttention(2, 12)(y, y)
    x = layers.Add()([x, y])
    x = layers.GlobalAvgPool1D()(layers.LayerNormalization(epsilon=1e-6)(x))
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x)), images(16, 16, 3, high=255.0)


@MODELS.add(classification=False)
def seg_former_head():
    """Overlapping patches with a reduced attention, and an all-MLP head."""

    def stage(x, dim, stride, reduction):
        x = layers.Conv2D(dim, 3, strides=stride, padding="same")(x)
        _, height, width, _ = x.shape
        x = layers.LayerNormalization(epsilon=1e-5)(layers.Reshape((-1, dim))(x))
        y = layers.LayerNormalization(epsilon=1e-5)(x)
        small = layers.Conv2D(dim, reduction, strides=reduction)(layers.Reshape((height, width, dim))(y))
        small = layers.LayerNormalization()(layers.Reshape((-1, dim))(small))
        x = x + layers.MultiHeadAttention(2, dim // 2)(y, small)
        y = layers.Dense(2 * dim)(layers.LayerNormalization(epsilon=1e-5)(x))
        y = layers.DepthwiseConv2D(3, padding="same")(layers.Reshape((height, width, 2 * dim))(y))
        y = layers.Reshape((-1, 2 * dim))(keras.activations.gelu(y))
        x = x + layers.Dense(dim)(y)
        return layers.Reshape((height, width, dim))(x)

    inputs = keras.Input((32, 32, 3))
    one = stage(inputs, 8, 4, 2)
    two = stage(one, 16, 2, 2)
    parts = [layers.Dense(12)(one), layers.Resizing(8, 8, interpolation="bilinear")(layers.Dense(12)(two))]
    x = layers.Conv2D(12, 1, use_bias=False)(layers.Concatenate()(parts))
    x = layers.Activation("relu")(layers.BatchNormalization()(x))
    x = layers.Conv2D(4, 1)(x)
    return keras.Model(inputs, layers.Resizing(32, 32, interpolation="bilinear")(x)), images(32, 32, 3)


@MODELS.add(classification=False)
def masked_autoencoder_encoder():
    """The patches that an index tells are kept, and put back beside mask tokens for the decoder."""

    class PatchPicker(layers.Layer):
        def __init__(self, kept, **kwargs):
            super().__init__(**kwargs)
            self.kept = kept

        def build(self, input_shape):
            self.mask_token = self.add_weight(
                shape=(1, input_shape[-1]), initializer="random_normal", name="mask_token"
            )

        def call(self, x):
            batch = ops.shape(x)[0]
            kept = ops.take(x, np.arange(0, x.shape[1], 2)[: self.kept], axis=1)
            masks = ops.repeat(self.mask_token, repeats=x.shape[1] - self.kept, axis=0)
            masks = ops.repeat(masks[None], repeats=batch, axis=0)
            return kept, masks

    inputs = keras.Input((16, 16, 3))
    x = PatchEncoder(16, 16)(Patches(4)(inputs))
    kept, masks = PatchPicker(8)(x)
    y = layers.LayerNormalization()(kept)
    kept = kept + layers.MultiHeadAttention(2, 8)(y, y)
    joined = ops.concatenate([kept, masks], axis=1)
    y = layers.LayerNormalization()(joined)
    joined = joined + layers.MultiHeadAttention(2, 8)(y, y)
    x = layers.Dense(16 * 16 * 3, activation="sigmoid")(layers.Flatten()(joined))
    return keras.Model(inputs, layers.Reshape((16, 16, 3))(x)), images(16, 16, 3)


@MODELS.add
def deit_distillation():
    """A class token and a distillation token, each with a head; their mean at inference."""

    class ViTDistilled(keras.Model):
        def __init__(self, dim=16, **kwargs):
            super().__init__(**kwargs)
            self.projection = keras.Sequential(
                [layers.Conv2D(dim, (4, 4), (4, 4), padding="VALID"), layers.Reshape((16, dim))]
            )
            self.cls_token = self.add_weight(shape=(1, 1, dim), initializer="random_normal", name="cls_token")
            self.dist_token = self.add_weight(
                shape=(1, 1, dim), initializer="random_normal", name="dist_token"
            )
            self.positional_embedding = self.add_weight(
                shape=(1, 18, dim), initializer="random_normal", name="pos_embedding"
            )
            encoded_patches = keras.Input((18, dim))
            x1 = layers.LayerNormalization(epsilon=1e-6)(encoded_patches)
            x2 = layers.Add()([layers.MultiHeadAttention(2, dim, dropout=0.1)(x1, x1), encoded_patches])
            x4 = _mlp(layers.LayerNormalization(epsilon=1e-6)(x2), [32, dim], 0.1)
            self.transformer_blocks = [keras.Model(encoded_patches, layers.Add()([x2, x4]))]
            self.layer_norm = layers.LayerNormalization(epsilon=1e-6)
            self.head = layers.Dense(5, name="classification_head")
            self.head_dist = layers.Dense(5, name="distillation_head")

        def call(self, inputs, training=False):
            n = ops.shape(inputs)[0]
            projected_patches = self.projection(inputs)
            cls_token = ops.cast(ops.tile(self.cls_token, (n, 1, 1)), projected_patches.dtype)
            dist_token = ops.cast(ops.tile(self.dist_token, (n, 1, 1)), projected_patches.dtype)
            encoded = ops.concatenate([cls_token, dist_token, projected_patches], axis=1)
            encoded = self.positional_embedding + encoded
            for block in self.transformer_blocks:
                encoded = block(encoded)
            x, x_dist = self.layer_norm(encoded)[:, 0], self.layer_norm(encoded)[:, 1]
            if not training:
                return (self.head(x) + self.head_dist(x_dist)) / 2
            return self.head(x), self.head_dist(x_dist)

    return ViTDistilled(), images(16, 16, 3)
