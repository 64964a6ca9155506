"""Accuracy and latency after channel pruning: a ResNet-20 at 2.1x fewer multiply-accumulates.

For each seed, a ResNet-20 (He et al., 2016, for CIFAR-10) is trained. Then for each criterion its channels
are removed until `--macs` of the multiply-accumulates are left, and what is left is trained on, by itself and
with the unpruned model as teacher (as with `teacher="float"` of the stages). Printed are
accuracies on the test images, of the float models and of the int8 files (quantized after training), and the
latency of the int8 file as a ratio to that of the unpruned model, by turns in this process.
`unpruned, trained on` is the control: the unpruned model with the same further training. `recalibrated` is
what was cut, with the statistics of its batch normalizations taken anew and nothing trained.

    python benchmarks/channel_accuracy.py                        # handwritten digits: some minutes
    python benchmarks/channel_accuracy.py --data cifar10.npz --epochs 20 --seeds 0 1 2
"""

import argparse
import itertools
from pathlib import Path

import keras
import numpy as np
from models import LOGITS, batches, compiled, kept, resnet_20

import tfopt
from tfopt.distillation import distilling

NO_FILES = "no files"


def load(path, images):
    if path is None:
        data = tfopt.data.load("digits")
        return *data.split("train"), *data.split("test")
    with np.load(path) as file:
        x, y, x_test, y_test = (file[name] for name in ("x_train", "y_train", "x_test", "y_test"))
    x, x_test = (
        each.reshape(len(each), *each.shape[1:3], -1).astype("float32") / 255 for each in (x, x_test)
    )
    return x[:images], y.ravel().astype("int32")[:images], x_test, y_test.ravel().astype("int32")


def fit(model, data, epochs, rate):
    compiled(model, rate, epochs * len(data)).fit(data, epochs=epochs, verbose=0)
    return model


def distilled(student, teacher, data, epochs, rate):
    """Train `student` on the labels and on what `teacher` says."""
    compiled(student, rate, epochs * len(data))
    with distilling(student, teacher, temperature=4.0):
        student.fit(data, epochs=epochs, verbose=0)
    return student


def recalibrated(model, x):
    """Take the statistics of batch normalizations anew, of 1024 images."""
    tfopt.regularization.estimate_batch_norm(model, x[:1024])
    return model


def accuracy(predict, x, y):
    return 100 * float(np.mean(np.argmax(predict(x), axis=1) == y))


def row(name, model, x, x_test, y_test, first):
    """Print a row and return the int8 file."""
    floats = f"{accuracy(lambda each: model.predict(each, verbose=0), x_test, y_test):.2f}"
    if first is NO_FILES:
        print(name, floats, f"{tfopt.measure.macs(model):,}", sep="\t", flush=True)
        return NO_FILES
    file = tfopt.to_tflite(model, "int8", x[:500])
    latency = tfopt.measure.latency({"unpruned": first or file, "now": file})["now"].ratio
    figures = (
        floats,
        f"{accuracy(file.predict, x_test, y_test):.2f}",
        f"{tfopt.measure.macs(model):,}",
        f"{len(bytes(file)):,}",
        f"{latency:.2f}",
    )
    print(name, *figures, sep="\t", flush=True)
    return file


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data", type=Path, help="an .npz with x_train, y_train, x_test, y_test, values 0..255"
    )
    parser.add_argument("--images", type=int, help="train on the first so many only")
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--tuning", type=int, default=10, help="epochs after pruning")
    parser.add_argument("--macs", type=float, default=1 / 2.1)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--criteria", nargs="+", default=["l2", "taylor", "random"])
    parser.add_argument("--allocations", nargs="+", default=["global"], help="uniform, sensitivity")
    parser.add_argument("--tuning-rate", type=float, default=1.0, help="as a share of --rate")
    parser.add_argument(
        "--rows",
        nargs="+",
        default=["as cut", "recalibrated", "trained", "with teacher"],
        help="which rows of each criterion",
    )
    parser.add_argument("--cache", type=Path, help="a folder to keep the unpruned models in, for other runs")
    parser.add_argument("--no-files", action="store_true", help="the accuracy of the float models alone")
    parser.add_argument("--no-control", action="store_true", help="without the unpruned model, trained on")
    parser.add_argument("--round-to", type=int, nargs="+", default=[8], help="1 for any width")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    arguments = parser.parse_args()
    x, y, x_test, y_test = load(arguments.data, arguments.images)
    tuning = arguments.tuning, arguments.rate * arguments.tuning_rate
    for seed in arguments.seeds:
        keras.utils.set_random_seed(seed)
        data = batches(x, y, seed, 64, flips=arguments.data is not None)
        new = resnet_20(x.shape[1:], int(y.max()) + 1, arguments.width)
        name = (
            f"seed{seed}-width{arguments.width}-{len(x)}images-{arguments.epochs}epochs-rate{arguments.rate}"
        )
        model = kept(
            arguments.cache,
            name,
            lambda new=new, data=data: fit(new, data, arguments.epochs, arguments.rate),
        )
        print(f"seed {seed}", "accuracy", "int8", "MACs", "bytes", "latency", sep="\t")
        first = row("unpruned", model, x, x_test, y_test, NO_FILES if arguments.no_files else None)
        if not arguments.no_control:
            control = kept(
                arguments.cache,
                f"{name}-{arguments.tuning}more-rate{tuning[1]}",
                lambda model=model, data=data: fit(tfopt.graph.copy(model), data, *tuning),
            )
            row("unpruned, trained on", control, x, x_test, y_test, first)
        for importance, allocation, round_to in itertools.product(
            arguments.criteria, arguments.allocations, arguments.round_to
        ):

            def pruned(
                importance=importance, allocation=allocation, round_to=round_to, model=model, seed=seed
            ):
                return tfopt.prune_channels(
                    model,
                    macs=arguments.macs,
                    importance=importance,
                    allocation=allocation,
                    round_to=round_to,
                    data=(x, y),
                    loss=LOGITS,
                    seed=seed,
                )

            variants = {
                "as cut": lambda pruned=pruned: pruned(),
                "recalibrated": lambda pruned=pruned: recalibrated(pruned(), x),
                "trained": lambda pruned=pruned, data=data: fit(pruned(), data, *tuning),
                "with teacher": lambda pruned=pruned, data=data, model=model: distilled(
                    pruned(), model, data, *tuning
                ),
            }
            for name in arguments.rows:
                label = f"{importance}, {allocation}, multiples of {round_to}, {name}"
                row(label, variants[name](), x, x_test, y_test, first)


if __name__ == "__main__":
    main()
