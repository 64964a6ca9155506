"""Activities from an accelerometer: an LSTM over windows of samples, quantized to int8.

Data: made here, 4 activities of a wrist with three axes (rest, walk, run, and stairs: a walk whose steps
grow), since none ships. Of your own: `--data windows.npz` with x_train, y_train, x_test, y_test: x of shape
(windows, steps, axes), such as 128 steps of 9 axes in UCI HAR, and y the activity of each window.
Quality target: an int8 file within one point of the float model.

    tfopt run recipes/sensor_lstm.py [--data windows.npz]

The axes are standardized outside the file; the report gives the numbers that a user of the file needs for
it.
"""

import keras
import numpy as np

import tfopt

ACTIVITIES = ["rest", "walk", "run", "stairs"]


def made(windows=2000, steps=64, seed=0):
    """Windows of 64 samples at 25 Hz: frequency, phase, strength and direction differ."""
    rng = np.random.default_rng(seed)
    labels = np.arange(windows) % len(ACTIVITIES)
    time = np.arange(steps) / 25
    frequency = np.array([0.3, 1.8, 2.7, 1.8])[labels] * rng.uniform(0.85, 1.15, windows)
    strength = np.array([0.1, 1.0, 2.0, 1.0])[labels] * rng.uniform(0.7, 1.3, windows)
    growth = np.where(labels[:, None] == 3, np.linspace(0.4, 1.6, steps), 1.0)
    phase = rng.uniform(0, 2 * np.pi, windows)
    wave = growth * strength[:, None] * np.sin(2 * np.pi * frequency[:, None] * time + phase[:, None])
    direction = rng.normal(size=(windows, 1, 3))
    direction /= np.linalg.norm(direction, axis=2, keepdims=True)
    x = wave[..., None] * direction + [0, 0, 1] + rng.normal(scale=0.3, size=(windows, steps, 3))
    return x.astype(np.float32), labels


def windows(source=None):
    """Windows of a file, or those made here."""
    if source is None:
        x, y = made()
        return tfopt.data.from_arrays(x, y, class_names=ACTIVITIES, scale="standardize", name="activities")
    data = tfopt.data.load(source, scale="standardize")
    why = "A sample is a window of a time series: (steps, axes)."
    return data.require(input_shape=(None, None), classes=True, why=why)


def lstm(input_shape, num_classes, units):
    """A convolution over time that halves it, an LSTM, and a dense layer of logits."""
    layers = keras.layers
    inputs = keras.Input(input_shape, name="window")
    x = layers.Conv1D(units, 5, strides=2, padding="same", use_bias=False, name="conv")(inputs)
    x = layers.BatchNormalization(name="bn")(x)
    x = layers.ReLU(name="relu")(x)
    x = layers.LSTM(units, name="lstm")(x)
    outputs = layers.Dense(num_classes, name="head")(x)
    return keras.Model(inputs, outputs, name="lstm")


def build(hp):
    return tfopt.Recipe(
        data=windows,
        model=lambda data: lstm(
            data.input_shape, data.num_classes, units=hp.Int("units", 8, 64, step=8, default=24)
        ),
        optimizer=lambda steps: keras.optimizers.Adam(
            tfopt.schedules.WarmupCosine(
                hp.Float("lr", 1e-4, 3e-2, sampling="log", default=5e-3),
                warmup_steps=steps // 20,
                total_steps=steps,
            )
        ),
        # Gradients through time now and then explode.
        callbacks=[tfopt.callbacks.GradientClipping("global_norm", 1.0)],
        stages=[
            tfopt.Train(epochs=20),
            tfopt.QuantizeAware("int8", epochs=5),
            tfopt.ExportTFLite(max_drop=0.01),
        ],
        batch_size=32,
    )
