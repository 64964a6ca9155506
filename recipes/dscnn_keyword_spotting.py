"""MLPerf Tiny's keyword spotting: DS-CNN on 10 cepstral coefficients of one second, quantized to int8.

Architecture and front end: mlcommons/tiny, benchmark/training/keyword_spotting. Quality target there: 90 %
top-1 over 12 classes (ten words, unknown, silence) of Google's Speech Commands v2, 36 epochs with noise
mixed in.

    tfopt run recipes/dscnn_keyword_spotting.py --data speech_commands/

The folder holds one folder of WAV files a word, 16 kHz, about one second each; or `train/`, `test/` and
perhaps `validation/` with such folders. Folders of words that are not in `WORDS` become one class,
`_unknown_`; with none of these words there, every folder is a class. `_background_noise_` is left out; for
the class of silence cut it into clips in a folder `_silence_`.

The front end (spectrogram, 40 log-mel bands from 20 to 4000 Hz, DCT, 10 coefficients: 49x10 numbers) is
outside the file: what uses the file applies `cepstrum` to each clip.
"""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import tfopt

WORDS = {"yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go"}
RATE = 16_000
WINDOW, STRIDE = 30 * RATE // 1000, 20 * RATE // 1000
BANDS, COEFFICIENTS = 40, 10


@tf.function(input_signature=[tf.TensorSpec((RATE,), tf.float32)])
def cepstrum(clip):
    """10 coefficients of each of 49 windows of a clip of one second: shape (49, 10, 1)."""
    clip = clip / tf.maximum(tf.reduce_max(clip), 1e-6)
    spectrum = tf.abs(tf.signal.stft(clip, WINDOW, STRIDE))
    mel = tf.signal.linear_to_mel_weight_matrix(BANDS, spectrum.shape[-1], RATE, 20.0, 4000.0)
    log_mel = tf.math.log(spectrum @ mel + 1e-6)
    return tf.signal.mfccs_from_log_mel_spectrograms(log_mel)[:, :COEFFICIENTS, None]


def clips(source=None):
    """The clips of a folder, as cepstral coefficients."""
    if source is None:
        raise tfopt.errors.DataError(
            "This recipe has no data of its own: give a folder with one folder of WAV files a word, such as "
            "the Speech Commands: --data speech_commands/."
        )
    root = Path(source)
    folders = {path.name for path in (*root.glob("*/"), *root.glob("train/*/"))}
    known = folders & WORDS

    def class_of(folder):
        if folder == "_background_noise_":
            return None
        return folder if not known or folder in known or folder == "_silence_" else "_unknown_"

    return tfopt.data.load_audio(
        source,
        sample_rate=RATE,
        seconds=1.0,
        features=lambda clip: np.asarray(cepstrum(clip)),
        class_of=class_of,
    )


def ds_cnn(input_shape, num_classes, filters):
    """A convolution, four depthwise separable ones, an average over all positions, a softmax."""
    layers = keras.layers
    decay = keras.regularizers.L2(1e-4)

    def normalized(x, name):
        return layers.ReLU(name=f"{name}_relu")(layers.BatchNormalization(name=f"{name}_bn")(x))

    inputs = keras.Input(input_shape, name="cepstrum")
    x = layers.Conv2D(filters, (10, 4), 2, "same", kernel_regularizer=decay, name="stem")(inputs)
    x = layers.Dropout(0.2, name="stem_dropout")(normalized(x, "stem"))
    for block in range(1, 5):
        depthwise, pointwise = f"depthwise{block}", f"pointwise{block}"
        x = layers.DepthwiseConv2D(3, padding="same", depthwise_regularizer=decay, name=depthwise)(x)
        x = normalized(x, depthwise)
        x = layers.Conv2D(filters, 1, kernel_regularizer=decay, name=pointwise)(x)
        x = normalized(x, pointwise)
    x = layers.Dropout(0.4, name="dropout")(x)
    # As published: 24 of the 25 positions in time.
    x = layers.AveragePooling2D((input_shape[0] // 2, input_shape[1] // 2), name="pool")(x)
    x = layers.Flatten(name="flatten")(x)
    outputs = layers.Dense(num_classes, "softmax", name="head")(x)
    return keras.Model(inputs, outputs, name="ds_cnn")


def build(hp):
    return tfopt.Recipe(
        data=clips,
        model=lambda data: ds_cnn(
            data.input_shape, data.num_classes, filters=hp.Int("filters", 16, 96, step=16, default=64)
        ),
        optimizer=lambda steps: keras.optimizers.Adam(
            tfopt.schedules.WarmupCosine(
                hp.Float("lr", 1e-4, 1e-2, sampling="log", default=2e-3),
                warmup_steps=steps // 20,
                total_steps=steps,
            )
        ),
        stages=[
            tfopt.Train(epochs=36),
            tfopt.QuantizeAware("int8", epochs=6),
            tfopt.ExportTFLite(max_drop=0.01),
        ],
        batch_size=100,
    )
