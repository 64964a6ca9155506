"""Which architectures quantization-aware training takes, and how close their int8 files are.

Quantizes each model with random weights, trains two steps, rounds its biases, saves and loads it, exports it,
runs the file in LiteRT, and prints one row a model. `sensitivity` is the mean change of the model's own
output, in LSB, when its input changes by 1e-6: a file cannot be closer to a model than that is to itself.
With `--tfmot` it says too whether tensorflow-model-optimization quantizes the same architecture of
`tf_keras.applications` (needs both packages). With `--zoo` it goes over the small models of the tests
instead, on white noise; TFMOT is then asked through `engine="tfmot"`.

    python benchmarks/coverage.py [--tfmot] [MobileNetV2 ...]
    python benchmarks/coverage.py --zoo [--tfmot] [lstm ...]
"""

import argparse
import importlib.util
import tempfile
import time
from collections import Counter
from pathlib import Path

import keras
import numpy as np

import tfopt
from tfopt.graph import as_functional
from tfopt.quantization import calibrate, round_biases

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
    f"{'model':<24}{'passes':>7}{'operators':>11}{'integer':>9}{'max LSB':>9}{'mean LSB':>10}"
    f"{'sensitivity':>12}{'agree':>7}{'seconds':>9}  left in float"
)


def build(applications, name, **kwargs):
    size = SIZES[name]
    return getattr(applications, name)(weights=None, input_shape=(size, size, 3), classes=10, **kwargs)


def application(name):
    """Return an architecture of `keras.applications` and images for it."""
    # Smooth images, for white noise is one image to a network: only rounding would tell its outputs apart.
    coarse = np.random.default_rng(0).uniform(0, 255, (SAMPLES, 3, 3, 3)).astype("float32")
    x = np.asarray(keras.ops.image.resize(coarse, (SIZES[name], SIZES[name])))
    model = build(keras.applications, name, classifier_activation=None)
    if not holds_preprocessing(model):
        x = x / 127.5 - 1.0
    give_statistics(model, x[: 2 * BATCH])
    return model, [x]


def zoo():
    """Return the small models of the tests: name -> function that makes one."""
    models = {}
    for path in sorted((Path(__file__).parents[1] / "tests" / "quantization").glob("*zoo.py")):
        if not path.name.startswith("test_"):
            spec = importlib.util.spec_from_file_location(path.stem, path)
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            models |= module.MODELS
    return models


def from_zoo(name):
    """Return a small model and noise for it."""
    rng = np.random.default_rng(0)
    model = as_functional(zoo()[name]())

    def noise(tensor):
        shape = (SAMPLES, *tensor.shape[1:])
        if "float" in tensor.dtype:
            return rng.normal(size=shape).astype("float32")
        return rng.integers(0, 2 if tensor.dtype == "bool" else 20, shape).astype(tensor.dtype)

    return model, [noise(tensor) for tensor in model.inputs]


def row(name, make):
    """Return the line of the table for one model."""
    keras.utils.set_random_seed(0)
    start = time.perf_counter()
    model, arrays = make(name)

    def packed(arrays):
        return arrays if len(arrays) > 1 else arrays[0]

    x = packed(arrays)
    quantized = tfopt.quantize_aware(model)
    calibrate(quantized, x, batch_size=BATCH)
    zeros = [np.zeros((2 * BATCH, *tensor.shape[1:])) for tensor in quantized.outputs]
    quantized.compile(keras.optimizers.SGD(1e-4), ["mse"] * len(zeros) if len(zeros) > 1 else "mse")
    first = packed([array[: 2 * BATCH] for array in arrays])
    quantized.fit(first, packed(zeros), batch_size=BATCH, verbose=0)
    round_biases(quantized)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        quantized.save(path)
        loaded = keras.models.load_model(path)
    file = tfopt.to_tflite(loaded)
    summary, difference = file.summary(), file.verify(loaded, x)
    close = [array * (1 + 1e-6) if array.dtype == "float32" else array for array in arrays]
    before, after = (
        np.asarray(keras.tree.flatten(loaded.predict(packed(each), verbose=0))[0]) for each in (arrays, close)
    )
    sensitivity = (
        np.abs(after - before).mean() / summary.outputs[0].scale if summary.outputs[0].scale else np.nan
    )
    operators = sum(operator.count for operator in summary.operators)
    floats = Counter(operator.operator for operator in summary.float_operators)
    figures = (difference.max_lsb, difference.mean_lsb, difference.top1_agreement)
    max_lsb, mean_lsb, agreement = (np.nan if figure is None else figure for figure in figures)
    return (
        f"{name:<24}{'yes':>7}{operators:>11}{1 - floats.total() / operators:>9.1%}"
        f"{max_lsb:>9.0f}{mean_lsb:>10.3f}{sensitivity:>12.3f}{agreement:>7.2f}"
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


def tfmot_takes_small(name):
    """Return `"yes"`, or what the engine says to a small model of the tests."""
    try:
        tfopt.quantize_aware(as_functional(zoo()[name]()), engine="tfmot")
    except tfopt.errors.TfoptError as error:
        return f"no: {' '.join(str(error).split())[:110]}"
    return "yes"


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
    parser.add_argument("models", nargs="*")
    parser.add_argument("--tfmot", action="store_true")
    parser.add_argument("--zoo", action="store_true")
    arguments = parser.parse_args()
    make, takes = (from_zoo, tfmot_takes_small) if arguments.zoo else (application, tfmot_takes)
    print(HEAD, flush=True)
    for name in arguments.models or (zoo() if arguments.zoo else SIZES):
        try:
            line = row(name, make)
        except tfopt.errors.TfoptError as error:
            line = f"{name:<24}{'no':>7}  {type(error).__name__}: {error}"
        print(line + (f"; TFMOT: {takes(name)}" if arguments.tfmot else ""), flush=True)
        keras.backend.clear_session()


if __name__ == "__main__":
    main()
