"""Models in the style of TensorFlow's tutorials, its microcontroller examples, and of MLPerf Tiny."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from zoo_models.table import SAMPLES, Table, images, numbers, series, tokens

MODELS = Table("TensorFlow tutorials and MLPerf Tiny")


@MODELS.add(classification=False)
def hello_world_sine():
    model = keras.Sequential()
    model.add(keras.Input((1,)))
    model.add(layers.Dense(16, activation="relu"))
    model.add(layers.Dense(16, activation="relu"))
    model.add(layers.Dense(1))
    return model, np.linspace(0, 6.28, SAMPLES, dtype="float32")[:, None]


@MODELS.add
def micro_speech():
    inputs = keras.Input((49 * 20,))
    x = layers.Reshape((49, 20, 1))(inputs)
    x = layers.DepthwiseConv2D((10, 8), strides=2, padding="same", depth_multiplier=8, activation="relu")(x)
    x = layers.Dropout(0.5)(x)
    x = layers.Flatten()(x)
    return keras.Model(inputs, layers.Dense(4, activation="softmax")(x)), np.abs(series(49, 20)).reshape(
        SAMPLES, -1
    )


@MODELS.add
def keyword_spotting_ds_cnn():
    regularizer = keras.regularizers.l2(1e-4)
    inputs = keras.Input((25, 10, 1))
    x = layers.Conv2D(16, (10, 4), strides=(2, 2), padding="same", kernel_regularizer=regularizer)(inputs)
    x = layers.Activation("relu")(layers.BatchNormalization()(x))
    x = layers.Dropout(rate=0.2)(x)
    for _ in range(2):
        x = layers.DepthwiseConv2D((3, 3), padding="same", depthwise_regularizer=regularizer)(x)
        x = layers.Activation("relu")(layers.BatchNormalization()(x))
        x = layers.Conv2D(16, (1, 1), padding="same", kernel_regularizer=regularizer)(x)
        x = layers.Activation("relu")(layers.BatchNormalization()(x))
    x = layers.Dropout(rate=0.4)(x)
    x = layers.AveragePooling2D(pool_size=(13, 5))(x)
    x = layers.Flatten()(x)
    return keras.Model(inputs, layers.Dense(12, activation="softmax")(x)), np.abs(series(25, 10, 1))


@MODELS.add(classification=False)
def anomaly_dense_autoencoder():
    inputs = keras.Input(shape=(160,))
    h = inputs
    for units in (32, 32, 8, 32, 32):
        h = layers.Dense(units)(h)
        h = layers.BatchNormalization()(h)
        h = layers.Activation("relu")(h)
    return keras.Model(inputs=inputs, outputs=layers.Dense(160)(h)), series(160)


@MODELS.add
def image_classification_resnet8():
    def block(x, filters, strides):
        settings = {"padding": "same", "kernel_initializer": "he_normal"}
        y = layers.Conv2D(filters, 3, strides=strides, **settings)(x)
        y = layers.Activation("relu")(layers.BatchNormalization()(y))
        y = layers.BatchNormalization()(layers.Conv2D(filters, 3, **settings)(y))
        if strides > 1:
            x = layers.Conv2D(filters, 1, strides=strides, **settings)(x)
        return layers.Activation("relu")(layers.add([x, y]))

    inputs = keras.Input((32, 32, 3))
    x = layers.Conv2D(8, 3, padding="same", kernel_initializer="he_normal")(inputs)
    x = layers.Activation("relu")(layers.BatchNormalization()(x))
    for filters, strides in ((8, 1), (16, 2), (24, 2)):
        x = block(x, filters, strides)
    x = layers.AveragePooling2D(pool_size=8)(x)
    x = layers.Flatten()(x)
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x)), images(32, 32, 3)


@MODELS.add
def person_detection_mobilenet_v1():
    inputs = keras.Input((48, 48, 1))
    x = layers.ZeroPadding2D(((0, 1), (0, 1)))(inputs)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(layers.Conv2D(8, 3, 2, use_bias=False)(x)))
    for filters, strides in ((8, 1), (16, 2), (16, 1), (24, 2)):
        x = layers.DepthwiseConv2D(3, strides, padding="same", use_bias=False)(x)
        x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
        x = layers.ReLU(6.0)(layers.BatchNormalization()(layers.Conv2D(filters, 1, use_bias=False)(x)))
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Dropout(0.001)(x)
    x = layers.Conv2D(2, (1, 1), padding="same")(x)
    x = layers.Reshape((2,))(x)
    return keras.Model(inputs, layers.Activation("softmax")(x)), images(48, 48, 1, low=-1.0)


@MODELS.add
def magic_wand_gestures():
    model = keras.Sequential(
        [
            keras.Input((64, 3, 1)),
            layers.Conv2D(8, (4, 3), padding="same", activation="relu"),
            layers.MaxPool2D((3, 3)),
            layers.Dropout(0.1),
            layers.Conv2D(16, (4, 1), padding="same", activation="relu"),
            layers.MaxPool2D((3, 1), padding="same"),
            layers.Dropout(0.1),
            layers.Flatten(),
            layers.Dense(16, activation="relu"),
            layers.Dropout(0.1),
            layers.Dense(4, activation="softmax"),
        ]
    )
    return model, series(64, 3, 1)


@MODELS.add
def simple_audio_commands():
    """Resized spectrograms, normalized by adapted statistics."""
    data = np.abs(series(30, 17, 1)) * 5
    norm_layer = layers.Normalization()
    norm_layer.adapt(data)
    model = keras.Sequential(
        [
            layers.Input(shape=(30, 17, 1)),
            layers.Resizing(16, 16),
            norm_layer,
            layers.Conv2D(8, 3, activation="relu"),
            layers.Conv2D(16, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Dropout(0.25),
            layers.Flatten(),
            layers.Dense(24, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(8),
        ]
    )
    return model, data


@MODELS.add
def human_activity_lstm():
    model = keras.Sequential(
        [
            keras.Input((16, 6)),
            layers.LSTM(16, unroll=True),
            layers.Dropout(0.5),
            layers.Dense(5, activation="softmax"),
        ]
    )
    return model, series(16, 6)


class MyModel(keras.Model):
    """The beginner's subclassed model."""

    def __init__(self):
        super().__init__()
        self.conv1 = layers.Conv2D(8, 3, activation="relu")
        self.flatten = layers.Flatten()
        self.d1 = layers.Dense(16, activation="relu")
        self.d2 = layers.Dense(10)

    def call(self, x):
        x = self.conv1(x)
        x = self.flatten(x)
        x = self.d1(x)
        return self.d2(x)


@MODELS.add
def quickstart_advanced():
    return MyModel(), images(14, 14, 1)


class Denoise(keras.Model):
    def __init__(self):
        super().__init__()
        self.encoder = keras.Sequential(
            [
                layers.Input(shape=(14, 14, 1)),
                layers.Conv2D(8, (3, 3), activation="relu", padding="same", strides=2),
                layers.Conv2D(4, (3, 3), activation="relu", padding="same", strides=1),
            ]
        )
        self.decoder = keras.Sequential(
            [
                layers.Conv2DTranspose(4, kernel_size=3, strides=1, activation="relu", padding="same"),
                layers.Conv2DTranspose(8, kernel_size=3, strides=2, activation="relu", padding="same"),
                layers.Conv2D(1, kernel_size=(3, 3), activation="sigmoid", padding="same"),
            ]
        )

    def call(self, x):
        encoded = self.encoder(x)
        return self.decoder(encoded)


@MODELS.add(classification=False)
def denoising_autoencoder():
    return Denoise(), images(14, 14, 1)


def positional_encoding(length, depth):
    depth = depth / 2
    positions = np.arange(length)[:, np.newaxis]
    depths = np.arange(depth)[np.newaxis, :] / depth
    angle_rads = positions * (1 / (10000**depths))
    return tf.cast(np.concatenate([np.sin(angle_rads), np.cos(angle_rads)], axis=-1), dtype=tf.float32)


class PositionalEmbedding(layers.Layer):
    def __init__(self, vocab_size, d_model):
        super().__init__()
        self.d_model = d_model
        self.embedding = layers.Embedding(vocab_size, d_model, mask_zero=True)
        self.pos_encoding = positional_encoding(length=64, depth=d_model)

    def compute_mask(self, *args, **kwargs):
        return self.embedding.compute_mask(*args, **kwargs)

    def call(self, x):
        length = tf.shape(x)[1]
        x = self.embedding(x)
        x *= tf.math.sqrt(tf.cast(self.d_model, tf.float32))
        return x + self.pos_encoding[tf.newaxis, :length, :]


class BaseAttention(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__()
        self.mha = layers.MultiHeadAttention(**kwargs)
        self.layernorm = layers.LayerNormalization()
        self.add = layers.Add()


class CrossAttention(BaseAttention):
    def call(self, x, context):
        attn_output = self.mha(query=x, key=context, value=context)
        x = self.add([x, attn_output])
        return self.layernorm(x)


class GlobalSelfAttention(BaseAttention):
    def call(self, x):
        attn_output = self.mha(query=x, value=x, key=x)
        x = self.add([x, attn_output])
        return self.layernorm(x)


class CausalSelfAttention(BaseAttention):
    def call(self, x):
        attn_output = self.mha(query=x, value=x, key=x, use_causal_mask=True)
        x = self.add([x, attn_output])
        return self.layernorm(x)


class FeedForward(layers.Layer):
    def __init__(self, d_model, dff, dropout_rate=0.1):
        super().__init__()
        self.seq = keras.Sequential(
            [layers.Dense(dff, activation="relu"), layers.Dense(d_model), layers.Dropout(dropout_rate)]
        )
        self.add = layers.Add()
        self.layer_norm = layers.LayerNormalization()

    def call(self, x):
        x = self.add([x, self.seq(x)])
        return self.layer_norm(x)


class TranslationTransformer(keras.Model):
    """Encoder and decoder with masks that Keras carries."""

    def __init__(self, d_model=16, vocab=40):
        super().__init__()
        self.context_embedding = PositionalEmbedding(vocab, d_model)
        self.target_embedding = PositionalEmbedding(vocab, d_model)
        settings = {"num_heads": 2, "key_dim": d_model, "dropout": 0.1}
        self.global_attention = GlobalSelfAttention(**settings)
        self.encoder_ffn = FeedForward(d_model, 24)
        self.causal_attention = CausalSelfAttention(**settings)
        self.cross_attention = CrossAttention(**settings)
        self.decoder_ffn = FeedForward(d_model, 24)
        self.final_layer = layers.Dense(vocab)

    def call(self, inputs):
        context, x = inputs
        context = self.context_embedding(context)
        context = self.encoder_ffn(self.global_attention(context))
        x = self.target_embedding(x)
        x = self.causal_attention(x=x)
        x = self.cross_attention(x=x, context=context)
        x = self.decoder_ffn(x)
        logits = self.final_layer(x)
        try:
            del logits._keras_mask
        except AttributeError:
            pass
        return logits


@MODELS.add
def tutorial_transformer():
    context = tokens(10, 40)
    context[:, 7:] *= np.random.default_rng(1).integers(0, 2, (SAMPLES, 1)).astype("int32")
    return TranslationTransformer(), (context, tokens(8, 40))


@MODELS.add(classification=False)
def pix2pix_generator():
    def downsample(filters, size, apply_batchnorm=True):
        result = keras.Sequential()
        result.add(layers.Conv2D(filters, size, strides=2, padding="same", use_bias=False))
        if apply_batchnorm:
            result.add(layers.BatchNormalization())
        result.add(layers.LeakyReLU())
        return result

    def upsample(filters, size, apply_dropout=False):
        result = keras.Sequential()
        result.add(layers.Conv2DTranspose(filters, size, strides=2, padding="same", use_bias=False))
        result.add(layers.BatchNormalization())
        if apply_dropout:
            result.add(layers.Dropout(0.5))
        result.add(layers.ReLU())
        return result

    inputs = layers.Input(shape=[16, 16, 3])
    x = inputs
    skips = []
    for down in (downsample(8, 4, apply_batchnorm=False), downsample(12, 4), downsample(16, 4)):
        x = down(x)
        skips.append(x)
    for up, skip in zip((upsample(12, 4, True), upsample(8, 4)), reversed(skips[:-1]), strict=True):
        x = layers.Concatenate()([up(x), skip])
    last = layers.Conv2DTranspose(3, 4, strides=2, padding="same", activation="tanh")
    return keras.Model(inputs=inputs, outputs=last(x)), images(16, 16, 3, low=-1.0)


class ResidualWrapper(keras.Model):
    """Predicts the change to the last value, as the time series tutorial has it."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def call(self, inputs, *args, **kwargs):
        delta = self.model(inputs, *args, **kwargs)
        return inputs + delta


@MODELS.add(classification=False)
def residual_lstm_weather():
    model = ResidualWrapper(
        keras.Sequential(
            [layers.LSTM(12, return_sequences=True), layers.Dense(5, kernel_initializer="lecun_normal")]
        )
    )
    return model, series(12, 5)


class FeedBack(keras.Model):
    """An autoregressive loop in Python over one cell."""

    def __init__(self, units=12, out_steps=4, features=3):
        super().__init__()
        self.out_steps = out_steps
        self.units = units
        self.lstm_cell = layers.LSTMCell(units)
        self.lstm_rnn = layers.RNN(self.lstm_cell, return_state=True)
        self.dense = layers.Dense(features)

    def call(self, inputs, training=None):
        predictions = []
        x, *state = self.lstm_rnn(inputs)
        prediction = self.dense(x)
        predictions.append(prediction)
        for _ in range(1, self.out_steps):
            x = prediction
            x, state = self.lstm_cell(x, states=state, training=training)
            prediction = self.dense(x)
            predictions.append(prediction)
        predictions = tf.stack(predictions)
        return tf.transpose(predictions, [1, 0, 2])


@MODELS.add(classification=False)
def autoregressive_feedback():
    return FeedBack(), series(8, 3)


@MODELS.add
def text_classification_average():
    model = keras.Sequential(
        [
            keras.Input((20,), dtype="int32"),
            layers.Embedding(60, 16),
            layers.Dropout(0.2),
            layers.GlobalAveragePooling1D(),
            layers.Dropout(0.2),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    return model, tokens(20, 60)


class Word2Vec(keras.Model):
    """A target's vector against a context's and its negatives'."""

    def __init__(self, vocab_size, embedding_dim):
        super().__init__()
        self.target_embedding = layers.Embedding(vocab_size, embedding_dim, name="w2v_embedding")
        self.context_embedding = layers.Embedding(vocab_size, embedding_dim)

    def call(self, pair):
        target, context = pair
        if len(target.shape) == 2:
            target = tf.squeeze(target, axis=1)
        word_emb = self.target_embedding(target)
        context_emb = self.context_embedding(context)
        return tf.einsum("be,bce->bc", word_emb, context_emb)


@MODELS.add
def word_to_vec():
    return Word2Vec(40, 12), (tokens(1, 40), tokens(5, 40))


@MODELS.add
def text_generation_gru_stateless():
    class CharacterModel(keras.Model):
        def __init__(self, vocab_size, embedding_dim, rnn_units):
            super().__init__()
            self.embedding = layers.Embedding(vocab_size, embedding_dim)
            self.gru = layers.GRU(rnn_units, return_sequences=True, return_state=True)
            self.dense = layers.Dense(vocab_size)

        def call(self, inputs, states=None, return_state=False, training=False):
            x = self.embedding(inputs, training=training)
            x, states = self.gru(x, initial_state=states, training=training)
            x = self.dense(x, training=training)
            if return_state:
                return x, states
            return x

    return CharacterModel(30, 12, 16), tokens(8, 30)


@MODELS.add
def fashion_with_probabilities():
    model = keras.Sequential(
        [keras.Input((14, 14)), layers.Flatten(), layers.Dense(24, activation="relu"), layers.Dense(10)]
    )
    model = keras.Sequential([model, layers.Softmax()])
    data = images(14, 14, 1)[..., 0]
    model(data[:1])
    return model, data


@MODELS.add
def overfit_tabular_with_regularizers():
    model = keras.Sequential(
        [
            keras.Input((28,)),
            layers.Dense(32, kernel_regularizer=keras.regularizers.l2(0.0001), activation="elu"),
            layers.Dropout(0.5),
            layers.Dense(32, kernel_regularizer=keras.regularizers.l2(0.0001), activation="elu"),
            layers.Dropout(0.5),
            layers.Dense(1),
        ]
    )
    return model, numbers(28, low=-3, high=3)
