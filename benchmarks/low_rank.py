"""What low rank buys: bytes and latency of files, and what it costs in accuracy.

The first table has models of `keras.applications` at 224 pixels with random weights, which change neither
size nor time: each layer keeps a share of its full rank (`tfopt.low_rank(model, ratio)`). The second one has
a CNN on the digits: trained, factorized to a share of its multiply-accumulates, trained on for six epochs,
and once with as many epochs more and no factorization. Ratios are to the original in the same process; a
ratio of latency above 1 is a loss. The third one tells what one more layer takes in a file besides weights.

    python benchmarks/low_rank.py [--models MobileNetV2 ResNet50] [--seeds 3] [--without-int8]
"""

import argparse

import keras
import numpy as np

import tfopt
from tfopt import measure

HEAD = f"{'model':<13}{'method':<9}{'ratio':>6}{'layers':>8}{'MACs':>7}{'params':>8}"
SHARES = (0.25, 0.5)


def of_models(names, int8):
    schemes = ("float32", "int8") if int8 else ("float32",)
    print(HEAD + "".join(f"{f'{scheme} bytes':>15}{'latency':>9}" for scheme in schemes))
    for name in names:
        model = getattr(keras.applications, name)(weights=None)
        x = np.random.default_rng(0).random((4, *model.input_shape[1:])).astype("float32")
        originals = {scheme: bytes(tfopt.to_tflite(model, scheme, x)) for scheme in schemes}
        for method in ("tucker", "spatial") if name.startswith("ResNet") else ("tucker",):
            for share in SHARES:
                plan = tfopt.low_rank(model, share, method=method, dry_run=True)
                small = tfopt.low_rank(model, share, method=method)
                line = (
                    f"{name:<13}{method:<9}{share:>6}{len(plan.factorized):>8}"
                    f"{plan.macs[1] / plan.macs[0]:>7.2f}{plan.params[1] / plan.params[0]:>8.2f}"
                )
                for scheme, original in originals.items():
                    content = bytes(tfopt.to_tflite(small, scheme, x))
                    found = measure.latency({"original": original, "low": content}, turns=20)
                    line += f"{len(content) / len(original):>15.2f}{found['low'].ratio:>9.2f}"
                print(line, flush=True)


def digits_cnn(seed):
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(32, 3, padding="same", use_bias=False, name="conv1"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Conv2D(64, 3, padding="same", use_bias=False, name="conv2"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, padding="same", use_bias=False, name="conv3"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(128, activation="relu", name="hidden"),
            layers.Dense(10, activation="softmax", name="head"),
        ]
    )


def trained(model, data, epochs, rate):
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(data.x_train, data.y_train, epochs=epochs, batch_size=32, verbose=0)
    return accuracy(model, data)


def accuracy(model, data):
    return float(np.mean(model.predict(data.x_test, verbose=0).argmax(1) == data.y_test))


def of_digits(seeds):
    data = tfopt.data.load("digits")
    print(f"\n{'digits CNN':<34}{'before training on':>20}{'after':>8}")
    sums = {}
    for seed in range(seeds):
        model = digits_cnn(seed)
        trained(model, data, 10, 1e-3)
        copies = {"the original": model}
        for macs in (0.5, 0.3):
            for method in ("tucker", "spatial", "svd"):
                copies[f"macs={macs}, {method}"] = tfopt.low_rank(model, macs=macs, method=method)
            measured = tfopt.low_rank(model, macs=macs, data=data.x_train[:256])
            copies[f"macs={macs}, tucker, data"] = measured
        for name, each in copies.items():
            pair = accuracy(each, data), trained(tfopt.graph.copy(each), data, 6, 1e-3)
            sums.setdefault(name, []).append(pair)
    for name, pairs in sums.items():
        before, after = np.mean(pairs, axis=0)
        print(f"{name:<34}{before:>20.1%}{after:>8.1%}")


def of_one_more_layer():
    print(f"\n{'one more layer':<16}{'bytes besides weights'}")
    for scheme, each in (("float32", 4), ("int8", 1)):
        for kind in ("Dense", "Conv2D"):
            shape = (64,) if kind == "Dense" else (8, 8, 64)
            make = keras.layers.Dense if kind == "Dense" else keras.layers.Conv2D
            arguments = (64,) if kind == "Dense" else (64, 1)
            model = keras.Sequential([keras.Input(shape)])
            for _ in range(4):
                model.add(make(*arguments))
                model.add(keras.layers.ReLU())
            small = tfopt.low_rank(model, rank=8)
            x = np.random.default_rng(0).standard_normal((8, *shape)).astype("float32")
            sizes = [len(tfopt.to_tflite(one, scheme, x)) for one in (model, small)]
            extra = sizes[1] - sizes[0] - each * (small.count_params() - model.count_params())
            print(f"{kind + ' ' + scheme:<16}{extra / 4:.0f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="*", default=["MobileNetV2", "ResNet50"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--without-int8", action="store_true")
    given = parser.parse_args()
    of_models(given.models, not given.without_int8)
    of_digits(given.seeds)
    of_one_more_layer()
