"""Which architectures quantization-aware training takes, and how close their int8 files are.

Quantizes each model with random weights, trains two steps, saves and loads it, exports it, runs the file in
LiteRT, and prints one row a model. `unrest` is how many LSB the model's own output moves, on the mean, when
its input changes by a millionth: a file cannot be closer to a model than that is to itself. With `--tfmot`
it says too whether tensorflow-model-optimization quantizes the same architecture of `tf_keras.applications`
(needs both packages).

    python benchmarks/coverage.py [--tfmot] [MobileNetV2 ...]
"""

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path

import keras
import numpy as np

import tfopt
from tfopt.quantization import calibrate

SIZES = {
    "VGG16": 64,
    "ResNet50": 64,
    "ResNet50V2": 64,
    "MobileNet": 64,
    "MobileNetV2": 64,
    "MobileNetV3Small": 64,
    "MobileNetV3Large": 64,
    "DenseNet121": 64,
    "EfficientNetB0": 64,
    "EfficientNetV2B0": 64,
    "Xception": 71,
    "InceptionV3": 75,
    "NASNetMobile": 64,
    "InceptionResNetV2": 75,
    "ConvNeXtTiny": 64,
    "ResNet152V2": 64,
}
"""A family of `keras.applications` -> the height and width of its input."""

SAMPLES, BATCH = 32, 8

HEAD = (
    f"{'model':<20}{'passes':>7}{'operators':>11}{'integer':>9}{'max LSB':>9}{'mean LSB':>10}"
    f"{'unrest':>9}{'agree':>7}{'seconds':>9}  left in float"
)


def build(applications, name, **kwargs):
    size = SIZES[name]
    return getattr(applications, name)(weights=None, input_shape=(size, size, 3), classes=10, **kwargs)


def row(name):
    """Return the line of the table for one architecture."""
    keras.utils.set_random_seed(0)
    start = time.perf_counter()
    rng = np.random.default_rng(0)
    # Smooth images, for white noise is one image to a network: only rounding would tell its outputs apart.
    coarse = rng.uniform(0, 255, (SAMPLES, 3, 3, 3)).astype("float32")
    x = np.asarray(keras.ops.image.resize(coarse, (SIZES[name], SIZES[name])))
    model = build(keras.applications, name, classifier_activation=None)
    if not holds_preprocessing(model):
        x = x / 127.5 - 1.0
    give_statistics(model, x[: 2 * BATCH])
    quantized = tfopt.quantize_aware(model)
    calibrate(quantized, x, batch_size=BATCH)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    quantized.compile(keras.optimizers.SGD(1e-3), loss)
    quantized.fit(x[: 2 * BATCH], rng.integers(0, 10, 2 * BATCH), batch_size=BATCH, verbose=0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        quantized.save(path)
        loaded = keras.models.load_model(path)
    file = tfopt.to_tflite(loaded)
    summary, difference = file.summary(), file.verify(loaded, x)
    step = summary.outputs[0].scale
    moved = loaded.predict(x * (1 + 1e-6), verbose=0) - loaded.predict(x, verbose=0)
    operators = sum(operator.count for operator in summary.operators)
    floats = Counter(operator.operator for operator in summary.float_operators)
    return (
        f"{name:<20}{'yes':>7}{operators:>11}{1 - floats.total() / operators:>9.1%}"
        f"{difference.max_lsb:>9}{difference.mean_lsb:>10.3f}{np.abs(moved).mean() / step:>9.3f}"
        f"{difference.top1_agreement:>7.2f}"
        f"{time.perf_counter() - start:>9.0f}  "
        + (", ".join(f"{count} {operator}" for operator, count in floats.items()) or "none")
    )


def give_statistics(model, x):
    """Give the batch normalizations the statistics of `x`, without which no signal reaches the end."""
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    model(x, training=True)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def holds_preprocessing(model):
    kinds = keras.layers.Rescaling, keras.layers.Normalization
    return any(isinstance(layer, kinds) for layer in model.layers)


def tfmot_takes(name):
    """Return `"yes"`, or what tensorflow-model-optimization says to the architecture."""
    import tensorflow_model_optimization as tfmot
    import tf_keras

    if not hasattr(tf_keras.applications, name):
        return "not in tf_keras"
    try:
        tfmot.quantization.keras.quantize_model(build(tf_keras.applications, name))
    except Exception as error:  # noqa: BLE001 (whatever it raises is the answer)
        return f"no: {str(error).splitlines()[0][:70]}"
    return "yes"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=list(SIZES))
    parser.add_argument("--tfmot", action="store_true")
    arguments = parser.parse_args()
    print(HEAD, flush=True)
    for name in arguments.models:
        try:
            line = row(name)
        except tfopt.errors.TfoptError as error:
            line = f"{name:<20}{'no':>7}  {type(error).__name__}: {error}"
        print(line + (f"; TFMOT: {tfmot_takes(name)}" if arguments.tfmot else ""), flush=True)
        keras.backend.clear_session()


if __name__ == "__main__":
    main()
