"""Budgets on bytes and latency of int8 files: how near below its limit the final file is, run after run.

Each run removes other channels (its scores are random), trains what is left quantization-aware for some steps
and exports it. The limit is a share of the original's int8 file; latency is the ratio of both files, by turns
in one process on one thread, in rounds until it is steady, with its standard error. Where a plan says itself
why it uses less than 95 %, that is printed.

    python benchmarks/budgets.py [--runs 20] [--method global] [--kinds 2 3 7]
"""

import argparse

import keras
import models
import numpy as np

import tfopt
from tfopt.budgets import Budgets
from tfopt.budgets.attempts import NEAR
from tfopt.channels.allocation.allocate import allocation
from tfopt.channels.cut import cut
from tfopt.channels.dependency import dependencies
from tfopt.measure.steady_ratio import steady_ratio

MODELS = {
    "small CNN @32": lambda: models.small_cnn(keras, "softmax"),
    "MobileNetV1 0.5 @96": lambda: keras.applications.MobileNet(
        (96, 96, 3), alpha=0.5, weights=None, classes=10
    ),
}
KINDS = [
    ("small CNN @32", {"bytes": 0.3}),
    ("small CNN @32", {"bytes": 0.6}),
    ("small CNN @32", {"latency": 0.7}),
    ("small CNN @32", {"latency": 0.85}),
    ("MobileNetV1 0.5 @96", {"bytes": 0.5}),
    ("MobileNetV1 0.5 @96", {"latency": 0.5}),
    ("MobileNetV1 0.5 @96", {"latency": 0.65}),
    ("MobileNetV1 0.5 @96", {"bytes": 0.6, "latency": 0.6}),
]
STEPS = 4


def trained(model: keras.Model, images: np.ndarray, labels: np.ndarray) -> bytes:
    """Return the int8 file of a model after some quantization-aware steps."""
    quantized = tfopt.quantize_aware(model)
    tfopt.quantization.calibrate(quantized, images)
    quantized.compile("adam", "sparse_categorical_crossentropy")
    quantized.fit(images, labels, batch_size=len(images) // STEPS, verbose=0)
    return bytes(tfopt.to_tflite(quantized))


def main() -> None:
    """Print a line a run, and how many met their budget."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--method", default="global")
    parser.add_argument(
        "--kinds", type=int, nargs="+", default=range(len(KINDS)), help="which budgets, from 0"
    )
    parser.add_argument("--first", type=int, default=0, help="the seed of the first run")
    arguments = parser.parse_args()
    met, near, said = 0, 0, 0
    for run in range(arguments.first, arguments.first + arguments.runs):
        name, shares = KINDS[arguments.kinds[run % len(arguments.kinds)]]
        keras.utils.set_random_seed(run)
        model = MODELS[name]()
        random = np.random.default_rng(run)
        images = random.standard_normal((64, *model.input_shape[1:])).astype("float32")
        labels = random.integers(0, 10, 64)
        model.compile("adam", "sparse_categorical_crossentropy")
        model.fit(images, labels, epochs=2, verbose=0)
        found = dependencies(model)
        chosen = allocation(
            found, random.random(found.count), shares, method=arguments.method, scheme="int8", samples=images
        )
        original, final = (trained(each, images, labels) for each in (model, cut(found, chosen.keep)))
        steady = steady_ratio(original, final)
        used = {"bytes": len(final) / len(original), "latency": steady.ratio}
        used = {metric: used[metric] / share for metric, share in shares.items()}
        most = max(used.values())
        met += most <= 1
        near += NEAR <= most <= 1
        said += bool(chosen.note) and most < NEAR
        error = f" (+-{steady.error / shares['latency'] * steady.ratio:.1%})" if "latency" in shares else ""
        figures = ", ".join(f"{metric} {share:.1%}" for metric, share in used.items())
        missed = "" if most <= 1 else ", NOT MET"
        print(
            f"{name:21} {Budgets(**shares).describe():82} {figures}{error}{missed} {chosen.note}", flush=True
        )
    print(
        f"{met} of {arguments.runs} runs met their budget; {near} of these used 95 % of it or more, "
        f"of {said} others the plan said why"
    )


if __name__ == "__main__":
    main()
