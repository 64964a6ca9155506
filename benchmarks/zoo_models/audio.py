"""Sound, in the style of keras.io's code examples."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from zoo_models.table import Table, series, tokens

MODELS = Table("keras.io")


@MODELS.add
def speaker_recognition_from_spectra():
    def residual_block(x, filters, conv_num=3, activation="relu"):
        s = layers.Conv1D(filters, 1, padding="same")(x)
        for _ in range(conv_num - 1):
            x = layers.Conv1D(filters, 3, padding="same")(x)
            x = layers.Activation(activation)(x)
        x = layers.Conv1D(filters, 3, padding="same")(x)
        x = layers.Add()([x, s])
        x = layers.Activation(activation)(x)
        return layers.MaxPool1D(pool_size=2, strides=2)(x)

    inputs = layers.Input(shape=(64, 1), name="input")
    x = residual_block(inputs, 8, 2)
    x = residual_block(x, 8, 2)
    x = residual_block(x, 12, 3)
    x = layers.AveragePooling1D(pool_size=3, strides=3)(x)
    x = layers.Flatten()(x)
    x = layers.Dense(16, activation="relu")(x)
    outputs = layers.Dense(5, activation="softmax", name="output")(x)
    return keras.Model(inputs=inputs, outputs=outputs), np.abs(series(64, 1))


class AudioToSpectrum(layers.Layer):
    """The magnitudes of a real Fourier transform, inside the model."""

    def call(self, audio):
        audio = tf.squeeze(audio, axis=-1)
        fft = tf.signal.fft(tf.cast(tf.complex(real=audio, imag=tf.zeros_like(audio)), tf.complex64))
        fft = tf.expand_dims(fft, axis=-1)
        return tf.math.abs(fft[:, : (audio.shape[1] // 2), :])


@MODELS.add
def speaker_recognition_with_fft():
    inputs = layers.Input((64, 1))
    x = AudioToSpectrum()(inputs)
    x = layers.Conv1D(8, 3, padding="same", activation="relu")(x)
    x = layers.MaxPool1D(2)(x)
    x = layers.Flatten()(x)
    return keras.Model(inputs, layers.Dense(5, activation="softmax")(x)), series(64, 1)


@MODELS.add
def deep_speech_ctc():
    """Convolutions over a spectrogram, bidirectional GRUs, and a softmax a step."""
    input_spectrogram = layers.Input((16, 21), name="input")
    x = layers.Reshape((-1, 21, 1), name="expand_dim")(input_spectrogram)
    x = layers.Conv2D(
        filters=8, kernel_size=[5, 7], strides=[2, 2], padding="same", use_bias=False, name="conv_1"
    )(x)
    x = layers.BatchNormalization(name="conv_1_bn")(x)
    x = layers.ReLU(name="conv_1_relu")(x)
    x = layers.Conv2D(
        filters=8, kernel_size=[5, 5], strides=[1, 2], padding="same", use_bias=False, name="conv_2"
    )(x)
    x = layers.BatchNormalization(name="conv_2_bn")(x)
    x = layers.ReLU(name="conv_2_relu")(x)
    x = layers.Reshape((-1, x.shape[-2] * x.shape[-1]))(x)
    for i in range(1, 3):
        recurrent = layers.GRU(
            units=8,
            activation="tanh",
            recurrent_activation="sigmoid",
            use_bias=True,
            return_sequences=True,
            reset_after=True,
            name=f"gru_{i}",
        )
        x = layers.Bidirectional(recurrent, name=f"bidirectional_{i}", merge_mode="concat")(x)
        if i < 2:
            x = layers.Dropout(rate=0.5)(x)
    x = layers.ReLU(name="dense_1_relu")(layers.Dense(units=16, name="dense_1")(x))
    x = layers.Dropout(rate=0.5)(x)
    output = layers.Dense(units=12, activation="softmax")(x)
    return keras.Model(input_spectrogram, output, name="DeepSpeech_2"), np.abs(series(16, 21))


@MODELS.add
def mel_spectrogram_layer():
    inputs = keras.Input((512,), dtype="float32")
    x = layers.MelSpectrogram(
        fft_length=64, sequence_stride=32, sampling_rate=4000, num_mel_bins=12, power_to_db=True
    )(inputs)
    x = ops.expand_dims(x, -1)
    x = layers.Conv2D(8, 3, strides=2, activation="relu")(x)
    x = layers.GlobalMaxPooling2D()(x)
    return keras.Model(inputs, layers.Dense(4, activation="softmax")(x)), series(512, scale=0.3)


@MODELS.add
def stft_spectrogram_1d():
    inputs = keras.Input((256, 1))
    x = layers.STFTSpectrogram(
        mode="log", frame_length=32, frame_step=16, fft_length=32, trainable=False, expand_dims=False
    )(inputs)
    x = layers.Conv1D(12, 3, padding="same", activation="relu")(x)
    x = layers.BatchNormalization()(x)
    x = layers.GlobalMaxPooling1D()(x)
    return keras.Model(inputs, layers.Dense(4, activation="softmax")(x)), series(256, 1, scale=0.3)


@MODELS.add
def stft_spectrogram_2d_trainable():
    inputs = keras.Input((256, 1))
    x = layers.STFTSpectrogram(
        mode="real", frame_length=32, frame_step=16, fft_length=32, trainable=True, expand_dims=True
    )(inputs)
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(x)
    x = layers.MaxPool2D(2)(x)
    x = layers.Flatten()(x)
    return keras.Model(inputs, layers.Dense(4, activation="softmax")(x)), series(256, 1, scale=0.3)


@MODELS.add
def accent_classifier_on_embeddings():
    """YAMNet's embedding of a frame -> an accent."""
    inputs = layers.Input(shape=(128,), name="embedding")
    x = layers.Dense(32, activation="relu", name="dense_1")(inputs)
    x = layers.Dropout(0.15, name="dropout_1")(x)
    x = layers.Dense(24, activation="relu", name="dense_2")(x)
    x = layers.Dropout(0.2, name="dropout_2")(x)
    outputs = layers.Dense(6, activation="softmax", name="ouput")(x)
    return keras.Model(inputs=inputs, outputs=outputs, name="accent_recognition"), np.abs(series(128))


class TokenEmbedding(layers.Layer):
    def __init__(self, num_vocab=34, maxlen=100, num_hid=64):
        super().__init__()
        self.emb = keras.layers.Embedding(num_vocab, num_hid)
        self.pos_emb = layers.Embedding(input_dim=maxlen, output_dim=num_hid)

    def call(self, x):
        maxlen = tf.shape(x)[-1]
        x = self.emb(x)
        positions = tf.range(start=0, limit=maxlen, delta=1)
        positions = self.pos_emb(positions)
        return x + positions


class SpeechFeatureEmbedding(layers.Layer):
    def __init__(self, num_hid=64, maxlen=100):
        super().__init__()
        settings = {"strides": 2, "padding": "same", "activation": "relu"}
        self.conv1 = keras.layers.Conv1D(num_hid, 11, **settings)
        self.conv2 = keras.layers.Conv1D(num_hid, 11, **settings)
        self.conv3 = keras.layers.Conv1D(num_hid, 11, **settings)

    def call(self, x):
        return self.conv3(self.conv2(self.conv1(x)))


class SpeechEncoder(layers.Layer):
    def __init__(self, embed_dim, num_heads, feed_forward_dim, rate=0.1):
        super().__init__()
        self.att = layers.MultiHeadAttention(num_heads=num_heads, key_dim=embed_dim)
        self.ffn = keras.Sequential(
            [layers.Dense(feed_forward_dim, activation="relu"), layers.Dense(embed_dim)]
        )
        self.layernorm1 = layers.LayerNormalization(epsilon=1e-6)
        self.layernorm2 = layers.LayerNormalization(epsilon=1e-6)
        self.dropout1 = layers.Dropout(rate)
        self.dropout2 = layers.Dropout(rate)

    def call(self, inputs, training=False):
        attn_output = self.att(inputs, inputs)
        attn_output = self.dropout1(attn_output, training=training)
        out1 = self.layernorm1(inputs + attn_output)
        ffn_output = self.ffn(out1)
        ffn_output = self.dropout2(ffn_output, training=training)
        return self.layernorm2(out1 + ffn_output)


class SpeechDecoder(layers.Layer):
    def __init__(self, embed_dim, num_heads, feed_forward_dim, dropout_rate=0.1):
        super().__init__()
        self.layernorm1 = layers.LayerNormalization(epsilon=1e-6)
        self.layernorm2 = layers.LayerNormalization(epsilon=1e-6)
        self.layernorm3 = layers.LayerNormalization(epsilon=1e-6)
        self.self_att = layers.MultiHeadAttention(num_heads=num_heads, key_dim=embed_dim)
        self.enc_att = layers.MultiHeadAttention(num_heads=num_heads, key_dim=embed_dim)
        self.self_dropout = layers.Dropout(0.5)
        self.enc_dropout = layers.Dropout(0.1)
        self.ffn_dropout = layers.Dropout(0.1)
        self.ffn = keras.Sequential(
            [layers.Dense(feed_forward_dim, activation="relu"), layers.Dense(embed_dim)]
        )

    def causal_attention_mask(self, batch_size, n_dest, n_src, dtype):
        i = tf.range(n_dest)[:, None]
        j = tf.range(n_src)
        m = i >= j - n_src + n_dest
        mask = tf.cast(m, dtype)
        mask = tf.reshape(mask, [1, n_dest, n_src])
        mult = tf.concat([batch_size[..., tf.newaxis], tf.constant([1, 1], dtype=tf.int32)], 0)
        return tf.tile(mask, mult)

    def call(self, enc_out, target):
        input_shape = tf.shape(target)
        batch_size = input_shape[0]
        seq_len = input_shape[1]
        causal_mask = self.causal_attention_mask(batch_size, seq_len, seq_len, tf.bool)
        target_att = self.self_att(target, target, attention_mask=causal_mask)
        target_norm = self.layernorm1(target + self.self_dropout(target_att))
        enc_out = self.enc_att(target_norm, enc_out)
        enc_out_norm = self.layernorm2(self.enc_dropout(enc_out) + target_norm)
        ffn_out = self.ffn(enc_out_norm)
        return self.layernorm3(enc_out_norm + self.ffn_dropout(ffn_out))


class SpeechTransformer(keras.Model):
    def __init__(self, num_hid=16, num_head=2, num_feed_forward=24, target_maxlen=8, num_classes=20):
        super().__init__()
        self.num_layers_dec = 1
        self.enc_input = SpeechFeatureEmbedding(num_hid=num_hid, maxlen=8)
        self.dec_input = TokenEmbedding(num_vocab=num_classes, maxlen=target_maxlen, num_hid=num_hid)
        self.encoder = keras.Sequential(
            [self.enc_input] + [SpeechEncoder(num_hid, num_head, num_feed_forward) for _ in range(1)]
        )
        for i in range(self.num_layers_dec):
            setattr(self, f"dec_layer_{i}", SpeechDecoder(num_hid, num_head, num_feed_forward))
        self.classifier = layers.Dense(num_classes)

    def decode(self, enc_out, target):
        y = self.dec_input(target)
        for i in range(self.num_layers_dec):
            y = getattr(self, f"dec_layer_{i}")(enc_out, y)
        return y

    def call(self, inputs):
        source, target = inputs[0], inputs[1]
        x = self.encoder(source)
        y = self.decode(x, target)
        return self.classifier(y)


@MODELS.add
def speech_transformer():
    return SpeechTransformer(), [np.abs(series(48, 12)), tokens(8, 20)]


@MODELS.add(classification=False)
def vocal_separation_mask():
    """A U-Net over magnitudes whose sigmoid mask multiplies its own input."""
    inputs = layers.Input((32, 16, 2))
    x = layers.LayerNormalization(axis=(1, 2, 3))(inputs)
    down = layers.Conv2D(8, 5, strides=2, padding="same")(x)
    down = layers.LeakyReLU(0.2)(layers.BatchNormalization()(down))
    mid = layers.Conv2D(16, 5, strides=2, padding="same")(down)
    mid = layers.LeakyReLU(0.2)(layers.BatchNormalization()(mid))
    up = layers.Conv2DTranspose(8, 5, strides=2, padding="same")(mid)
    up = layers.ReLU()(layers.BatchNormalization()(up))
    up = layers.Concatenate()([layers.Dropout(0.5)(up), down])
    mask = layers.Conv2DTranspose(2, 5, strides=2, padding="same", activation="sigmoid")(up)
    return keras.Model(inputs, layers.Multiply()([mask, inputs])), np.abs(series(32, 16, 2))


class MelSpec(layers.Layer):
    """Frames, their transform by TensorFlow, and a mel matrix; as the waveform synthesis examples do."""

    def __init__(self, frame_length=64, frame_step=32, fft_length=None, num_mel_channels=10, **kwargs):
        super().__init__(**kwargs)
        self.frame_length, self.frame_step, self.fft_length = frame_length, frame_step, fft_length
        self.mel_filterbank = tf.signal.linear_to_mel_weight_matrix(
            num_mel_bins=num_mel_channels,
            num_spectrogram_bins=self.frame_length // 2 + 1,
            sample_rate=4000,
            lower_edge_hertz=125,
            upper_edge_hertz=1900,
        )

    def call(self, audio, training=True):
        stft = tf.signal.stft(
            tf.squeeze(audio, -1), self.frame_length, self.frame_step, self.fft_length, pad_end=True
        )
        magnitude = tf.abs(stft)
        mel = tf.matmul(tf.square(magnitude), self.mel_filterbank)
        log_mel_spec = 10.0 * tf.math.log(tf.maximum(mel, 1e-5)) / 2.302585
        return tf.cast(log_mel_spec, tf.float32)


@MODELS.add(classification=False)
def mel_gan_front_end():
    inputs = keras.Input((256, 1))
    x = MelSpec()(inputs)
    x = layers.Conv1D(12, 3, padding="same")(x)
    x = layers.LeakyReLU()(x)
    x = layers.Conv1DTranspose(8, 8, strides=4, padding="same")(x)
    return keras.Model(inputs, layers.Conv1D(1, 7, padding="same", activation="tanh")(x)), series(
        256, 1, scale=0.3
    )
