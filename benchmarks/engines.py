"""tfopt's own engine beside tensorflow-model-optimization's, run by Keras 3 through the bridge.

First what both make of one recipe: accuracy, zeros, bytes, latency, the difference of file and model, and the
time of a training step as a ratio to the plain Keras 3 model's. Then the step's ratio on MobileNetV2 (alpha
0.35, 96x96). With `--coverage` which architectures of `keras.applications` each engine takes.

    python benchmarks/engines.py [--epochs 10] [--coverage [MobileNetV2 ...]]
"""

import argparse
import statistics
import tempfile
import time

import keras
import numpy as np

import tfopt
from tfopt import graph
from tfopt.cli.compare_engines import comparison_table
from tfopt.cli.show import print_rich
from tfopt.recipe.compare_engines import ENGINES, compare_engines

FAMILIES = [
    "VGG16",
    "ResNet50",
    "ResNet50V2",
    "MobileNet",
    "MobileNetV2",
    "MobileNetV3Small",
    "DenseNet121",
    "EfficientNetB0",
    "Xception",
    "InceptionV3",
    "NASNetMobile",
    "ConvNeXtTiny",
]

METHODS = {
    "prune": lambda model, engine: tfopt.prune(model, 0.5, engine=engine),
    "quantize": lambda model, engine: tfopt.quantize_aware(model, engine=engine),
    "cluster": lambda model, engine: tfopt.cluster(model, 8, engine=engine),
}

STEPS, WARM_UP = 20, 5


def classifier(data):
    layers = keras.layers
    inputs = keras.Input(data.input_shape, name="image")
    x = inputs
    for number, width in enumerate((16, 32), 1):
        x = layers.Conv2D(width, 3, padding="same", use_bias=False, name=f"conv{number}")(x)
        x = layers.BatchNormalization(momentum=0.9, name=f"bn{number}")(x)
        x = layers.ReLU(name=f"relu{number}")(x)
        x = layers.MaxPooling2D(name=f"pool{number}")(x)
    x = layers.Dense(64, activation="relu", name="hidden")(layers.Flatten(name="flatten")(x))
    return keras.Model(inputs, layers.Dense(data.num_classes, name="head")(x), name="classifier")


def recipe(epochs):
    """Stages that both engines can do: no depthwise kernels, no clustering."""
    return tfopt.Recipe(
        data=tfopt.data.load("digits"),
        model=classifier,
        optimizer=lambda steps: keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(3e-3, steps)),
        stages=[
            tfopt.Train(epochs=epochs),
            tfopt.Prune(0.8, epochs=epochs),
            tfopt.QuantizeAware(epochs=max(1, epochs // 2)),
            tfopt.ExportTFLite(),
        ],
    )


def step_ratios():
    """Print the time of a training step of MobileNetV2, all models by turns in this process."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(32, 96, 96, 3)).astype("float32")
    y = rng.integers(0, 10, 32)
    plain = keras.applications.MobileNetV2(
        (96, 96, 3), alpha=0.35, weights=None, classes=10, classifier_activation=None
    )
    models = {"plain": plain}
    for method, wrap in METHODS.items():
        for engine in ENGINES:
            try:
                models[f"{method} {engine}"] = wrap(plain, engine)
                graph.fuse_in_place(models[f"{method} {engine}"])  # as every stage of a pipeline trains
            except tfopt.TfoptError as error:
                print(f"{method} {engine}: {error}")
    for model in models.values():
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    times = {name: [] for name in models}
    for model in models.values():
        for _ in range(WARM_UP):
            model.train_on_batch(x, y)
    for _ in range(STEPS):
        for name, model in models.items():
            start = time.perf_counter()
            model.train_on_batch(x, y)
            times[name].append(time.perf_counter() - start)
    baseline = statistics.median(times["plain"])
    for name, seconds in times.items():
        print(f"{name:<20}{statistics.median(seconds) / baseline:>8.2f}x")


def coverage(names):
    """Print which architectures each engine wraps and trains a step."""
    print(f"{'':<20}" + "".join(f"{method + ' ' + engine:>18}" for method in METHODS for engine in ENGINES))
    for name in names:
        size = {"Xception": 71, "InceptionV3": 75}.get(name, 64)
        x, y = np.zeros((2, size, size, 3), "float32"), np.zeros(2, int)
        cells, reasons = [], []
        for method, wrap in METHODS.items():
            for engine in ENGINES:
                model = getattr(keras.applications, name)(weights=None, input_shape=x.shape[1:], classes=10)
                try:
                    wrapped = wrap(model, engine)
                    wrapped.compile("sgd", "sparse_categorical_crossentropy")
                    wrapped.train_on_batch(x, y)
                    if engine == "tfmot" and method != "quantize":
                        tfopt.tfmot.strip(wrapped)
                    cells.append("yes")
                except tfopt.TfoptError as error:
                    cells.append("no")
                    reasons.append(f"    {method} {engine}: {' '.join(str(error).split())[:150]}")
                keras.backend.clear_session()
        print(f"{name:<20}" + "".join(f"{cell:>18}" for cell in cells), *reasons, sep="\n", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--coverage", nargs="*", help="these architectures only; without names, all")
    arguments = parser.parse_args()
    if arguments.coverage is not None:
        coverage(arguments.coverage or FAMILIES)
        return
    with tempfile.TemporaryDirectory() as folder:
        found = compare_engines(recipe(arguments.epochs), folder, quiet=True)
        print_rich(comparison_table(found))
        for each in found:
            if each.refusal:
                print(f"{each.engine}: {each.refusal}")
    print("\nA training step of MobileNetV2, as a ratio to plain Keras 3:")
    step_ratios()


if __name__ == "__main__":
    main()
