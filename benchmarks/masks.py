"""Masks of tfopt beside those of tensorflow-model-optimization (TFMOT).

First accuracy: a model is trained, and each way of pruning trains its own copy of it, at the same sparsity,
for the same epochs, with the same optimizer, from the same weights. Prints the mean over the seeds and each
seed, in percent. Then what pruning adds to a training step, each engine as a ratio to its
own unpruned model, by turns in this process.

    python benchmarks/masks.py [--epochs 10] [--seeds 3] [--sparsities 0.8 0.9] [--model resnet8]
        [--data FILE.npz] [--samples 10000] [--ways tfopt TFMOT]

Without `--data` it is the handwritten digits of scikit-learn. A file has x_train, y_train, x_test and y_test,
with images of 0 to 255, such as that of MNIST.
"""

import argparse
import statistics
import time

import keras
import numpy as np

import tfopt
from tfopt import graph
from tfopt.callbacks import PruningSchedule
from tfopt.pruning import ConstantSparsity, Cubic, RigL
from tfopt.tfmot.library import tfmot

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
STEPS, WARM_UP = 40, 8

WAYS = {
    "tfopt": lambda model, sparsity: tfopt.prune(model, sparsity, schedule=Cubic()),
    "tfopt, regrow": lambda model, sparsity: tfopt.prune(model, sparsity, schedule=Cubic(regrow=True)),
    "tfopt, global": lambda model, sparsity: tfopt.prune(
        model, sparsity, schedule=Cubic(), distribution="global"
    ),
    "tfopt, ERK": lambda model, sparsity: tfopt.prune(model, sparsity, schedule=Cubic(), distribution="erk"),
    "tfopt, ERK, regrow": lambda model, sparsity: tfopt.prune(
        model, sparsity, schedule=Cubic(regrow=True), distribution="erk"
    ),
    "tfopt, RigL, ERK": lambda model, sparsity: tfopt.prune(
        model, sparsity, schedule=RigL(), distribution="erk"
    ),
    "TFMOT": lambda model, sparsity: tfopt.prune(model, sparsity, schedule=Cubic(), engine="tfmot"),
}


def small(shape, classes):
    """Two convolutions and two dense layers."""
    inputs = keras.Input(shape)
    x = inputs
    for width in (16, 32):
        x = keras.layers.Conv2D(width, 3, padding="same", use_bias=False)(x)
        x = keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.9)(x))
        x = keras.layers.MaxPooling2D()(x)
    x = keras.layers.Dense(64, activation="relu")(keras.layers.Flatten()(x))
    return keras.Model(inputs, keras.layers.Dense(classes)(x))


def resnet8(shape, classes):
    """The ResNet-8 of MLPerf Tiny."""

    def convolution(x, width, size=3, stride=1):
        x = keras.layers.Conv2D(width, size, strides=stride, padding="same", use_bias=False)(x)
        return keras.layers.BatchNormalization(momentum=0.9)(x)

    inputs = keras.Input(shape)
    x = keras.layers.ReLU()(convolution(inputs, 16))
    for width, stride in ((16, 1), (32, 2), (64, 2)):
        y = keras.layers.ReLU()(convolution(x, width, stride=stride))
        y = convolution(y, width)
        short = x if stride == 1 else keras.layers.Conv2D(width, 1, strides=stride, padding="same")(x)
        x = keras.layers.ReLU()(keras.layers.Add()([short, y]))
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(classes)(x))


MODELS = {"small": small, "resnet8": resnet8}


def load(path, samples):
    """Return (x_train, y_train, x_test, y_test), images in [0, 1]."""
    if path is None:
        data = tfopt.data.load("digits")
        return (*data.split("train"), *data.split("test"))
    with np.load(path) as file:
        arrays = [file[name] for name in ("x_train", "y_train", "x_test", "y_test")]
    for place in (0, 2):
        x = arrays[place].astype("float32") / 255
        arrays[place] = x[..., None] if x.ndim == 3 else x
        arrays[place + 1] = arrays[place + 1].reshape(-1)
    return [array[: samples or None] for array in arrays]


def trained(model, x, y, epochs, rate, callbacks=()):
    """Train with fused batch normalization, as each stage of a pipeline and TFMOT do."""
    graph.fuse_in_place(model)
    steps = epochs * -(-len(x) // 64)
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(rate, steps)), LOSS)
    model.fit(x, y, epochs=epochs, batch_size=64, verbose=0, callbacks=list(callbacks))
    return model


def accuracy(model, x, y):
    return 100 * float(np.mean(model.predict(x, verbose=0, batch_size=512).argmax(axis=1) == y))


def accuracies(arguments):
    """Print the table of accuracies."""
    x, y, x_test, y_test = load(arguments.data, arguments.samples)
    found = {(way, sparsity): [] for way in arguments.ways for sparsity in arguments.sparsities}
    zeros, before = {}, []
    for seed in range(arguments.seeds):
        keras.utils.set_random_seed(seed)
        dense = MODELS[arguments.model](x.shape[1:], int(y.max()) + 1)
        trained(dense, x, y, arguments.epochs, 3e-3)
        before.append(accuracy(dense, x_test, y_test))
        for way, sparsity in found:
            keras.utils.set_random_seed(seed)  # the same batches in the same order
            model = WAYS[way](dense, sparsity)
            trained(model, x, y, arguments.epochs, 3e-3, [PruningSchedule()])
            if way == "TFMOT":
                model = tfopt.tfmot.strip(model)
            found[way, sparsity].append(accuracy(model, x_test, y_test))
            if arguments.verbose:
                print(f"seed {seed} {way} {sparsity:.0%}: {found[way, sparsity][-1]:.2f}", flush=True)
            zeros[way, sparsity] = tfopt.measure.sparsity(model)
    print(f"{len(y_test)} test samples; unpruned {np.mean(before):.2f}: {_list(before)}")
    for (way, sparsity), values in found.items():
        share = f"{100 * zeros[way, sparsity]:.1f} % zeros"
        print(f"{sparsity:.0%}  {way:<20}{share:>14}  {np.mean(values):6.2f}: {_list(values)}", flush=True)


def _list(values):
    return ", ".join(f"{value:.2f}" for value in values)


def step_ratios():
    """Print the time of a training step with pruning, as a ratio to that without, of each engine."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 32, 32, 3)).astype("float32"), rng.integers(0, 10, 64)
    plain = resnet8((32, 32, 3), 10)
    legacy = tfopt.to_legacy(plain)
    library = tfmot().sparsity.keras
    steps = WARM_UP + STEPS
    theirs = {
        f"TFMOT, masks every {every} steps": library.prune_low_magnitude(
            legacy, pruning_schedule=library.PolynomialDecay(0.0, 0.8, 0, 10 * steps, frequency=every)
        )
        for every in (1, 100)
    }
    for model in theirs.values():
        for layer in model.layers:
            if hasattr(layer, "pruning_step"):
                layer.pruning_step.assign(0)
    ours = {
        "tfopt, masks every step": Cubic(begin=0, end=10 * steps, frequency=1),
        "tfopt, masks every 100 steps": Cubic(begin=0, end=10 * steps, frequency=100),
        "tfopt, regrown every 100 steps": Cubic(begin=0, end=10 * steps, frequency=100, regrow=True),
        "tfopt, masks that stay": None,
        "tfopt, ConstantSparsity every 100": ConstantSparsity(begin=0, end=10 * steps, frequency=100),
        "tfopt, RigL every 100 steps": RigL(begin=0, end=10 * steps, frequency=100),
    }
    runs = {"plain": (plain, None, "plain"), "plain tf_keras": (legacy, None, "plain tf_keras")}
    for name, schedule in ours.items():
        model = tfopt.prune(plain, 0.8, schedule=schedule)
        runs[name] = (model, PruningSchedule(), "plain")
    movement = tfopt.prune(plain, 0.8, schedule=ours["tfopt, masks every 100 steps"], criterion="movement")
    runs["tfopt, movement every 100 steps"] = (movement, PruningSchedule(), "plain")
    runs |= {name: (model, None, "plain tf_keras") for name, model in theirs.items()}
    for model, callback, base in runs.values():
        if base == "plain":
            model.compile(keras.optimizers.SGD(0.01), LOSS)
        else:
            from tfopt.tfmot.library import tf_keras

            loss = tf_keras().losses.SparseCategoricalCrossentropy(from_logits=True)
            model.compile(tf_keras().optimizers.SGD(0.01), loss)
        if callback is not None:
            callback.set_params({"steps": steps, "epochs": 10})
            callback.set_model(model)
            callback.on_train_begin()
            callback.on_epoch_begin(0)
    times = {name: [] for name in runs}
    for step in range(steps):
        for name in rng.permutation(list(runs)):
            model, callback, _ = runs[name]
            start = time.process_time()
            if callback is not None:
                callback.on_train_batch_begin(step)
            model.train_on_batch(x, y)
            if callback is not None:
                callback.on_train_batch_end(step)
            if step >= WARM_UP:
                times[name].append(time.process_time() - start)
    print(f"\nA training step of ResNet-8 on 32x32x3, batch 64, of {STEPS} steps by turns, in CPU time:")
    for name, (_, _, base) in runs.items():
        pairs = zip(times[name], times[base], strict=True)
        median = statistics.median(one / other for one, other in pairs)
        mean = sum(times[name]) / sum(times[base])
        print(f"{name:<36}{median:>6.2f}x median {mean:>6.2f}x mean")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sparsities", type=float, nargs="*", default=[0.8, 0.9])
    parser.add_argument("--ways", nargs="*", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--model", choices=list(MODELS), default="small")
    parser.add_argument("--data", help="an .npz file; the digits by default")
    parser.add_argument("--samples", type=int, help="of each split, so many at most")
    parser.add_argument("--verbose", action="store_true", help="print each accuracy as it comes")
    parser.add_argument("--only", choices=["accuracy", "steps"])
    arguments = parser.parse_args()
    if arguments.only != "steps":
        accuracies(arguments)
    if arguments.only != "accuracy":
        step_ratios()


if __name__ == "__main__":
    main()
