"""Half the channels of three networks: latency as a ratio to the original's file; and planning time.

    python benchmarks/channels.py latency [--turns 30] [--models ResNet50 ...] [--schemes float32 int8]
    python benchmarks/channels.py planning

Files take turns in one process on one thread. Weights are random, with batch statistics that fit them; each
group of channels keeps half, rounded to a multiple of 8. Planning is the CPU time of finding the dependencies
and of choosing widths for half the multiply-accumulates, on random scores.
"""

import argparse
import time

import keras
import numpy as np
from latency import with_statistics

import tfopt
from tfopt.channels.allocation.allocate import allocation
from tfopt.channels.cut import cut
from tfopt.channels.dependency import dependencies

LAYERS = keras.layers
APPLICATIONS = keras.applications
SIZE = 224
IMAGES = 4

MODELS = {
    "ResNet50": lambda: APPLICATIONS.ResNet50(weights=None),
    "MobileNetV2": lambda: APPLICATIONS.MobileNetV2(weights=None),
    "MobileNetV3Small": lambda: APPLICATIONS.MobileNetV3Small(input_shape=(SIZE, SIZE, 3), weights=None),
}
LARGE = {
    "ResNet152V2": lambda: APPLICATIONS.ResNet152V2(weights=None),
    "NASNetMobile": lambda: APPLICATIONS.NASNetMobile(weights=None),
}


def half(found) -> np.ndarray:
    """Return whether each unit stays where every group keeps half."""
    keep = np.zeros(found.count, bool)
    for group in found.groups:
        width = len(group.units) // 2
        keep[group.units[: max(1, width - width % 8 if width > 8 else width)]] = True
    return keep


def latencies(names, schemes, turns) -> None:
    """Print a line a model and scheme."""
    for name in names:
        keras.utils.set_random_seed(0)
        model = MODELS[name]()
        images = 255 * np.random.default_rng(0).random((IMAGES, SIZE, SIZE, 3), np.float32)
        found = dependencies(with_statistics(model, images))
        smaller = cut(found, half(found))
        macs = tfopt.measure.macs(smaller) / tfopt.measure.macs(model)
        samples = images.repeat(3, axis=0)
        for scheme in schemes:
            files = {
                key: bytes(tfopt.to_tflite(each, scheme, samples if scheme == "int8" else None))
                for key, each in (("original", model), ("half", smaller))
            }
            ratio = tfopt.measure.latency(files, turns=turns, warmup=2)["half"].ratio
            size = len(files["half"]) / len(files["original"])
            print(
                f"{name:17} {scheme:8} {ratio:.3f} of the time, {size:.3f} of the bytes, "
                f"{macs:.3f} of the MACs",
                flush=True,
            )


def residual(blocks: int) -> keras.Model:
    """Return a network of residual blocks of the same width, none of whose groups are alike."""
    x = inputs = keras.Input((32, 32, 3))
    x = LAYERS.Conv2D(32, 3, padding="same")(x)
    for _ in range(blocks):
        y = LAYERS.ReLU()(LAYERS.BatchNormalization()(LAYERS.Conv2D(32, 3, padding="same")(x)))
        x = LAYERS.Add()([x, LAYERS.Conv2D(32, 3, padding="same")(y)])
    return keras.Model(inputs, LAYERS.Dense(10)(LAYERS.GlobalAveragePooling2D()(x)))


def planning() -> None:
    """Print the seconds of CPU time of each model."""
    growing = {f"{n} residual blocks": lambda n=n: residual(n) for n in (25, 50, 100, 200)}
    for name, make in {**LARGE, **growing}.items():
        model = make()
        start = time.process_time()
        found = dependencies(model)
        seconds = {"dependencies": time.process_time() - start}
        scores = np.random.default_rng(0).random(found.count)
        for method in ("uniform", "global", "sensitivity"):
            start = time.process_time()
            allocation(found, scores, {"macs": 0.5}, method=method)
            seconds[method] = time.process_time() - start
        figures = ", ".join(f"{what} {taken:.1f} s" for what, taken in seconds.items())
        operations = len(tfopt.graph.nodes(found.model))
        print(f"{name:20} {operations} operations, {len(found.groups)} groups: {figures}", flush=True)


def main() -> None:
    """Run one of the two, or both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="?", choices=("latency", "planning"), help="both if not given")
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("--schemes", nargs="+", default=["float32", "int8"])
    parser.add_argument("--turns", type=int, default=30)
    arguments = parser.parse_args()
    if arguments.what != "latency":
        planning()
    if arguments.what != "planning":
        latencies(arguments.models, arguments.schemes, arguments.turns)


if __name__ == "__main__":
    main()
