"""MLPerf Tiny's anomaly detection: an autoencoder of a machine's sound, quantized to int8.

Architecture: mlcommons/tiny, benchmark/training/anomaly_detection: dense layers
640-128-128-128-128-8-128-128-128-128-640.
Quality target there: an AUC of 0.85 over the clips of DCASE 2020 task 2's ToyCar, 100 epochs.

    tfopt run recipes/autoencoder_anomaly.py --data ToyCar/
    python recipes/autoencoder_anomaly.py saved_models/autoencoder_anomaly/RUN/model.tflite ToyCar/

The folder is as published: `train/normal_*.wav`, and `test/` with `normal_*.wav` and `anomaly_*.wav`, 16
kHz. Every second clip of `test/` validates. The model learns to reproduce normal sound alone, and what it
reproduces badly is an anomaly. The AUC in the report is that of single windows of 5 frames; that of clips
is higher.

The front end (128 log-mel bands of 64 ms every 32 ms, 5 frames in one window of 640 numbers) is outside the
file: what uses the file applies `windows` to each clip. Its bands are HTK's, those of the published one
Slaney's.
"""

import sys
from pathlib import Path

import keras
import numpy as np

import tfopt

BANDS, FRAMES = 128, 5
EVERY = 4
"""Training takes each fourth window; neighbours share four of their five frames."""


def windows(clip, every=1):
    """The windows of a clip in decibels, shape (windows, 640)."""
    front_end = keras.layers.MelSpectrogram(
        fft_length=1024,
        sequence_stride=512,
        sampling_rate=16_000,
        num_mel_bins=BANDS,
        mag_exp=2.0,
        top_db=120.0,
    )
    frames = np.asarray(front_end(clip[None]))[0].T
    found = np.lib.stride_tricks.sliding_window_view(frames, (FRAMES, BANDS))[::every, 0]
    return found.reshape(-1, FRAMES * BANDS)


def sounds(source=None):
    """Windows of a folder's clips; targets are the windows and, last, whether they are anomalies."""
    if source is None:
        raise tfopt.errors.DataError(
            "This recipe has no data of its own: give a folder with train/normal_*.wav and test/*.wav, such "
            "as DCASE 2020's ToyCar: --data ToyCar/."
        )
    files = {split: sorted(Path(source, split).glob("*.wav")) for split in ("train", "test")}
    tests = [file.name.startswith("anomaly") for file in files["test"]]
    abnormal, normal = sum(tests), len(tests) - sum(tests)
    if not (files["train"] and normal and abnormal):
        raise tfopt.errors.DataError(
            f"{source} does not fit: expected are WAV files train/normal_*.wav, test/normal_*.wav and "
            f"test/anomaly_*.wav, and found are {len(files['train'])}, {normal} and {abnormal}."
        )
    # By kind, so that each of the halves of the test has both.
    by_kind = sorted(files["test"], key=lambda file: not file.name.startswith("anomaly"))
    splits = {"train": files["train"], "val": by_kind[::2], "test": by_kind[1::2]}
    arrays = {}
    for split, clips in splits.items():
        parts = [windows(tfopt.data.read_wav(clip), EVERY if split == "train" else 1) for clip in clips]
        labels = [
            np.full((len(x), 1), clip.name.startswith("anomaly"))
            for x, clip in zip(parts, clips, strict=True)
        ]
        arrays[f"x_{split}"] = np.concatenate(parts)
        arrays[f"y_{split}"] = np.concatenate([arrays[f"x_{split}"], np.concatenate(labels)], axis=1)
    return tfopt.data.from_arrays(**arrays, num_classes=None, name=Path(source).resolve().name)


@keras.saving.register_keras_serializable("recipes")
def reconstruction_error(y_true, y_pred):
    """The mean squared error of each window; the last target is the label."""
    return keras.ops.mean(keras.ops.square(y_true[:, :-1] - y_pred), axis=-1)


@keras.saving.register_keras_serializable("recipes")
class AnomalyAUC(keras.metrics.AUC):
    """The area under the ROC curve of the reconstruction error as a detector of anomalies."""

    def __init__(self, name="auc", dtype=None):
        super().__init__(num_thresholds=1000, name=name, dtype=dtype)

    def update_state(self, y_true, y_pred, sample_weight=None):
        error = reconstruction_error(y_true, y_pred)
        # Keras takes scores from 0 to 1; order is all that counts. An error of 10 is usual.
        super().update_state(y_true[:, -1], error / (error + 10), sample_weight)

    def get_config(self):
        return {"name": self.name, "dtype": self.dtype}


def autoencoder(input_shape, width, code):
    """Ten dense layers, the narrowest in the middle."""
    layers = keras.layers
    inputs = keras.Input(input_shape, name="window")
    x = inputs
    for number, units in enumerate([width] * 4 + [code] + [width] * 4, start=1):
        x = layers.Dense(units, name=f"dense{number}")(x)
        x = layers.BatchNormalization(name=f"bn{number}")(x)
        x = layers.ReLU(name=f"relu{number}")(x)
    outputs = layers.Dense(input_shape[0], name="head")(x)
    return keras.Model(inputs, outputs, name="autoencoder")


def build(hp):
    return tfopt.Recipe(
        data=sounds,
        model=lambda data: autoencoder(
            data.input_shape,
            width=hp.Int("width", 32, 128, step=32, default=128),
            code=hp.Int("code", 4, 16, step=4, default=8),
        ),
        optimizer=lambda steps: keras.optimizers.Adam(
            tfopt.schedules.WarmupCosine(
                hp.Float("lr", 1e-4, 1e-2, sampling="log", default=1e-3),
                warmup_steps=steps // 20,
                total_steps=steps,
            )
        ),
        loss=reconstruction_error,
        metrics=[AnomalyAUC()],
        stages=[
            tfopt.Train(epochs=100),
            tfopt.QuantizeAware("int8", epochs=10),
            tfopt.ExportTFLite(max_drop=0.01),
        ],
        batch_size=512,
    )


def clip_auc(model, folder):
    """The published measure: the AUC of the mean error over the windows of each test clip."""
    from sklearn.metrics import roc_auc_score

    file = tfopt.TFLiteModel(model)
    clips = sorted(Path(folder, "test").glob("*.wav"))
    parts = [windows(tfopt.data.read_wav(clip)) for clip in clips]
    errors = [np.mean((file.predict(x) - x) ** 2) for x in parts]
    return roc_auc_score([clip.name.startswith("anomaly") for clip in clips], errors)


if __name__ == "__main__":
    print(f"AUC of the clips: {clip_auc(*sys.argv[1:3]):.4f}")
