"""Frames over time, in the style of keras.io's code examples."""

import keras
import numpy as np
from keras import layers, ops

from zoo_models.table import Table, images, numbers

MODELS = Table("keras.io")


def clips(frames, height, width, channels):
    """Return clips in which an image drifts."""
    still = images(height, width, channels)
    return np.stack([np.roll(still, i, axis=2) for i in range(frames)], axis=1)


@MODELS.add(classification=False)
def next_frame_conv_lstm():
    inp = layers.Input(shape=(4, 12, 12, 1))
    x = layers.ConvLSTM2D(
        filters=8, kernel_size=(5, 5), padding="same", return_sequences=True, activation="relu"
    )(inp)
    x = layers.BatchNormalization()(x)
    x = layers.ConvLSTM2D(
        filters=8, kernel_size=(3, 3), padding="same", return_sequences=True, activation="relu"
    )(x)
    x = layers.BatchNormalization()(x)
    x = layers.Conv3D(filters=1, kernel_size=(3, 3, 3), activation="sigmoid", padding="same")(x)
    return keras.Model(inp, x), clips(4, 12, 12, 1)


@MODELS.add
def video_cnn_rnn():
    """Features of frames with a mask of those that are there, through GRUs."""
    frame_features_input = keras.Input((6, 24))
    mask_input = keras.Input((6,), dtype="bool")
    x = layers.GRU(16, return_sequences=True)(frame_features_input, mask=mask_input)
    x = layers.GRU(8)(x)
    x = layers.Dropout(0.4)(x)
    x = layers.Dense(8, activation="relu")(x)
    output = layers.Dense(5, activation="softmax")(x)
    lengths = np.random.default_rng(0).integers(3, 7, (40, 1))
    return keras.Model([frame_features_input, mask_input], output), [
        numbers(6, 24, low=0.0),
        np.arange(6) < lengths,
    ]


class TubeletEmbedding(layers.Layer):
    def __init__(self, embed_dim, patch_size, **kwargs):
        super().__init__(**kwargs)
        self.projection = layers.Conv3D(
            filters=embed_dim, kernel_size=patch_size, strides=patch_size, padding="VALID"
        )
        self.flatten = layers.Reshape(target_shape=(-1, embed_dim))

    def call(self, videos):
        projected_patches = self.projection(videos)
        return self.flatten(projected_patches)


class PositionalEncoder(layers.Layer):
    def __init__(self, embed_dim, **kwargs):
        super().__init__(**kwargs)
        self.embed_dim = embed_dim

    def build(self, input_shape):
        _, num_tokens, _ = input_shape
        self.position_embedding = layers.Embedding(input_dim=num_tokens, output_dim=self.embed_dim)
        self.positions = ops.arange(0, num_tokens, 1)

    def call(self, encoded_tokens):
        encoded_positions = self.position_embedding(self.positions)
        return encoded_tokens + encoded_positions


@MODELS.add
def video_vision_transformer():
    inputs = layers.Input(shape=(8, 16, 16, 1))
    patches = TubeletEmbedding(embed_dim=16, patch_size=(4, 8, 8))(inputs)
    encoded_patches = PositionalEncoder(embed_dim=16)(patches)
    for _ in range(2):
        x1 = layers.LayerNormalization(epsilon=1e-6)(encoded_patches)
        attention_output = layers.MultiHeadAttention(num_heads=2, key_dim=16 // 2, dropout=0.1)(x1, x1)
        x2 = layers.Add()([attention_output, encoded_patches])
        x3 = layers.LayerNormalization(epsilon=1e-6)(x2)
        x3 = keras.Sequential(
            [
                layers.Dense(units=32, activation=keras.activations.gelu),
                layers.Dense(units=16, activation=keras.activations.gelu),
            ]
        )(x3)
        encoded_patches = layers.Add()([x3, x2])
    representation = layers.LayerNormalization(epsilon=1e-6)(encoded_patches)
    representation = layers.GlobalAvgPool1D()(representation)
    outputs = layers.Dense(units=5, activation="softmax")(representation)
    return keras.Model(inputs=inputs, outputs=outputs), clips(8, 16, 16, 1)


@MODELS.add
def video_transformer_on_features():
    class FramePositions(layers.Layer):
        def __init__(self, sequence_length, output_dim, **kwargs):
            super().__init__(**kwargs)
            self.position_embeddings = layers.Embedding(input_dim=sequence_length, output_dim=output_dim)
            self.sequence_length = sequence_length
            self.output_dim = output_dim

        def build(self, input_shape):
            self.position_embeddings.build(input_shape)

        def call(self, inputs):
            inputs = keras.ops.cast(inputs, self.compute_dtype)
            length = keras.ops.shape(inputs)[1]
            positions = keras.ops.arange(start=0, stop=length, step=1)
            embedded_positions = self.position_embeddings(positions)
            return inputs + embedded_positions

    class FrameEncoder(layers.Layer):
        def __init__(self, embed_dim, dense_dim, num_heads, **kwargs):
            super().__init__(**kwargs)
            self.attention = layers.MultiHeadAttention(num_heads=num_heads, key_dim=embed_dim, dropout=0.3)
            self.dense_proj = keras.Sequential(
                [layers.Dense(dense_dim, activation=keras.activations.gelu), layers.Dense(embed_dim)]
            )
            self.layernorm_1 = layers.LayerNormalization()
            self.layernorm_2 = layers.LayerNormalization()

        def call(self, inputs, mask=None):
            attention_output = self.attention(inputs, inputs, attention_mask=mask)
            proj_input = self.layernorm_1(inputs + attention_output)
            return self.layernorm_2(proj_input + self.dense_proj(proj_input))

    inputs = keras.Input(shape=(6, 16))
    x = FramePositions(6, 16, name="frame_position_embedding")(inputs)
    x = FrameEncoder(16, 8, 1, name="transformer_layer")(x)
    x = layers.GlobalMaxPooling1D()(x)
    x = layers.Dropout(0.5)(x)
    return keras.Model(inputs, layers.Dense(5, activation="softmax")(x)), numbers(6, 16, low=0.0)


class Conv2Plus1D(layers.Layer):
    def __init__(self, filters, kernel_size, padding):
        super().__init__()
        self.seq = keras.Sequential(
            [
                layers.Conv3D(
                    filters=filters, kernel_size=(1, kernel_size[1], kernel_size[2]), padding=padding
                ),
                layers.Conv3D(filters=filters, kernel_size=(kernel_size[0], 1, 1), padding=padding),
            ]
        )

    def call(self, x):
        return self.seq(x)


class ResizeVideo(layers.Layer):
    """Frames resized as images: time goes into the batch and back."""

    def __init__(self, height, width):
        super().__init__()
        self.height = height
        self.width = width
        self.resizing_layer = layers.Resizing(self.height, self.width)

    def call(self, video):
        batch, time, height, width, channels = ops.shape(video)
        frames = ops.reshape(video, (-1, height, width, channels))
        frames = self.resizing_layer(frames)
        return ops.reshape(frames, (batch, time, self.height, self.width, channels))


@MODELS.add
def video_classification_2_plus_1d():
    inputs = layers.Input((4, 16, 16, 3))
    x = Conv2Plus1D(filters=8, kernel_size=(3, 5, 5), padding="same")(inputs)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU()(x)
    x = ResizeVideo(8, 8)(x)
    y = Conv2Plus1D(filters=8, kernel_size=(3, 3, 3), padding="same")(x)
    y = layers.LayerNormalization()(y)
    x = layers.add([x, layers.ReLU()(y)])
    x = layers.GlobalAveragePooling3D()(x)
    x = layers.Flatten()(x)
    return keras.Model(inputs, layers.Dense(5)(x)), clips(4, 16, 16, 3)


@MODELS.add
def frames_time_distributed_cnn_lstm():
    inputs = layers.Input((4, 16, 16, 3))
    x = layers.TimeDistributed(layers.Conv2D(8, 3, strides=2, activation="relu"))(inputs)
    x = layers.TimeDistributed(layers.BatchNormalization())(x)
    x = layers.TimeDistributed(layers.GlobalAveragePooling2D())(x)
    x = layers.LSTM(12)(x)
    return keras.Model(inputs, layers.Dense(5, activation="softmax")(x)), clips(4, 16, 16, 3)
